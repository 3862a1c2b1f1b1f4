//! The tape's file: a line of text with the format's version, then a gzip stream of one JSON document.
//!
//! gzip's checksum and length tell a damaged or truncated file from a whole one. Readers refuse newer versions; fields
//! are only added, with defaults.

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

use super::{Recorded, Tape};
use crate::error::EngineError;
use crate::steps::StepAnswer;

/// The version of the tape's format.
pub const TAPE_VERSION: u32 = 1;

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
        let mut requests = HashMap::with_capacity(document.requests.len());
        for entry in document.requests {
            let key = key(&entry.key).ok_or_else(|| damaged(format!("{:?} is no key of a request", entry.key)))?;
            let draws = entry.draws.into_iter().map(Draw::from).collect();
            requests.insert(key, Recorded { draws, failure: entry.failure });
        }
        let mut steps = HashMap::with_capacity(document.steps.len());
        for (digits, entry) in document.steps {
            let key = key(&digits).ok_or_else(|| damaged(format!("{digits:?} is no key of a step")))?;
            steps.insert(key, entry.into());
        }
        let Document { program, models, snapshot, .. } = document;
        Ok(Tape { snapshot, models, program, requests, steps })
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
        out.extend_from_slice(format!("{TAPE_VERSION}\n").as_bytes());
        let mut packer = GzEncoder::new(out, Compression::best());
        packer.write_all(&self.document().map_err(|e| failed(e.to_string()))?).map_err(|e| failed(e.to_string()))?;
        packer.finish().map_err(|e| failed(e.to_string()))
    }

    /// What distinguishes this tape from others: the first digits of a hash over all that it holds.
    pub fn digest(&self) -> String {
        // Serialising plain data with string keys into memory cannot fail.
        hex(&Sha256::digest(self.document().unwrap_or_default())[..6])
    }

    fn document(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut keys: Vec<&RequestKey> = self.requests.keys().collect();
        keys.sort_unstable();
        let entry = |key: &RequestKey| {
            let recorded = &self.requests[key];
            let draws = recorded.draws.iter().map(Row::from).collect();
            Entry { key: key.to_string(), draws, failure: recorded.failure.clone() }
        };
        serde_json::to_vec(&Document {
            program: self.program.clone(),
            models: self.models.clone(),
            snapshot: self.snapshot.clone(),
            requests: keys.into_iter().map(entry).collect(),
            steps: self.steps.iter().map(|(key, answer)| (key.to_string(), answer.clone().into())).collect(),
        })
    }
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
