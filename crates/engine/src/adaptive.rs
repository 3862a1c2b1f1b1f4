//! What ending votes early saves, and what it does to the answers: every plan of a tape with all its samples and with as
//! many as its votes take, on the same draws.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use agenttts_core::{Aggregator, Choice, Estimate, Example, Plan, Usage};
use agenttts_store::Limits;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::direct::{Direct, Meter};
use crate::error::EngineError;
use crate::execute::{Adaptive, Execution, Executor};
use crate::source::Halt;
use crate::streams::{Purpose, stream};
use crate::tape::Tape;
use crate::workshop::{ModelSet, Workshop};

/// The version of [`AdaptiveReport`]'s JSON.
pub const ADAPTIVE_VERSION: u32 = 1;

/// What ending votes early does on a tape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveReport {
    /// [`ADAPTIVE_VERSION`].
    pub version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The accepted probability for a vote to come out otherwise.
    pub error: f64,
    /// Examples, of both splits.
    pub examples: u32,
    /// One row for every largest number of samples that plans draw for a vote.
    pub rows: Vec<AdaptiveRow>,
}

/// Plans whose largest vote has the same number of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveRow {
    /// That number.
    pub samples: u32,
    /// How many plans.
    pub plans: u32,
    /// The share of draws that is saved.
    pub draws_saved: f64,
    /// The share of decoded tokens that is saved.
    pub decoded_saved: f64,
    /// The share of prompt tokens that is saved; negative where prompts are paid again for later draws of a vote.
    pub prompt_saved: f64,
    /// The share of the plans' cost that is saved, in their cost model, no prompt being kept by the model's server.
    pub cost_saved: f64,
    /// The share of examples whose output differs.
    pub changed: f64,
    /// The objective with votes ended early minus that with all samples: mean over the plans, paired by example.
    pub difference: Estimate,
}

/// Runs every plan of a grid's tape both ways.
///
/// # Errors
/// A tape that is not of a grid, and what keeps it from being played.
pub async fn adaptive(tape: &Arc<Tape>, error: f64) -> Result<AdaptiveReport, EngineError> {
    let loaded = tape.load()?;
    let workshop = Workshop::new(PathBuf::new()).with_tape(tape.clone());
    tape.check_grid()?;
    let models = workshop.connect(&loaded.pipeline)?;
    let code = Code::of_tape(&loaded.pipeline)?;
    let all = Executor::new(&loaded, models.clone(), workshop.steps(&loaded)?).with_code(code);
    let early = all.clone().with_adaptive(Some(Adaptive { error }));
    let draws = stream(loaded.pipeline.search.seed, Purpose::Trial(0));
    let (search, test) = (&loaded.pipeline.search_split.examples, &loaded.pipeline.test_split.examples);
    let examples: Vec<&Example> = search.iter().chain(test).collect();
    let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
    for options in loaded.space.feasible_indices() {
        let plan = loaded.space.plan(&options);
        let Some(samples) = largest_vote(&plan) else { continue };
        let sum = sums.entry(samples).or_insert_with(|| Sum::new(examples.len()));
        sum.plans += 1;
        let run = |example| both(&models, (&all, &early), &plan, example, draws);
        let runs: Vec<_> = futures::stream::iter(examples.iter().copied().map(run)).buffered(16).collect().await;
        for (place, run) in runs.into_iter().enumerate() {
            match run {
                Ok((whole, early)) => sum.add(place, &whole, &early),
                Err(Halt::Fatal(error)) => return Err(error),
                Err(_) => return Err(EngineError::Internal("a tape was stopped".into())),
            }
        }
    }
    if sums.is_empty() {
        return Err(EngineError::input(
            "no plan of this tape draws several samples for a vote",
            "record a pipeline whose stages vote over two samples or more",
        ));
    }
    Ok(AdaptiveReport {
        version: ADAPTIVE_VERSION,
        pipeline: loaded.pipeline.name.clone(),
        error,
        examples: examples.len() as u32,
        rows: sums.into_iter().map(|(samples, sum)| sum.row(samples)).collect(),
    })
}

/// One example through a plan, with all samples and with votes that end early.
async fn both(
    models: &ModelSet,
    (all, early): (&Executor, &Executor),
    plan: &Plan,
    example: &Example,
    draws: u64,
) -> Result<(Execution, Execution), Halt> {
    let meter = Meter::default();
    let source = Direct { models, meter: &meter, limits: Limits::default() };
    let whole = all.execute(plan, example, draws, &source).await?;
    Ok((whole, early.execute(plan, example, draws, &source).await?))
}

/// The most samples that the plan draws for a vote that can be ended early.
fn largest_vote(plan: &Plan) -> Option<u32> {
    let ends_early = |c: &&Choice| {
        matches!(c.aggregator, Aggregator::First | Aggregator::Vote) && c.samples > 1 && !c.temperature.is_greedy()
    };
    plan.choices.iter().filter(ends_early).map(|c| c.samples).max()
}

/// Both ways, summed over plans and examples.
struct Sum {
    plans: u32,
    draws: [u64; 2],
    usage: [Usage; 2],
    cost: [f64; 2],
    changed: u64,
    /// For every example, the sum over plans.
    differences: Vec<f64>,
}

impl Sum {
    fn new(examples: usize) -> Self {
        Sum {
            plans: 0,
            draws: [0; 2],
            usage: [Usage::default(); 2],
            cost: [0.0; 2],
            changed: 0,
            differences: vec![0.0; examples],
        }
    }

    fn add(&mut self, place: usize, whole: &Execution, early: &Execution) {
        for (way, run) in [whole, early].into_iter().enumerate() {
            self.draws[way] += run.stages.iter().flat_map(|s| &s.runs).map(|r| r.samples.len() as u64).sum::<u64>();
            self.usage[way] += run.fresh;
            self.cost[way] += run.cost_units;
        }
        let output = |run: &Execution| run.stages.last().and_then(|s| s.output.clone());
        self.changed += u64::from(output(whole) != output(early));
        self.differences[place] += early.objective - whole.objective;
    }

    fn row(self, samples: u32) -> AdaptiveRow {
        let saved = |[whole, early]: [f64; 2]| if whole > 0.0 { 1.0 - early / whole } else { 0.0 };
        let plans = f64::from(self.plans);
        let differences: Vec<f64> = self.differences.iter().map(|d| d / plans).collect();
        AdaptiveRow {
            samples,
            plans: self.plans,
            draws_saved: saved(self.draws.map(|d| d as f64)),
            decoded_saved: saved(self.usage.map(|u| u.decode as f64)),
            prompt_saved: saved(self.usage.map(|u| u.prompt as f64)),
            cost_saved: saved(self.cost),
            changed: self.changed as f64 / (plans * differences.len() as f64),
            difference: Estimate::of_values(&differences),
        }
    }
}
