//! The language model that answers the questions of methods, with every reply kept in a file, so that a comparison runs
//! again without the model.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use agenttts_core::text::hex;
use agenttts_core::{Archive, Message, Problem, Problems, Purpose, Space, Trial, TrialState};
use agenttts_search::{Ask, History, Question, Settings, Step, TaskText, place, searcher};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contestant::{Fault, Responder};
use crate::environment::Arena;

/// The version of a line of the file of replies.
const REPLIES_VERSION: u32 = 1;

/// Trials of an earlier study that methods learn from: as many as a usual search has.
const EARLIER_TRIALS: u32 = 50;

/// What methods that ask a language model need in a comparison.
#[derive(Clone, Default)]
pub struct Agents {
    /// Who answers; without one, methods that ask end with a fault.
    pub responder: Option<Arc<dyn Responder>>,
    /// Earlier studies of other tasks, for methods that learn from one.
    pub histories: Arc<Vec<History>>,
}

impl Agents {
    /// The earlier study that is most like a task: of those of other spaces the one that shares most of the names of
    /// stages and models. `None` where there is none.
    pub(crate) fn history(&self, space: &Space) -> Option<&History> {
        let names = |s: &Space| -> HashSet<String> {
            let stage = |p: &agenttts_core::PricedStage| {
                let models = p.stage.models.iter().map(|m| m.name.clone());
                models.chain([p.stage.name.clone()]).collect::<Vec<_>>()
            };
            s.stages().iter().flat_map(stage).collect()
        };
        let own = names(space);
        let likeness = |h: &History| {
            let other = names(&h.space);
            own.intersection(&other).count() as f64 / own.union(&other).count().max(1) as f64
        };
        let others = self.histories.iter().filter(|h| &h.space != space);
        others.rev().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    }
}

/// What an earlier study has learned in the arena: random plans, each on a usual number of examples.
pub fn earlier_study(arena: &Arena, seed: u64) -> History {
    let environment = &arena.environment;
    let (space, task) = (environment.space(), TaskText::default());
    let settings = Settings { seed, trials: Some(EARLIER_TRIALS), batch: EARLIER_TRIALS, ..Settings::default() };
    let mut archive = Archive::default();
    let mut session = environment.session(seed);
    if let Ok(Step::Propose { proposals, .. }) =
        searcher("random").map(|random| random.ask(&Ask::new(space, &archive, &settings, &task)))
    {
        for (number, proposal) in (1..).zip(proposals) {
            let examples = environment.usual_examples().min(environment.pool().unwrap_or(u32::MAX));
            let (stream, span) = place(&archive, &proposal.plan, Some(examples), environment.pool());
            let whole = agenttts_core::Span { first: 0, count: examples };
            let Some(measured) = session.measure(&proposal.plan, stream, span.unwrap_or(whole)) else { continue };
            archive.trials.push(Trial {
                number,
                round: 0,
                nominal_cost: space.cost_of(&proposal.plan).unwrap_or(agenttts_core::Cost::ZERO),
                plan: proposal.plan,
                origin: proposal.origin,
                stream,
                span,
                state: TrialState::Measured(Box::new(measured)),
            });
        }
    }
    History { task, space: space.clone(), archive }
}

/// A language model that is at hand.
pub trait AgentModel: Send + Sync {
    /// Its name, part of what a reply is known by.
    fn name(&self) -> &str;

    /// A reply drawn with the seed.
    ///
    /// # Errors
    /// Why the model cannot answer; nothing is kept then.
    fn reply(&self, question: &Question, seed: u32) -> Result<Drawn, Fault>;
}

/// A reply of a model, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The text.
    pub text: String,
    /// Seconds until it was there.
    pub seconds: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the reply.
    pub decode_tokens: u64,
}

/// The file of replies: what it holds is replayed, what is missing is asked and added.
pub struct Replies {
    path: PathBuf,
    model: Option<Box<dyn AgentModel>>,
    known: Mutex<HashMap<String, String>>,
    file: Mutex<File>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    /// Hash of prompt, schema and seed.
    key: String,
    model: String,
    seed: u64,
    round: u32,
    attempt: u32,
    purpose: Purpose,
    prompt: Vec<Message>,
    reply: String,
    seconds: f64,
    prompt_tokens: u64,
    decode_tokens: u64,
}

impl Replies {
    /// Opens the file; with a model it is made where it is missing, and a last line that was cut off is dropped.
    ///
    /// # Errors
    /// A file that cannot be read or is no file of replies, with the line; one of another model than the given.
    pub fn open(path: &Path, model: Option<Box<dyn AgentModel>>) -> Result<Self, Problems> {
        let cannot = |what: &str, e: std::io::Error| {
            let problem = Problem::new(format!("{} cannot be {what}: {e}", path.display()));
            Problems::from(problem.hint("--replies names a file of replies that --agent-model makes or goes on with"))
        };
        let mut options = OpenOptions::new();
        options.read(true).append(model.is_some()).create(model.is_some());
        let file = options.open(path).map_err(|e| cannot("opened", e))?;
        let (mut known, mut whole) = (HashMap::new(), 0u64);
        let mut reader = BufReader::new(&file);
        let mut number = 0;
        loop {
            let mut bytes = Vec::new();
            let length = reader.read_until(b'\n', &mut bytes).map_err(|e| cannot("read", e))?;
            if length == 0 {
                break;
            }
            number += 1;
            let line: Line = match serde_json::from_slice(&bytes) {
                Ok(line) => line,
                // Killed while it wrote.
                Err(_) if !bytes.ends_with(b"\n") => break,
                Err(e) => {
                    let problem = Problem::new(format!("{}:{number}: this is no reply: {e}", path.display()));
                    return Err(problem.hint("remove the line; what it held is asked again").into());
                }
            };
            if line.version > REPLIES_VERSION {
                let problem = Problem::new(format!("{}:{number} was written by a newer agenttts", path.display()));
                return Err(problem.hint("update agenttts").into());
            }
            if let Some(other) = model.as_ref().map(|m| m.name()).filter(|name| *name != line.model) {
                let problem = Problem::new(format!(
                    "{}:{number} holds replies of the model {:?}, but {other:?} is to answer",
                    path.display(),
                    line.model
                ));
                return Err(problem.hint("name another file for another model").into());
            }
            whole += length as u64;
            known.entry(line.key).or_insert(line.reply);
        }
        if model.is_some() {
            file.set_len(whole).map_err(|e| cannot("written", e))?;
        }
        Ok(Replies { path: path.to_owned(), model, known: Mutex::new(known), file: Mutex::new(file) })
    }

    fn keep(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().map_err(|_| std::io::Error::other("another run has failed"))?;
        file.write_all(&text)?;
        file.flush()
    }
}

impl Responder for Replies {
    fn answer(&self, question: &Question, seed: u64) -> Result<String, Fault> {
        let key = key(question, seed);
        if let Some(reply) = self.known.lock().ok().and_then(|known| known.get(&key).cloned()) {
            return Ok(reply);
        }
        let Some(model) = &self.model else {
            let message = format!(
                "{} holds no reply to the question of round {} with seed {seed}",
                self.path.display(),
                question.round
            );
            return Err(Fault::new(message).hint("name the model that is to answer: --agent-model NAME_OR_GGUF"));
        };
        // The key is a hash already: its beginning is as random as anything.
        let drawn = model.reply(question, u32::from_str_radix(&key[..8], 16).unwrap_or(0))?;
        let Drawn { text, seconds, prompt_tokens, decode_tokens } = drawn;
        let Question { round, attempt, purpose, .. } = *question;
        let line = Line {
            version: REPLIES_VERSION,
            key: key.clone(),
            model: model.name().to_owned(),
            seed,
            round,
            attempt,
            purpose,
            prompt: question.messages.clone(),
            reply: text.clone(),
            seconds,
            prompt_tokens,
            decode_tokens,
        };
        let lost = |_| Fault::new("another run failed while it kept a reply");
        let mut known = self.known.lock().map_err(lost)?;
        // Runs that ask the same at once all go by the reply that is kept.
        if let Some(reply) = known.get(&key) {
            return Ok(reply.clone());
        }
        self.keep(&line).map_err(|e| Fault::new(format!("{} cannot be written: {e}", self.path.display())))?;
        known.insert(key, text.clone());
        Ok(text)
    }
}

/// What a reply is known by: everything that the model is given.
fn key(question: &Question, seed: u64) -> String {
    let mut hash = Sha256::new();
    for part in [serde_json::to_vec(&question.messages), serde_json::to_vec(&question.schema)].into_iter().flatten() {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(seed.to_le_bytes());
    hex(&hash.finalize()[..16])
}
