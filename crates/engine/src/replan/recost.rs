//! What the stored samples of a study's trials took, and what that costs and how long it lasts under any terms.

use std::collections::{BTreeSet, HashMap};

use agenttts_core::{Aggregator, Archive, Cost, CostModel, Estimate, Pipeline, Plan, Space, Trial, TrialState};
use agenttts_store::{ExampleOutcome, StageOutcome, Store, Taking};

use crate::error::EngineError;
use crate::execute::{Taken, call_tokens, side_by_side};
use crate::load::Loaded;

/// What every measured trial drew or found in the bank.
pub(super) struct Takings {
    trials: Vec<DrawnTrial>,
}

struct DrawnTrial {
    number: u32,
    plan: Plan,
    examples: Vec<ExampleDraws>,
}

/// What one example took.
struct ExampleDraws {
    failed: bool,
    /// The runs of every stage: one as a rule, none where it did not run, one for each item where it runs for items.
    stages: Vec<Vec<RunDraws>>,
}

/// The samples of a run, and the call that combined them.
#[derive(Clone, Debug, Default)]
struct RunDraws {
    samples: Vec<Taking>,
    combined: Option<Taking>,
}

impl RunDraws {
    /// Seconds until the slowest sample and then the combined answer were there.
    fn seconds(&self, first: usize) -> f64 {
        let samples = self.samples.iter().take(first).map(|t| t.latency_us).max().unwrap_or(0);
        (samples + self.combined.map_or(0, |t| t.latency_us)) as f64 / 1e6
    }
}

/// Seconds of a stage with so many of its samples: its runs are side by side.
fn seconds(runs: &[RunDraws], first: usize) -> f64 {
    runs.iter().map(|r| r.seconds(first)).fold(0.0, f64::max)
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
            let run = |(samples, combined): (&[i64], Option<i64>)| RunDraws {
                samples: samples.iter().filter_map(|id| takings.get(id).copied()).collect(),
                combined: combined.and_then(|id| takings.get(&id).copied()),
            };
            let example = |outcome: &ExampleOutcome| {
                let runs = |s: usize| outcome.stages.get(s).map(StageOutcome::runs).unwrap_or_default();
                let stages = (0..stages).map(|s| runs(s).into_iter().map(run).collect()).collect();
                ExampleDraws { failed: outcome.failure.is_some(), stages }
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
        // How often a stage ran at all, of how often it was reached.
        let mut ran: HashMap<(usize, String), (f64, f64)> = HashMap::new();
        let mut plans: HashMap<Plan, (f64, f64)> = HashMap::new();
        for trial in &self.trials {
            for example in &trial.examples {
                // Where a stage failed, the later ones took no time: that says nothing of the plan.
                if example.failed {
                    continue;
                }
                let whole: f64 = example.stages.iter().map(|runs| seconds(runs, usize::MAX)).sum();
                let known = plans.entry(trial.plan.clone()).or_default();
                *known = (known.0 + whole, known.1 + 1.0);
                for (stage, (runs, choice)) in example.stages.iter().zip(&trial.plan.choices).enumerate() {
                    let (times, of) = ran.entry((stage, choice.model.clone())).or_default();
                    *of += 1.0;
                    let most = runs.iter().map(|r| r.samples.len()).max().unwrap_or(0);
                    if most == 0 {
                        continue;
                    }
                    *times += 1.0;
                    let combines = runs.iter().any(|r| r.combined.is_some());
                    let by_count = sums.entry((stage, choice.model.clone(), combines)).or_default();
                    by_count.resize(by_count.len().max(most), (0.0, 0.0));
                    for (n, (sum, count)) in by_count.iter_mut().enumerate().take(most) {
                        *sum += seconds(runs, n + 1);
                        *count += 1.0;
                    }
                }
            }
        }
        let mean = |(sum, count): (f64, f64)| sum / f64::max(count, 1.0);
        let share = |stage: usize, model: &String| ran.get(&(stage, model.clone())).copied().map_or(1.0, mean);
        let timed = sums.into_iter().map(|((stage, model, combines), all)| {
            let share = share(stage, &model);
            ((stage, model, combines), all.into_iter().map(|sum| share * mean(sum)).collect())
        });
        let stages = timed.collect();
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
    outcome
        .stages
        .iter()
        .flat_map(StageOutcome::runs)
        .flat_map(|(samples, combined)| samples.iter().copied().chain(combined))
}

/// What a query costs when served.
fn query(example: &ExampleDraws, plan: &Plan, pipeline: &Pipeline, cost_model: CostModel) -> Result<Cost, EngineError> {
    let mut total = Cost::ZERO;
    for ((runs, choice), spec) in example.stages.iter().zip(&plan.choices).zip(&pipeline.stages) {
        let Some(model) = pipeline.model(&choice.model) else { continue };
        let call = |takings: &[Taking]| call_tokens(takings.iter().map(taken));
        let priced = |model, takings: &[Taking]| {
            cost_model
                .call(model, &call(takings))
                .map_err(|m| EngineError::input(m.to_string(), super::missing_hint(&m)))
        };
        let run = |draws: &RunDraws| -> Result<Cost, EngineError> {
            let mut cost = priced(model, &draws.samples)?;
            // The paper counts no call but the sampling itself.
            if let Some(combined) = draws.combined.filter(|_| cost_model != CostModel::PaperFlops) {
                let judge = spec.judge.as_ref().filter(|_| choice.aggregator == Aggregator::Judge);
                let reader = judge.map_or(model, |j| &pipeline.models[j.model]);
                cost += priced(reader, &[combined])?;
            }
            Ok(cost)
        };
        // A run that failed drew nothing.
        let costs = runs.iter().filter(|r| !r.samples.is_empty()).map(run).collect::<Result<Vec<_>, _>>()?;
        total += side_by_side(costs.into_iter(), cost_model);
    }
    Ok(total)
}

fn taken(taking: &Taking) -> Taken {
    let Taking { prompt_tokens, decode_tokens, latency_us, prompt_shared_by, .. } = *taking;
    Taken { prompt_tokens, decode_tokens, latency_us, prompt_shared_by }
}
