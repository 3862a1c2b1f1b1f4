//! Outside optimisers that are written in Python: Optuna and SMAC, behind `peers/peer.py`.
//!
//! They run in processes of their own and are trusted with nothing: an answer that is late, broken or no plan ends the
//! run with a [`Fault`], and the other runs go on.

mod process;
mod study;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::contestant::{Contestant, Entry, Fault, Outside, Peer, PeerFactory, Sizes};
use process::Process;
use study::Study;

/// The outside optimisers. `+init` begins with the initial trials of insight 1, as our own methods do.
pub const PEERS: [&str; 6] = ["optuna-tpe", "optuna-gp", "smac", "optuna-tpe+init", "optuna-gp+init", "smac+init"];

/// The program that answers on the other side.
const SCRIPT: &str = include_str!("../../peers/peer.py");

/// What sets the Python environment up.
const SETUP: &str = "cargo xtask bench-peers";

/// Whether an outside optimiser has that name, `@N` at its end left aside.
pub fn is_peer(name: &str) -> bool {
    PEERS.contains(&split(name).0)
}

/// The outside optimiser of a name, such as `optuna-tpe`, `smac+init` or `optuna-gp@25`; `None` if there is none.
pub fn peer(name: &str, processes: &Arc<PeerProcesses>) -> Option<Box<dyn Contestant>> {
    let (plain, examples) = split(name);
    let plain = PEERS.iter().find(|p| **p == plain)?;
    let (sampler, initial) = match plain.strip_suffix("+init") {
        Some(sampler) => (sampler, true),
        None => (*plain, false),
    };
    let sizes = match examples {
        Some(text) => Sizes::Fixed(text.parse().ok().filter(|n| *n >= 1)?),
        // These take half a second and more to propose: four sizes with up to 500 trials would be ten minutes a run.
        None if sampler != "optuna-tpe" => Sizes::Usual,
        None => Sizes::BestOf,
    };
    let factory = Factory { name: name.to_owned(), sampler: sampler.to_owned(), initial, processes: processes.clone() };
    Some(Box::new(Outside(factory, sizes)))
}

/// The Python of the environment that `cargo xtask bench-peers` makes: below the folder named by `AGENTTTS_PEERS`, else
/// below `agenttts/peers` in the user's cache. `env` looks up a variable.
///
/// # Errors
/// It is not there.
pub fn peer_python(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<PathBuf, Fault> {
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = set("AGENTTTS_PEERS").or_else(|| cache().map(|cache| cache.join("agenttts").join("peers")));
    let unknown = || Fault::new("no folder for outside optimisers is known").hint("set HOME or AGENTTTS_PEERS");
    let folder = folder.ok_or_else(unknown)?;
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !python.exists() {
        let missing = format!("Optuna and SMAC are not set up: {} is not there", python.display());
        return Err(Fault::new(missing).hint(format!("run `{SETUP}` in a checkout; it needs Python 3.11 or newer")));
    }
    Ok(python)
}

/// Name and number of examples of `NAME@N`.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(plain, n)| (plain, Some(n)))
}

/// The processes that optimisers run in. One serves many runs, because importing takes longer than a run.
pub struct PeerProcesses {
    program: PathBuf,
    arguments: Vec<String>,
    patience: Patience,
    idle: Mutex<Vec<Process>>,
    /// Samplers that hung: each further run would wait as long again.
    hung: Mutex<BTreeSet<String>>,
}

/// How long a process may take before it counts as hung.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From its start to its first answer: it imports its libraries.
    pub start: Duration,
    /// For any other answer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { start: Duration::from_secs(300), answer: Duration::from_secs(300) }
    }
}

impl PeerProcesses {
    /// Processes of this Python, with the shipped script.
    pub fn new(python: &Path) -> Self {
        let arguments = ["-P", "-X", "utf8", "-c", SCRIPT].map(str::to_owned);
        Self::of(python, arguments.into(), Patience::default())
    }

    /// Processes of any program that speaks the protocol.
    pub fn of(program: &Path, arguments: Vec<String>, patience: Patience) -> Self {
        let (idle, hung) = (Mutex::default(), Mutex::default());
        PeerProcesses { program: program.to_owned(), arguments, patience, idle, hung }
    }

    /// A process that has the sampler, waiting for a study: an idle one, or a new one.
    fn take(&self, sampler: &str) -> Result<Process, Fault> {
        if self.hung.lock().unwrap_or_else(PoisonError::into_inner).contains(sampler) {
            let message = format!("{sampler} hung in another run, so it was not started for this one");
            return Err(Fault::new(message).hint("see what that run says"));
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let process = match idle {
            Some(process) => process,
            None => {
                let mut process = Process::start(&self.program, &self.arguments)?;
                let hello = process.ask("hello", json!({}), self.patience.start);
                process.hello = hello.inspect_err(|_| self.note_end(sampler, &process))?;
                process
            }
        };
        let version = process.hello.get("samplers").and_then(|s| s.get(sampler));
        if version.is_none_or(Value::is_null) {
            let absent = format!("{sampler} is not installed for {}", self.program.display());
            let option = if sampler == "optuna-gp" { " --gp" } else { "" };
            self.give_back(process);
            return Err(Fault::new(absent).hint(format!("run `{SETUP}{option}`")));
        }
        Ok(process)
    }

    /// Notes how a process failed that ran the sampler.
    fn note_end(&self, sampler: &str, process: &Process) {
        if process.has_hung {
            self.hung.lock().unwrap_or_else(PoisonError::into_inner).insert(sampler.to_owned());
        }
    }

    fn give_back(&self, process: Process) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }
}

struct Factory {
    name: String,
    sampler: String,
    initial: bool,
    processes: Arc<PeerProcesses>,
}

impl PeerFactory for Factory {
    fn name(&self) -> &str {
        &self.name
    }

    fn start<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Peer + 'a>, Fault> {
        let process = self.processes.take(&self.sampler)?;
        let mut told = Map::new();
        told.insert("sampler".to_owned(), self.sampler.as_str().into());
        told.insert("seed".to_owned(), entry.seed.into());
        told.append(&mut study::described(entry.space, self.initial));
        let mut study = Study::new(&self.processes, &self.sampler, process, entry.space);
        study.exchange("new", Value::Object(told))?;
        Ok(Box::new(study))
    }
}

#[cfg(test)]
mod tests;
