//! What the stored samples of a study's trials took, and what that costs and how long it lasts under any terms.

use std::collections::{BTreeSet, HashMap};

use agenttts_core::{Aggregator, Archive, Cost, CostModel, Estimate, Pipeline, Plan, Space, Trial, TrialState};
use agenttts_store::{ExampleOutcome, Store, Taking};

use crate::error::EngineError;
use crate::execute::{Taken, call_tokens};
use crate::load::Loaded;

/// What every measured trial drew or found in the bank.
pub(super) struct Takings {
    trials: Vec<DrawnTrial>,
}

struct DrawnTrial {
    number: u32,
    plan: Plan,
    examples: Vec<Vec<StageDraws>>,
}

/// The samples of a stage for one example, and the call that combined them.
#[derive(Clone, Debug, Default)]
struct StageDraws {
    samples: Vec<Taking>,
    combined: Option<Taking>,
}

impl StageDraws {
    /// Seconds until the slowest sample and then the combined answer were there.
    fn seconds(&self, first: usize) -> f64 {
        let samples = self.samples.iter().take(first).map(|t| t.latency_us).max().unwrap_or(0);
        (samples + self.combined.map_or(0, |t| t.latency_us)) as f64 / 1e6
    }
}

impl Takings {
    /// Reads what the trials of a study took from its store.
    pub(super) fn read(store: &Store, study: i64, archive: &Archive, loaded: &Loaded) -> Result<Self, EngineError> {
        let stages = loaded.pipeline.stages.len();
        let mut trials = Vec::new();
        for (trial, _) in archive.measured() {
            let outcomes = store.outcomes(study, trial.number)?;
            let ids: BTreeSet<i64> = outcomes.iter().flat_map(ids).collect();
            let takings: HashMap<i64, Taking> =
                store.takings(&ids.into_iter().collect::<Vec<_>>())?.into_iter().map(|t| (t.id, t)).collect();
            let example = |outcome: &ExampleOutcome| -> Vec<StageDraws> {
                let stage = |s: usize| {
                    let outcome = outcome.stages.get(s);
                    let samples = outcome.map(|o| &o.samples[..]).unwrap_or_default();
                    StageDraws {
                        samples: samples.iter().filter_map(|id| takings.get(id).copied()).collect(),
                        combined: outcome.and_then(|o| takings.get(&o.combined?).copied()),
                    }
                };
                (0..stages).map(stage).collect()
            };
            trials.push(DrawnTrial {
                number: trial.number,
                plan: trial.plan.clone(),
                examples: outcomes.iter().map(example).collect(),
            });
        }
        Ok(Takings { trials })
    }

    /// The archive with the costs of its measurements computed again.
    ///
    /// # Errors
    /// A judge or model lacks a fact that the cost model needs.
    pub(super) fn recosted(
        &self,
        archive: &Archive,
        pipeline: &Pipeline,
        cost_model: CostModel,
    ) -> Result<Archive, EngineError> {
        let mut archive = archive.clone();
        for trial in &mut archive.trials {
            let Some(drawn) = self.trials.iter().find(|d| d.number == trial.number) else { continue };
            let costs: Result<Vec<f64>, EngineError> = drawn
                .examples
                .iter()
                .map(|example| Ok(cost_model.units(query(example, &drawn.plan, pipeline, cost_model)?)))
                .collect();
            if let Trial { state: TrialState::Measured(m), .. } = trial {
                m.cost = Estimate::of_values(&costs?);
            }
        }
        Ok(archive)
    }

    /// How long stages take.
    pub(super) fn latencies(&self) -> Latencies {
        let mut sums: HashMap<(usize, String, bool), Vec<(f64, f64)>> = HashMap::new();
        let mut plans: HashMap<Plan, (f64, f64)> = HashMap::new();
        for trial in &self.trials {
            for example in &trial.examples {
                // Where a stage failed, the later ones took no time: that says nothing of the plan.
                if example.iter().any(|s| s.samples.is_empty()) {
                    continue;
                }
                let whole: f64 = example.iter().map(|s| s.seconds(usize::MAX)).sum();
                let known = plans.entry(trial.plan.clone()).or_default();
                *known = (known.0 + whole, known.1 + 1.0);
                for (stage, (draws, choice)) in example.iter().zip(&trial.plan.choices).enumerate() {
                    let combines = draws.combined.is_some();
                    let by_count = sums.entry((stage, choice.model.clone(), combines)).or_default();
                    by_count.resize(by_count.len().max(draws.samples.len()), (0.0, 0.0));
                    for (n, (sum, count)) in by_count.iter_mut().enumerate().take(draws.samples.len()) {
                        *sum += draws.seconds(n + 1);
                        *count += 1.0;
                    }
                }
            }
        }
        let mean = |(sum, count): (f64, f64)| sum / f64::max(count, 1.0);
        let stages = sums.into_iter().map(|(key, all)| (key, all.into_iter().map(mean).collect())).collect();
        Latencies { plans: plans.into_iter().map(|(plan, sum)| (plan, mean(sum))).collect(), stages }
    }
}

/// Mean seconds of a query, as measured.
pub(crate) struct Latencies {
    plans: HashMap<Plan, f64>,
    /// By stage, model and whether a call combines the samples: with the first 1, 2, ... samples.
    stages: HashMap<(usize, String, bool), Vec<f64>>,
}

impl Latencies {
    /// Seconds of a plan: measured, or put together from its stages where each was timed with its model. With more
    /// samples than were ever drawn there, as long as with the most that were.
    pub(crate) fn of(&self, space: &Space, plan: &Plan) -> Option<f64> {
        if let Some(measured) = self.plans.get(plan) {
            return Some(*measured);
        }
        let stage = |(stage, choice): (usize, &agenttts_core::Choice)| {
            let combines = choice.samples > 1 && choice.aggregator.calls_model();
            let timed = self.stages.get(&(stage, choice.model.clone(), combines))?;
            let n = if choice.temperature.is_greedy() { 1 } else { choice.samples as usize };
            timed.get(n - 1).or(timed.last()).copied()
        };
        space.indices(plan)?;
        plan.choices.iter().enumerate().map(stage).sum()
    }
}

fn ids(outcome: &ExampleOutcome) -> impl Iterator<Item = i64> + '_ {
    outcome.stages.iter().flat_map(|s| s.samples.iter().copied().chain(s.combined))
}

/// What a query costs when served.
fn query(example: &[StageDraws], plan: &Plan, pipeline: &Pipeline, cost_model: CostModel) -> Result<Cost, EngineError> {
    let mut total = Cost::ZERO;
    for ((draws, choice), spec) in example.iter().zip(&plan.choices).zip(&pipeline.stages) {
        let Some(model) = pipeline.model(&choice.model).filter(|_| !draws.samples.is_empty()) else { continue };
        let call = |takings: &[Taking]| call_tokens(takings.iter().map(taken));
        let priced = |model, takings: &[Taking]| {
            cost_model
                .call(model, &call(takings))
                .map_err(|m| EngineError::input(m.to_string(), super::missing_hint(&m)))
        };
        total += priced(model, &draws.samples)?;
        // The paper counts no call but the sampling itself.
        if let Some(combined) = draws.combined.filter(|_| cost_model != CostModel::PaperFlops) {
            let judge = spec.judge.as_ref().filter(|_| choice.aggregator == Aggregator::Judge);
            let reader = judge.map_or(model, |j| &pipeline.models[j.model]);
            total += priced(reader, &[combined])?;
        }
    }
    Ok(total)
}

fn taken(taking: &Taking) -> Taken {
    let Taking { prompt_tokens, decode_tokens, latency_us, prompt_shared_by, .. } = *taking;
    Taken { prompt_tokens, decode_tokens, latency_us, prompt_shared_by }
}
