//! Running the code of samples and outputs in the sandbox.
//!
//! A program is checked for valid syntax and then started as `python3 main.py`, with an empty input, in a folder of its
//! own. What became of it is known by its content for as long as a study runs, so a program that several samples, plans
//! or stages share runs once.

mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agenttts_core::{Enforced, Pipeline};
use agenttts_sandbox::{Enforcement, Guard, Job, Limits, Outcome, Runtime, Sandbox, SandboxError};
use agenttts_stage::{CodeFiles, Ran, code_files};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::budget::lock;
use crate::error::EngineError;

/// Checks the syntax of all Python files and then becomes `python3 MAIN`, so that both take one run.
const DRIVER: &str = include_str!("driver.py");

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CodeRun {
    /// Whether it ran without a traceback: see docs/sandbox.md for programs that wait, serve or never end.
    pub(crate) passed: bool,
    /// The same in words.
    pub(crate) why: String,
    /// Whether all of its Python files are valid.
    pub(crate) is_valid: bool,
    /// Its exit status; `None` where a signal or a limit ended it, or where it was not started.
    pub(crate) exit: Option<i32>,
    /// The limit for which it was ended.
    pub(crate) killed_by: Option<String>,
    /// The end of what it printed.
    pub(crate) stdout: String,
    /// The end of what it wrote to standard error.
    pub(crate) stderr: String,
    /// The last traceback, or why its syntax is not valid.
    pub(crate) traceback: Option<String>,
    /// What was held while it ran: files, network and so on.
    pub(crate) enforced: Vec<String>,
    /// What programs share that do the same, as far as their output tells.
    #[serde(skip)]
    pub(crate) behaviour: String,
}

impl CodeRun {
    /// As aggregators see it.
    pub(crate) fn ran(&self) -> Ran {
        Ran { is_valid: self.is_valid, passed: self.passed, behaviour: self.behaviour.clone() }
    }
}

/// Runs programs, no more at once than there are cores.
pub(crate) struct Code {
    sandbox: Sandbox,
    limits: Limits,
    turns: Semaphore,
    /// What became of each program; empty while its first run is under way.
    runs: Mutex<HashMap<CodeFiles, Arc<OnceCell<Arc<CodeRun>>>>>,
    /// Runs need the clock and the sockets of the runtime; who waits for them may be elsewhere.
    runtime: Handle,
}

impl Code {
    /// Programs of the `python3` that a shell would start here. With `allow_weak` they run even where the system cannot
    /// hold them.
    ///
    /// # Errors
    /// Where there is no Python, or no sandbox on this kind of system.
    pub(crate) fn new(allow_weak: bool) -> Result<Self, EngineError> {
        let sandbox = Sandbox::new(Runtime::python()?)?;
        Self::with_sandbox(if allow_weak { sandbox.allow_weaker() } else { sandbox })
    }

    /// Programs of a tape's samples, where the pipeline has any: samples are on the tape, and what they do is not.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of_tape(pipeline: &Pipeline) -> Result<Option<Arc<Self>>, EngineError> {
        Ok(pipeline.runs_code().then(|| Code::new(false)).transpose()?.map(Arc::new))
    }

    /// Programs in this sandbox.
    pub(crate) fn with_sandbox(sandbox: Sandbox) -> Result<Self, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Handle::try_current().map_err(|e| EngineError::Internal(format!("code cannot run: {e}")))?;
        Ok(Code { sandbox, limits: limits(), turns: Semaphore::new(cores), runs: Mutex::default(), runtime })
    }

    /// What this system holds, found by starting Python there.
    ///
    /// # Errors
    /// Where that is less than the minimum and weaker guards are not allowed, or a run cannot be started.
    pub(crate) async fn probe(&self) -> Result<Enforced, EngineError> {
        let job = Job::new(["python3", "-I", "-c", ""]).limits(self.limits.clone());
        Ok(enforced(&self.start(job).await?.enforced))
    }

    /// Runs the program that an output holds, or tells why it holds none.
    ///
    /// # Errors
    /// Where the sandbox cannot be used: a fault of the machine, never of the program.
    pub(crate) async fn run(&self, output: &Value) -> Result<Arc<CodeRun>, EngineError> {
        let files = match code_files(output) {
            Ok(files) => files,
            Err(none) => return Ok(Arc::new(verdict::not_started(none.to_string()))),
        };
        let cell = lock(&self.runs).entry(files.clone()).or_default().clone();
        let run = cell.get_or_try_init(|| async {
            let outcome = self.start(self.job(&files)).await?;
            Ok::<_, EngineError>(Arc::new(verdict::of(&outcome)))
        });
        run.await.cloned()
    }

    fn job(&self, files: &CodeFiles) -> Job {
        let scripts = files.files().keys().filter(|name| name.ends_with(".py")).map(String::as_str);
        let arguments = ["python3", "-I", "-W", "ignore", "-c", DRIVER, files.main()].into_iter().chain(scripts);
        let job = Job::new(arguments).limits(self.limits.clone());
        // Sets of strings have one order in all runs, so that programs that do the same print the same.
        let job = job.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
        files.files().iter().fold(job, |job, (name, text)| job.file(name, text))
    }

    /// Waits for a turn and runs. A launcher that stopped without an answer gets a second chance.
    async fn start(&self, job: Job) -> Result<Outcome, EngineError> {
        let _turn = self.turns.acquire().await.map_err(|e| EngineError::Internal(e.to_string()))?;
        match self.once(job.clone()).await {
            Err(EngineError::Sandbox(SandboxError::Broken(_))) => self.once(job).await,
            result => result,
        }
    }

    async fn once(&self, job: Job) -> Result<Outcome, EngineError> {
        let sandbox = self.sandbox.clone();
        // A set ends its tasks, and with them the run, when it is dropped.
        let mut tasks = JoinSet::new();
        tasks.spawn_on(async move { sandbox.run(&job).await }, &self.runtime);
        match tasks.join_next().await {
            Some(Ok(result)) => Ok(result?),
            Some(Err(error)) => Err(EngineError::Internal(format!("a run ended: {error}"))),
            None => Err(EngineError::Internal("a run did not begin".into())),
        }
    }
}

/// What a program may use: enough for what can be asked of a model, and for its start on a busy machine.
fn limits() -> Limits {
    Limits { cpu: Duration::from_secs(5), wall: Duration::from_secs(10), ..Limits::default() }
}

/// What held a run, as a study keeps it.
fn enforced(enforcement: &Enforcement) -> Enforced {
    let layers = |guard: &Guard| enforcement.layers(*guard).iter().map(ToString::to_string).collect();
    let guards: BTreeMap<String, Vec<String>> =
        enforcement.guards.keys().map(|guard| (guard.to_string(), layers(guard))).collect();
    let missing = enforcement.missing.iter().map(|m| (m.layer.to_string(), m.reason.clone())).collect();
    Enforced { kernel: enforcement.kernel.clone(), guards, missing }
}

#[cfg(test)]
mod tests;
