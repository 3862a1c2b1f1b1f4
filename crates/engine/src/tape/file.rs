//! The tape's file: a line of text with the format's version, then a gzip stream of one JSON document.
//!
//! gzip's checksum and length tell a damaged or truncated file from a whole one. Readers refuse newer versions; fields
//! are only added, with defaults. Version 1 holds a grid, version 2 a study; a tape is written in the lowest version that
//! can hold it, so that earlier programs read what they can.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use agenttts_core::pipeline::Snapshot;
use agenttts_core::text::hex;
use agenttts_core::{Draw, Finish, ModelIdentity, Problem, Problems, RequestKey};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::studied::{Earlier, Stream, Studied};
use super::{Recorded, Tape};
use crate::error::EngineError;
use crate::fit::Fit;
use crate::settings::{SETTINGS_VERSION, StudySettings};
use crate::steps::StepAnswer;
use crate::streams::Purpose;

/// The newest version of the tape's format.
pub const TAPE_VERSION: u32 = 2;

/// The version that holds a grid.
const GRID_VERSION: u32 = 1;

/// How every tape begins; the version and a line's end follow.
const MAGIC: &[u8] = b"agenttts tape ";

/// The most digits of a version.
const DIGITS: usize = 9;

/// The largest document that is unpacked, in bytes: a damaged or hostile file must not fill the memory.
const LARGEST: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Document {
    program: String,
    models: BTreeMap<String, ModelIdentity>,
    snapshot: Snapshot,
    requests: Vec<Entry>,
    /// What steps gave, by the hexadecimal digits of their input's key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    steps: BTreeMap<String, StepEntry>,
    /// Prompts that did not fit as they were, by the hexadecimal digits of their key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fits: BTreeMap<String, Fit>,
    /// The study, from version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    study: Option<StudyEntry>,
}

#[derive(Serialize, Deserialize)]
struct StudyEntry {
    name: String,
    settings: StudySettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Earlier>,
    streams: Vec<StreamEntry>,
}

#[derive(Serialize, Deserialize)]
struct StreamEntry {
    purpose: Purpose,
    #[serde(default)]
    requests: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// A step's output, or the reason that it told for having none.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StepEntry {
    Output(Value),
    Error(String),
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// The request's key in hexadecimal digits.
    key: String,
    draws: Vec<Row>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// How many of the first draws were there before the study began.
    #[serde(default, skip_serializing_if = "is_zero")]
    there: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A draw: text, finish, prompt tokens, decoded tokens, microseconds, samples that share a prompt.
#[derive(Serialize, Deserialize)]
struct Row(String, Finish, u32, u32, u64, u32);

impl Tape {
    /// Reads a tape's bytes. `name` is what messages call it.
    ///
    /// # Errors
    /// Where they are no tape, a damaged one, or one of a newer format.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let no_tape = || {
            Problem::new(format!("{name} is no tape"))
                .hint("a tape is written by `agenttts bench record PIPELINE -o FILE`")
        };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(no_tape)?;
        let digits = rest.iter().take(DIGITS).take_while(|b| b.is_ascii_digit()).count();
        let version: u32 =
            std::str::from_utf8(&rest[..digits]).ok().and_then(|d| d.parse().ok()).ok_or_else(no_tape)?;
        let packed = rest[digits..].strip_prefix(b"\n").ok_or_else(no_tape)?;
        if version > TAPE_VERSION {
            let message = format!("{name}: tape format {version} is newer than this program's {TAPE_VERSION}");
            return Err(Problem::new(message).hint("update agenttts").into());
        }
        let damaged = |why: String| {
            Problem::new(format!("{name}: the tape is damaged: {why}"))
                .hint("copy it again from where it came from, or record it again with `agenttts bench record`")
        };
        let mut text = Vec::new();
        let read = GzDecoder::new(packed).take(LARGEST).read_to_end(&mut text);
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("it ends too early".into()),
            _ => damaged(error.to_string()),
        })?;
        let document: Document = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let Document { program, models, snapshot, requests, study, steps: answers, fits: misfits } = document;
        let requests = entries(requests).map_err(damaged)?;
        let studied = study.map(|study| studied(study).map_err(damaged)).transpose()?;
        let mut steps = HashMap::with_capacity(answers.len());
        for (digits, entry) in answers {
            let key = key(&digits).ok_or_else(|| damaged(format!("{digits:?} is no key of a step")))?;
            steps.insert(key, entry.into());
        }
        let mut fits = HashMap::with_capacity(misfits.len());
        for (digits, fit) in misfits {
            let key = key(&digits).ok_or_else(|| damaged(format!("{digits:?} is no key of a prompt")))?;
            fits.insert(key, fit);
        }
        Ok(Tape { snapshot, models, program, requests, studied, steps, fits })
    }

    /// Reads a tape's file.
    ///
    /// # Errors
    /// As [`Tape::from_bytes`], and where the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let bytes = std::fs::read(path).map_err(|error| {
            Problem::new(format!("{} cannot be read: {error}", path.display()))
                .hint("name a tape that `agenttts bench record PIPELINE -o FILE` wrote")
        })?;
        Tape::from_bytes(&path.display().to_string(), &bytes)
    }

    /// The file's bytes: the same for equal tapes.
    ///
    /// # Errors
    /// Never for a tape that was read or recorded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        let failed = |error: String| EngineError::Internal(format!("the tape cannot be written: {error}"));
        let mut out = MAGIC.to_vec();
        let version = if self.studied.is_some() { TAPE_VERSION } else { GRID_VERSION };
        out.extend_from_slice(format!("{version}\n").as_bytes());
        let mut packer = GzEncoder::new(out, Compression::best());
        packer.write_all(&self.document().map_err(|e| failed(e.to_string()))?).map_err(|e| failed(e.to_string()))?;
        packer.finish().map_err(|e| failed(e.to_string()))
    }

    /// What distinguishes this tape from others: the first digits of a hash over all that it holds.
    pub fn digest(&self) -> String {
        // Serialising plain data with string keys into memory cannot fail.
        hex(&Sha256::digest(self.document().unwrap_or_default())[..6])
    }

    /// The JSON document, as text.
    pub(super) fn document(&self) -> Result<Vec<u8>, serde_json::Error> {
        // A map without an order would give other bytes every time.
        let steps: BTreeMap<String, StepEntry> =
            self.steps.iter().map(|(key, answer)| (key.to_string(), answer.clone().into())).collect();
        let study = self.studied.as_ref().map(|studied| StudyEntry {
            name: studied.name.clone(),
            settings: studied.settings.clone(),
            earlier: studied.earlier.clone(),
            streams: studied.streams.iter().map(|(&purpose, stream)| stream_entry(purpose, stream)).collect(),
        });
        serde_json::to_vec(&Document {
            program: self.program.clone(),
            models: self.models.clone(),
            snapshot: self.snapshot.clone(),
            requests: written(&self.requests),
            steps,
            study,
            fits: self.fits.iter().map(|(key, fit)| (key.to_string(), fit.clone())).collect(),
        })
    }
}

/// Requests in the order of their keys.
fn written(requests: &HashMap<RequestKey, Recorded>) -> Vec<Entry> {
    let mut keys: Vec<&RequestKey> = requests.keys().collect();
    keys.sort_unstable();
    let entry = |key: &RequestKey| {
        let Recorded { draws, failure, there } = &requests[key];
        Entry {
            key: key.to_string(),
            draws: draws.iter().map(Row::from).collect(),
            failure: failure.clone(),
            there: *there,
        }
    };
    keys.into_iter().map(entry).collect()
}

fn stream_entry(purpose: Purpose, stream: &Stream) -> StreamEntry {
    StreamEntry { purpose, requests: written(&stream.requests), failure: stream.failure.clone() }
}

fn entries(list: Vec<Entry>) -> Result<HashMap<RequestKey, Recorded>, String> {
    let read = |entry: Entry| {
        let Entry { key: digits, draws, failure, there } = entry;
        let key = key(&digits).ok_or_else(|| format!("{digits:?} is no key of a request"))?;
        Ok((key, Recorded { draws: draws.into_iter().map(Draw::from).collect(), failure, there }))
    };
    list.into_iter().map(read).collect()
}

fn studied(entry: StudyEntry) -> Result<Studied, String> {
    let StudyEntry { name, settings, earlier, streams } = entry;
    if settings.version > SETTINGS_VERSION {
        return Err(format!("the study's settings have the unknown format {}", settings.version));
    }
    let read = |StreamEntry { purpose, requests, failure }| {
        Ok::<_, String>((purpose, Stream { requests: entries(requests)?, failure }))
    };
    let streams = streams.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(Studied { name, settings, earlier, streams })
}

impl From<StepAnswer> for StepEntry {
    fn from(answer: StepAnswer) -> Self {
        match answer {
            Ok(output) => StepEntry::Output(output),
            Err(error) => StepEntry::Error(error),
        }
    }
}

impl From<StepEntry> for StepAnswer {
    fn from(entry: StepEntry) -> Self {
        match entry {
            StepEntry::Output(output) => Ok(output),
            StepEntry::Error(error) => Err(error),
        }
    }
}

impl From<&Draw> for Row {
    fn from(d: &Draw) -> Self {
        Row(d.text.clone(), d.finish, d.prompt_tokens, d.decode_tokens, d.latency_us, d.prompt_shared_by)
    }
}

impl From<Row> for Draw {
    fn from(Row(text, finish, prompt_tokens, decode_tokens, latency_us, prompt_shared_by): Row) -> Self {
        Draw { text, finish, prompt_tokens, decode_tokens, latency_us, prompt_shared_by }
    }
}

/// A request's key from its 64 hexadecimal digits.
fn key(digits: &str) -> Option<RequestKey> {
    let mut key = [0; 32];
    if digits.len() != 2 * key.len() || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(RequestKey(key))
}
