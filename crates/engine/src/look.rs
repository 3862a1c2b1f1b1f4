//! Looking at a study piece by piece: what `summary` says of it without its trials, and why an example got its answer.

mod index;
mod kept;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use agenttts_core::pipeline::Snapshot;
use agenttts_core::{Choice, Example, Finish, Message, StudyState, StudySummary, UnderWay};
use agenttts_stage::{CompiledStage, vote_key};
use agenttts_store::{
    DrawnSample, ItemOutcome, SpendTotals, StageOutcome, StepOutcome, Store, StoreError, StoreErrorKind,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::EngineError;
use crate::event::{Event, Leader, Spent};
use crate::load::Loaded;
use crate::settings::StudySettings;
use crate::study::parse;
use crate::summary::{StudyResult, outline};

pub use index::{Fate, Lead, PlanLine, TrialIndex, TrialLine};
pub use view::{MOST_EXPLAINED, Said, View};

/// Why a study cannot be looked at, for all who look at once.
pub type LookError = Arc<EngineError>;

/// Events that are looked through for the last one that tells how far a study is.
const LATEST: u32 = 200;

/// A study at a glance: what can be said of it without reading its trials.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Glance {
    /// Its id in the store.
    #[serde(skip)]
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The method.
    pub method: String,
    /// The agent's model, where the method has one.
    pub agent: Option<String>,
    /// Where it stands.
    pub state: StudyState,
    /// Whether a process runs it now: a study that is `running` and is not run was killed.
    pub is_run: bool,
    /// Why it stopped, in words.
    pub stop_reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Wall-clock seconds over all sessions.
    pub seconds: f64,
    /// Trials proposed.
    pub trials: u32,
    /// The most trials.
    pub most_trials: Option<u32>,
    /// The plan that leads by its own scores, as of the last measured trial.
    pub leader: Option<Leader>,
    /// What was spent, as of the last measured trial.
    pub spent: Option<Spent>,
    /// The number of its last event.
    pub last_event: i64,
    /// When that was, in milliseconds since 1970.
    pub last_event_ms: Option<i64>,
    /// How far the process that runs it is with the present trial, or with the final test.
    pub under_way: Option<UnderWay>,
}

/// A glance at every study of a store, oldest first.
pub fn glances(store: &Store) -> Result<Vec<Glance>, EngineError> {
    store.glances()?.into_iter().map(|row| glance(store, row)).collect()
}

fn glance(store: &Store, row: agenttts_store::StudyGlance) -> Result<Glance, EngineError> {
    let settings: StudySettings = parse(&row.settings)?;
    let events = store.last_events(row.id, LATEST)?;
    // Events of other versions say nothing here.
    let mut read = events.iter().filter_map(|(_, _, json)| serde_json::from_str::<Event>(json).ok());
    let measured = read.find_map(|event| match event {
        Event::TrialMeasured { leader, spent, .. } => Some((leader, spent)),
        _ => None,
    });
    let (leader, spent) = measured.unzip();
    let seconds = row.elapsed_ms as f64 / 1000.0;
    let is_run = row.state == StudyState::Running && store.is_run(&row.name);
    Ok(Glance {
        id: row.id,
        is_run,
        under_way: if is_run { store.under_way(&row.name) } else { None },
        name: row.name,
        pipeline: row.pipeline,
        method: settings.method,
        agent: settings.agent,
        state: row.state,
        stop_reason: row.stop_reason,
        started_ms: row.started_ms,
        seconds,
        trials: row.trials,
        most_trials: settings.search.trials,
        leader: leader.flatten(),
        spent,
        last_event: row.last_event,
        last_event_ms: events.first().map(|(_, ms, _)| *ms),
    })
}

/// A study that is looked at: its pipeline is read and checked once.
pub struct Looked {
    id: i64,
    name: String,
    loaded: Loaded,
}

impl Looked {
    /// Reads a study's pipeline.
    ///
    /// # Errors
    /// No such study, or one that another version wrote.
    pub fn read(store: &Store, study: &str) -> Result<Self, EngineError> {
        let row = store.study(study)?;
        let loaded = Loaded::new(parse::<Snapshot>(&row.snapshot)?)?;
        Ok(Looked { id: row.id, name: row.name, loaded })
    }

    /// Its id in the store.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// How it stands.
    ///
    /// # Errors
    /// A store that cannot be read, or from which the study is gone.
    pub fn glance(&self, store: &Store) -> Result<Glance, EngineError> {
        let row = store.glances()?.into_iter().find(|row| row.id == self.id);
        let row = row.ok_or_else(|| StoreError {
            kind: StoreErrorKind::NoStudy,
            path: None,
            detail: format!("there is no study {:?} any more", self.name),
        })?;
        glance(store, row)
    }

    /// Its pipeline.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Its summary without trials, guidelines, exchanges, and without what is said of them: quick, however many there are.
    /// The recommended plan is in it once the study has ended. `totals` is what it spent.
    pub fn outline(&self, store: &Store, totals: &SpendTotals) -> Result<StudySummary, EngineError> {
        let row = store.study(&self.name)?;
        let settings: StudySettings = parse(&row.settings)?;
        let result: Option<StudyResult> = row.result.as_deref().map(parse).transpose()?;
        let (recommended, confirmation) = result.map(StudyResult::into_parts).unzip();
        outline(store, &row, &self.loaded, &settings, (recommended, confirmation.flatten()), totals)
    }

    /// Why a trial gave an example the answer that it has; `None` where the trial did not run on it.
    pub fn example(&self, store: &Store, trial: u32, example: &str) -> Result<Option<ExampleTrace>, EngineError> {
        let plan = store.trials_of(self.id, &[trial])?.pop().map(|t| t.plan);
        let (Some(plan), Some(outcome)) = (plan, store.outcome(self.id, trial, example)?) else { return Ok(None) };
        let pipeline = &self.loaded.pipeline;
        let unknown = Example { id: example.to_owned(), line: 0, fields: Map::new() };
        let asked = pipeline.search_split.examples.iter().find(|e| e.id == example).unwrap_or(&unknown);
        let mut stages = Vec::with_capacity(outcome.stages.len());
        for ((index, stage), choice) in outcome.stages.into_iter().enumerate().zip(&plan.choices) {
            let compiled = &self.loaded.stages[index];
            stages.push(stage_trace(store, compiled, asked, choice, stage)?);
        }
        Ok(Some(ExampleTrace {
            example: outcome.example,
            fields: asked.fields.clone(),
            objective: outcome.objective,
            cost: outcome.cost,
            failure: outcome.failure,
            stages,
            steps: outcome.steps,
        }))
    }
}

/// What a trial did with one example.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExampleTrace {
    /// The example's id.
    pub example: String,
    /// Its fields.
    pub fields: Map<String, Value>,
    /// The objective.
    pub objective: f64,
    /// What one such query costs, in units of the study's cost model.
    pub cost: f64,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// Every stage that it reached.
    pub stages: Vec<StageLook>,
    /// The steps that gave an output, by name.
    pub steps: BTreeMap<String, StepOutcome>,
}

/// What a stage did with it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StageLook {
    /// The stage's name.
    pub stage: String,
    /// What the plan chose for it.
    pub choice: Choice,
    /// Its output.
    pub output: Option<Value>,
    /// Its metric.
    pub score: Option<f64>,
    /// Whether its condition kept it from running.
    pub skipped: bool,
    /// Its runs: one as a rule, one for each item where it runs for items.
    pub runs: Vec<RunLook>,
}

/// One run of a stage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunLook {
    /// What was sent to the model; absent where nothing was drawn.
    pub prompt: Option<Vec<Message>>,
    /// The samples, as they were drawn.
    pub samples: Vec<SampleLook>,
    /// The share of samples that agree with the output.
    pub support: Option<f64>,
    /// The different answers, the most frequent first.
    pub answers: Vec<Votes>,
    /// What was asked to combine the samples, and the reply, where a model did that.
    pub combined: Option<CombinedLook>,
}

/// A sample and what was read of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SampleLook {
    /// Its text.
    pub text: String,
    /// What was read of it.
    pub parsed: Option<Value>,
    /// Why nothing could be read.
    pub unread: Option<String>,
    /// Which of [`RunLook::answers`] it votes for.
    pub answer: Option<usize>,
    /// How it ended.
    pub finish: Finish,
    /// Tokens of the whole prompt.
    pub prompt_tokens: u32,
    /// Tokens decoded.
    pub decode_tokens: u32,
    /// Seconds from the start of the call to the end of the draw.
    pub seconds: f64,
}

/// An answer, and how many samples gave it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Votes {
    /// The answer in the words of the earliest sample.
    pub answer: Value,
    /// Samples.
    pub votes: usize,
    /// Whether it is the run's answer, where the stage has one run and its output is one sample's.
    pub won: bool,
}

/// A fusion or a judgement.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CombinedLook {
    /// What was asked.
    pub prompt: Option<Vec<Message>>,
    /// The reply.
    pub reply: SampleLook,
}

fn stage_trace(
    store: &Store,
    compiled: &CompiledStage,
    example: &Example,
    choice: &Choice,
    outcome: StageOutcome,
) -> Result<StageLook, EngineError> {
    let StageOutcome { output, score, support, samples, combined, items, skipped } = outcome;
    let once = (!samples.is_empty()).then_some(ItemOutcome { support, samples, combined });
    let (runs, won) = match items {
        Some(items) => (items, None),
        None => (once.into_iter().collect(), output.as_ref().map(vote_key)),
    };
    let runs: Result<Vec<RunLook>, EngineError> =
        runs.into_iter().map(|run| run_trace(store, compiled, example, run, won.as_deref())).collect();
    Ok(StageLook { stage: compiled.name().to_owned(), choice: choice.clone(), output, score, skipped, runs: runs? })
}

fn run_trace(
    store: &Store,
    compiled: &CompiledStage,
    example: &Example,
    run: ItemOutcome,
    won: Option<&str>,
) -> Result<RunLook, EngineError> {
    let drawn = store.drawn(&run.samples)?;
    let prompt = drawn.first().map(|d| store.request(&d.request)).transpose()?.flatten().map(|r| r.messages);
    let mut samples: Vec<SampleLook> = drawn.iter().map(|d| sample_look(compiled, example, d)).collect();
    let mut answers: Vec<Votes> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for sample in &mut samples {
        let Some(parsed) = &sample.parsed else { continue };
        let key = vote_key(parsed);
        let is_won = won == Some(key.as_str());
        let place = *places.entry(key).or_insert_with(|| {
            answers.push(Votes { answer: parsed.clone(), votes: 0, won: is_won });
            answers.len() - 1
        });
        answers[place].votes += 1;
        sample.answer = Some(place);
    }
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(answers[i].votes));
    for sample in &mut samples {
        sample.answer = sample.answer.and_then(|answer| order.iter().position(|&i| i == answer));
    }
    let answers = order.iter().map(|&i| answers[i].clone()).collect();
    let combined = match run.combined {
        Some(id) => store.drawn(&[id])?.pop(),
        None => None,
    };
    let combined = match combined {
        Some(reply) => Some(CombinedLook {
            prompt: store.request(&reply.request)?.map(|r| r.messages),
            reply: sample_look(compiled, example, &reply),
        }),
        None => None,
    };
    Ok(RunLook { prompt, samples, support: run.support, answers, combined })
}

fn sample_look(compiled: &CompiledStage, example: &Example, drawn: &DrawnSample) -> SampleLook {
    let draw = &drawn.sample.draw;
    let (parsed, unread) = match compiled.read(&draw.text, example).parsed {
        Ok(value) => (Some(value), None),
        Err(failure) => (None, Some(failure.to_string())),
    };
    SampleLook {
        text: draw.text.clone(),
        parsed,
        unread,
        answer: None,
        finish: draw.finish,
        prompt_tokens: draw.prompt_tokens,
        decode_tokens: draw.decode_tokens,
        seconds: draw.latency_us as f64 / 1e6,
    }
}
