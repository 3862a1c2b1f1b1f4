//! A whole tape played at once: every plan within the budget on every example, for benchmarks that then try plans
//! for nothing and count what they would have drawn.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use agenttts_core::{Measurement, Plan, RequestKey, Usage};
use async_trait::async_trait;

use super::replay::{TapeSource, bill, connect};
use super::{Recorded, Tape};
use crate::budget::lock;
use crate::code::Code;
use crate::error::EngineError;
use crate::execute::{Execution, Executor, ItemRun};
use crate::load::Loaded;
use crate::source::{DrawError, Got, Halt, Source, Want};
use crate::steps::Steps;
use crate::trial::measure;

/// The outcomes of all plans.
pub struct PlayedTape {
    loaded: Loaded,
    executor: Executor,
    plans: BTreeMap<Plan, PlayedPlan>,
    /// What was recorded of every request that any plan makes, by [`Need::request`].
    requests: Vec<Recorded>,
}

/// A plan's outcomes and needs, in the order of the search split, and its objectives in that of the test split.
struct PlayedPlan {
    executions: Vec<Execution>,
    needs: Vec<Vec<Need>>,
    test: Vec<f64>,
}

/// Draws that an example needs of one request: those with an index below `draws`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The request's number within the played tape: below [`PlayedTape::requests`].
    pub request: usize,
    /// How many of its draws.
    pub draws: u32,
}

impl PlayedTape {
    /// Plays all plans within the plan budget of `loaded`, which is [`Tape::load`]'s, perhaps under other overrides.
    /// Uses all cores; takes seconds for some hundred plans.
    ///
    /// # Errors
    /// Draws that the tape lacks; the tape of a study.
    pub fn new(tape: &Arc<Tape>, loaded: Loaded) -> Result<Self, EngineError> {
        tape.check_grid()?;
        let steps = Steps::taped(&loaded.pipeline, tape.steps.clone())?;
        let code = Code::of_tape(&loaded.pipeline)?;
        let executor = Executor::new(&loaded, connect(tape, &loaded.pipeline)?, steps).with_code(code);
        let plans: Vec<Plan> = loaded.space.feasible_indices().map(|options| loaded.space.plan(&options)).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = plans.len().div_ceil(threads).max(1);
        let parts = std::thread::scope(|scope| {
            let play = |part| {
                let (executor, loaded) = (&executor, &loaded);
                scope.spawn(move || futures::executor::block_on(play(tape, executor, loaded, part)))
            };
            let workers: Vec<_> = plans.chunks(share).map(play).collect();
            workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
        });
        let mut numbers: HashMap<RequestKey, usize> = HashMap::new();
        let mut requests = Vec::new();
        let mut played = BTreeMap::new();
        for part in parts {
            let part = part.map_err(|_| EngineError::Internal("a thread that played the tape ended".into()))??;
            for Part { plan, executions, keys, test } in part {
                let mut number = |(key, draws): (RequestKey, u32)| {
                    let request = *numbers.entry(key).or_insert_with(|| {
                        requests.push(tape.requests.get(&key).cloned().unwrap_or_default());
                        requests.len() - 1
                    });
                    Need { request, draws }
                };
                let needs = keys.into_iter().map(|keys| keys.into_iter().map(&mut number).collect()).collect();
                played.insert(plan, PlayedPlan { executions, needs, test });
            }
        }
        Ok(PlayedTape { loaded, executor, plans: played, requests })
    }

    /// The pipeline.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// All plans that were played.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.keys()
    }

    /// Examples of the search split.
    pub fn examples(&self) -> u32 {
        self.loaded.pipeline.search_split.examples.len() as u32
    }

    /// How many distinct requests the plans make.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// What a trial of the plan on the examples with these numbers of the search split measures, as a live one would, but
    /// that nothing is counted as drawn and no time passes. `None` for a plan that was not played or examples that are
    /// not there.
    pub fn measurement(&self, plan: &Plan, examples: &[u32]) -> Option<Measurement> {
        let all = &self.plans.get(plan)?.executions;
        let executions: Option<Vec<&Execution>> = examples.iter().map(|&e| all.get(e as usize)).collect();
        Some(measure(&self.executor, &executions?, 0.0))
    }

    /// The mean objective of the plan over all search examples.
    pub fn score(&self, plan: &Plan) -> Option<f64> {
        let executions = &self.plans.get(plan)?.executions;
        Some(executions.iter().map(|e| e.objective).sum::<f64>() / executions.len().max(1) as f64)
    }

    /// The objective of the plan on every example of the test split, in its order.
    pub fn test_scores(&self, plan: &Plan) -> Option<&[f64]> {
        self.plans.get(plan).map(|p| p.test.as_slice())
    }

    /// The draws that the plan needs for the example with that number of the search split; none for a plan that was not
    /// played.
    pub fn needs(&self, plan: &Plan, example: u32) -> &[Need] {
        self.plans.get(plan).and_then(|p| p.needs.get(example as usize)).map_or(&[], Vec::as_slice)
    }

    /// What drawing what `need` asks for costs when the first `have` draws are there already.
    pub fn bill(&self, need: Need, have: u32) -> Usage {
        let draws = self.requests.get(need.request).map_or(&[][..], |r| r.draws.as_slice());
        draws.get(have as usize..need.draws as usize).map_or_else(Usage::default, bill)
    }
}

/// A plan, its executions on the search split, the draws that each of them took, and its objectives on the test split.
struct Part {
    plan: Plan,
    executions: Vec<Execution>,
    keys: Vec<Vec<(RequestKey, u32)>>,
    test: Vec<f64>,
}

async fn play(tape: &Tape, executor: &Executor, loaded: &Loaded, plans: &[Plan]) -> Result<Vec<Part>, EngineError> {
    let mut parts = Vec::with_capacity(plans.len());
    for plan in plans {
        let mut part = Part { plan: plan.clone(), executions: Vec::new(), keys: Vec::new(), test: Vec::new() };
        for example in &loaded.pipeline.search_split.examples {
            let meter = Meter { source: TapeSource { tape }, tape, taken: Mutex::default() };
            let mut execution = ended(executor.execute(plan, example, 0, &meter).await)?;
            // Texts are on the tape; only what they came to is kept.
            for stage in &mut execution.stages {
                for run in &mut stage.runs {
                    *run = ItemRun { left_out: run.left_out, ..ItemRun::default() };
                }
            }
            part.executions.push(execution);
            part.keys.push(std::mem::take(&mut *lock(&meter.taken)));
        }
        for example in &loaded.pipeline.test_split.examples {
            part.test.push(ended(executor.execute(plan, example, 0, &TapeSource { tape }).await)?.objective);
        }
        parts.push(part);
    }
    Ok(parts)
}

fn ended(execution: Result<Execution, Halt>) -> Result<Execution, EngineError> {
    execution.map_err(|halt| match halt {
        Halt::Fatal(error) => error,
        Halt::Stopped | Halt::Limit { .. } => EngineError::Internal("a tape stopped".into()),
    })
}

/// The tape, with a note of what is taken from it.
struct Meter<'a> {
    source: TapeSource<'a>,
    tape: &'a Tape,
    taken: Mutex<Vec<(RequestKey, u32)>>,
}

#[async_trait]
impl Source for Meter<'_> {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let got = self.source.samples(want).await?;
        if let Some(identity) = self.tape.models.get(want.model) {
            lock(&self.taken).push((want.request.key(identity), want.n));
        }
        Ok(got)
    }
}
