//! What serving a plan should look like, by what the search saw of it: the yardstick for drift.

use std::collections::HashMap;

use agenttts_core::Example;
use agenttts_store::{ExampleOutcome, StageOutcome, Store, Taking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::load::Loaded;

/// What the search saw of a plan, over all examples that it ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The share of examples of which a stage failed.
    pub failures: Spread,
    /// What one query costs, in units of the cost model.
    pub cost: Spread,
    /// Seconds of one query: the slowest sample of each stage, stage after stage, as timed while the search made many
    /// calls at once. Absent where nothing was timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Spread>,
    /// The share of samples that agree with a stage's output, mean over the stages that drew several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Spread>,
    /// The share of a query's samples that could not be read. Absent where nothing was drawn, and in plan files of older
    /// programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Spread>,
}

/// A mean, the standard deviation of single values, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of single values.
    pub sd: f64,
    /// How many values.
    pub n: u32,
}

impl Spread {
    /// Of values; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (n > 0.0).then(|| Spread { mean, sd: (squares / (n - 1.0).max(1.0)).sqrt(), n: values.len() as u32 })
    }
}

impl Expected {
    /// What the trials of a plan saw; `None` where they have no outcomes.
    pub(crate) fn of(store: &Store, study: i64, loaded: &Loaded, trials: &[u32]) -> Result<Option<Self>, EngineError> {
        let mut outcomes = Vec::new();
        for &trial in trials {
            outcomes.extend(store.outcomes(study, trial)?);
        }
        let unread = unread(store, loaded, &outcomes)?;
        let runs = |o: &ExampleOutcome| o.stages.iter().map(|s| s.runs().len()).sum::<usize>();
        let ids: Vec<i64> = outcomes.iter().flat_map(ids).collect();
        let takings: HashMap<i64, Taking> = store.takings(&ids)?.into_iter().map(|t| (t.id, t)).collect();
        let seconds: Vec<f64> = outcomes.iter().filter(|o| runs(o) > 0).map(|o| seconds(o, &takings)).collect();
        let agreement: Vec<f64> = outcomes.iter().filter_map(|o| agreement(&o.stages)).collect();
        let failures: Vec<f64> = outcomes.iter().map(|o| f64::from(u8::from(o.failure.is_some()))).collect();
        let costs: Vec<f64> = outcomes.iter().map(|o| o.cost).collect();
        let (Some(failures), Some(cost)) = (Spread::of(&failures), Spread::of(&costs)) else { return Ok(None) };
        let timed = seconds.iter().any(|s| *s > 0.0);
        Ok(Some(Expected {
            failures,
            cost,
            seconds: Spread::of(&seconds).filter(|_| timed),
            agreement: Spread::of(&agreement),
            unread: Spread::of(&unread),
        }))
    }
}

fn ids(outcome: &ExampleOutcome) -> Vec<i64> {
    let runs = outcome.stages.iter().flat_map(StageOutcome::runs);
    runs.flat_map(|(samples, combined)| samples.iter().copied().chain(combined).collect::<Vec<_>>()).collect()
}

/// Of each example that drew samples, the share of them that could not be read.
fn unread(store: &Store, loaded: &Loaded, outcomes: &[ExampleOutcome]) -> Result<Vec<f64>, EngineError> {
    let examples: HashMap<&str, &Example> =
        loaded.pipeline.search_split.examples.iter().map(|e| (e.id.as_str(), e)).collect();
    let mut shares = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        // Trials of a study are on its own examples; of others nothing is known.
        let Some(example) = examples.get(outcome.example.as_str()) else { continue };
        let (mut bad, mut all) = (0_usize, 0_usize);
        for (stage, compiled) in outcome.stages.iter().zip(loaded.stages.iter()) {
            let ids: Vec<i64> = stage.runs().iter().flat_map(|(samples, _)| samples.iter().copied()).collect();
            for drawn in store.drawn(&ids)? {
                all += 1;
                bad += usize::from(compiled.read(&drawn.sample.draw.text, example).parsed.is_err());
            }
        }
        if all > 0 {
            shares.push(bad as f64 / all as f64);
        }
    }
    Ok(shares)
}

fn seconds(outcome: &ExampleOutcome, takings: &HashMap<i64, Taking>) -> f64 {
    let took = |id: &i64| takings.get(id).map_or(0, |t| t.latency_us);
    let run = |(samples, combined): (&[i64], Option<i64>)| {
        samples.iter().map(took).max().unwrap_or(0) + combined.as_ref().map_or(0, took)
    };
    // Runs for items are side by side.
    outcome.stages.iter().map(|s| s.runs().into_iter().map(run).max().unwrap_or(0)).sum::<u64>() as f64 / 1e6
}

fn agreement(stages: &[StageOutcome]) -> Option<f64> {
    mean_support(stages.iter().flat_map(|stage| match &stage.items {
        Some(items) => items.iter().map(|item| (item.samples.len(), item.support)).collect(),
        None => vec![(stage.samples.len(), stage.support)],
    }))
}

/// How far samples agree: the mean support over the runs that drew several, as one sample always agrees with itself. Of each
/// run the number of its samples and its support; `None` where no run drew several.
pub(crate) fn mean_support(runs: impl Iterator<Item = (usize, Option<f64>)>) -> Option<f64> {
    let supports: Vec<f64> = runs.filter(|(samples, _)| *samples > 1).filter_map(|(_, support)| support).collect();
    Spread::of(&supports).map(|spread| spread.mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_single_values() {
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.mean, spread.sd, spread.n), (2.0, 1.0, 3));
        assert_eq!(Spread::of(&[0.5]).unwrap().sd, 0.0);
        assert!(Spread::of(&[]).is_none());
    }
}
