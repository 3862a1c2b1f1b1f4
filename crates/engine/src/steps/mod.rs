//! Steps: computations between stages that call no model. They are taken to be pure: equal inputs are computed once in a
//! process, and a tape plays what they gave when it was recorded.

mod command;
mod process;
mod workplace;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use agenttts_core::pipeline::{Node, Pipeline, StepKind};
use agenttts_core::{Example, RequestKey};
use agenttts_models::{ModelError, ModelErrorKind};
use agenttts_stage::CompiledStep;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::budget::lock;
use crate::code::Code;
use crate::error::EngineError;
use crate::load::Loaded;
use crate::source::Halt;
use command::{NoOutput, Program};
pub(crate) use workplace::{changed_programs, workplace};

/// The version of the lines that programs get.
const LINE_VERSION: u32 = 1;

/// Answers are forgotten when they are more than this many bytes of JSON together.
const MOST_REMEMBERED: usize = 256 << 20;

/// The steps of a pipeline, ready to run. Clones share programs and answers.
#[derive(Clone)]
pub(crate) struct Steps {
    inner: Arc<Inner>,
}

struct Inner {
    steps: Vec<Step>,
    known: Mutex<Known>,
    /// Whether all answers are kept, for a tape.
    keeps_all: AtomicBool,
    /// Whether failures that may pass are forgotten.
    forgives: AtomicBool,
}

struct Step {
    name: String,
    /// The stages and steps whose outputs it gets.
    reads: Vec<String>,
    action: Action,
}

enum Action {
    Program(Program),
    /// Runs a program that a model wrote.
    Code(CompiledStep),
    /// What is not known already is not to be had.
    Tape,
}

#[derive(Default)]
struct Known {
    answers: HashMap<RequestKey, StepAnswer>,
    bytes: usize,
    /// Failures that may pass.
    lost: Vec<String>,
}

/// What a step gave for one input: an output, or the reason that it told for having none.
pub(crate) type StepAnswer = Result<Value, String>;

/// A step that was run.
#[derive(Clone, Debug)]
pub(crate) struct StepRun {
    pub(crate) output: Value,
    /// Seconds that it took; none where the answer was known.
    pub(crate) seconds: f64,
}

/// Why a step has no output.
#[derive(Debug)]
pub(crate) enum StepFailure {
    /// The example fails.
    Failed(String),
    /// It fails by a fault of the step's program, which may pass.
    Lost(String),
    /// All must stop.
    Halt(Halt),
}

impl Steps {
    /// Steps that are computed. Nothing is started yet.
    ///
    /// # Errors
    /// Programs that are not there.
    pub(crate) fn live(loaded: &Loaded) -> Result<Self, EngineError> {
        let folder = loaded.snapshot.workplace.as_ref().map_or("", |w| w.folder.as_str());
        Steps::new(&loaded.pipeline, Known::default(), |index, name, kind| match kind {
            StepKind::Command(spec) => Ok(Action::Program(Program::find(name, spec, Path::new(folder))?)),
            StepKind::Python(_) => match loaded.steps.get(index).cloned().flatten() {
                Some(step) => Ok(Action::Code(step)),
                None => Err(EngineError::Internal(format!("step {name:?} was not compiled"))),
            },
        })
    }

    /// Steps that a tape plays.
    pub(crate) fn taped(pipeline: &Pipeline, answers: HashMap<RequestKey, StepAnswer>) -> Result<Self, EngineError> {
        Steps::new(pipeline, Known { answers, ..Known::default() }, |_, _, _| Ok(Action::Tape))
    }

    fn new(
        pipeline: &Pipeline,
        known: Known,
        action: impl Fn(usize, &str, &StepKind) -> Result<Action, EngineError>,
    ) -> Result<Self, EngineError> {
        let steps = pipeline.steps.iter().enumerate().map(|(i, spec)| {
            let reads =
                pipeline.upstream(Node::Step(i)).into_iter().map(|n| pipeline.node_name(n).to_owned()).collect();
            Ok(Step { name: spec.name.clone(), reads, action: action(i, &spec.name, &spec.kind)? })
        });
        let steps = steps.collect::<Result<Vec<_>, EngineError>>()?;
        let (keeps_all, forgives) = Default::default();
        Ok(Steps { inner: Arc::new(Inner { steps, known: Mutex::new(known), keeps_all, forgives }) })
    }

    /// From now on all answers are kept, however many they are.
    pub(crate) fn keep_all(&self) {
        self.inner.keeps_all.store(true, Ordering::Relaxed);
    }

    /// From now on a failure that may pass is not remembered: whoever asks the same again has it tried again. Searches
    /// remember, as it would take as long again and plans would not be compared alike.
    pub(crate) fn forgive(&self) {
        self.inner.forgives.store(true, Ordering::Relaxed);
    }

    /// Takes an answer that is known from elsewhere: it is not computed again.
    pub(crate) fn learn(
        &self,
        index: usize,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        answer: &StepAnswer,
    ) {
        let step = &self.inner.steps[index];
        self.remember(step.key(&step.line(example, outputs)), answer);
    }

    /// The answers that are kept, and the failures among them that may pass.
    pub(crate) fn kept(&self) -> (HashMap<RequestKey, StepAnswer>, Vec<String>) {
        let known = lock(&self.inner.known);
        (known.answers.clone(), known.lost.clone())
    }

    /// Runs step `index`. `outputs` holds the outputs of stages and steps by name; it gets those that it depends on. `code`
    /// runs the programs of steps that have any.
    pub(crate) async fn run(
        &self,
        index: usize,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        code: Option<&Code>,
    ) -> Result<StepRun, StepFailure> {
        let step = &self.inner.steps[index];
        let line = step.line(example, outputs);
        let key = step.key(&line);
        let known = || lock(&self.inner.known).answers.get(&key).cloned();
        if let Some(answer) = known() {
            return answer.map(|output| StepRun { output, seconds: 0.0 }).map_err(StepFailure::Failed);
        }
        let forgives = self.inner.forgives.load(Ordering::Relaxed);
        let start = Instant::now();
        let asked = match &step.action {
            Action::Program(program) => program.ask(&line, forgives, known).await,
            Action::Code(step) => run_code(step, example, outputs, code).await,
            Action::Tape => return Err(not_on_tape(&step.name)),
        };
        let answer = match asked {
            Ok(output) => Ok(output),
            Err(NoOutput::Said(error)) => Err(error),
            Err(NoOutput::Lost(message)) if forgives => return Err(StepFailure::Lost(message)),
            Err(NoOutput::Lost(message)) => {
                lock(&self.inner.known).lost.push(format!("{}: {message}", step.name));
                Err(message)
            }
            Err(NoOutput::Broken(error)) => return Err(StepFailure::Halt(Halt::Fatal(error))),
        };
        let seconds = start.elapsed().as_secs_f64();
        self.remember(key, &answer);
        answer.map(|output| StepRun { output, seconds }).map_err(StepFailure::Failed)
    }

    fn remember(&self, key: RequestKey, answer: &StepAnswer) {
        let size = answer.as_ref().map_or_else(String::len, |output| output.to_string().len());
        let mut known = lock(&self.inner.known);
        if known.bytes + size > MOST_REMEMBERED && !self.inner.keeps_all.load(Ordering::Relaxed) {
            known.answers.clear();
            known.bytes = 0;
        }
        known.bytes += size;
        known.answers.insert(key, answer.clone());
    }
}

impl Step {
    /// The line that the program reads.
    fn line(&self, example: &Example, outputs: &BTreeMap<String, Value>) -> Vec<u8> {
        let read: BTreeMap<&str, &Value> =
            self.reads.iter().filter_map(|name| Some((name.as_str(), outputs.get(name)?))).collect();
        let line = json!({"version": LINE_VERSION, "id": example.id, "example": example.fields, "outputs": read});
        let mut line = line.to_string().into_bytes();
        line.push(b'\n');
        line
    }

    /// What tells this computation from others.
    fn key(&self, line: &[u8]) -> RequestKey {
        let digest = Sha256::new().chain_update(self.name.as_bytes()).chain_update([0]).chain_update(line).finalize();
        RequestKey(digest.into())
    }
}

/// The outcome of the program that a step's expression gives, as an object.
async fn run_code(
    step: &CompiledStep,
    example: &Example,
    outputs: &BTreeMap<String, Value>,
    code: Option<&Code>,
) -> Result<Value, NoOutput> {
    let internal = |message: String| NoOutput::Broken(EngineError::Internal(message));
    let program = step.program(example, outputs).map_err(|error| NoOutput::Said(error.to_string()))?;
    let code = code.ok_or_else(|| internal("the code of a step has no sandbox".into()))?;
    let run = code.run(&program).await.map_err(NoOutput::Broken)?;
    serde_json::to_value(&*run).map_err(|error| internal(error.to_string()))
}

fn not_on_tape(step: &str) -> StepFailure {
    let message = format!("step {step:?} cannot be played for this input: not on the tape");
    let hint = "search the pipeline that was recorded, unchanged, or record it again with `agenttts bench record`";
    let error = ModelError::new(ModelErrorKind::NotOnTape, message).hint(hint);
    StepFailure::Halt(Halt::Fatal(EngineError::Model(error)))
}
