//! Settings upstream: what the stages that a stage reads gave for every example, from the gold outputs to the worst choice
//! that was measured.

use std::collections::BTreeMap;

use agenttts_core::{Choice, Estimate, Example, Level, UpstreamStage};
use serde_json::Value;

use super::cell::Given;
use super::interval;
use super::measure::Table;
use crate::load::Loaded;

/// Levels in the order of quality, best first.
pub(super) const LEVELS: [Level; 4] = [Level::Gold, Level::Best, Level::Middle, Level::Worst];

/// What a stage passes on at one level, for every example.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    /// Its choice; `None` for gold.
    pub(super) choice: Option<Choice>,
    /// Its outputs, and its score where it has a metric.
    pub(super) outputs: Vec<Passing>,
}

/// What a stage passes on for an example.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Passing {
    Output(Value, Option<f64>),
    Failed,
    Absent,
}

/// A setting of the stages upstream of a stage.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) level: Level,
    pub(super) upstream: Vec<UpstreamStage>,
    /// For every example.
    pub(super) given: Vec<Given>,
}

/// The settings of a stage: one for each level that differs from the others, or one where the stage reads no stage.
pub(super) fn settings(
    loaded: &Loaded,
    stage: usize,
    examples: usize,
    passed: &BTreeMap<(usize, Level), Passed>,
) -> Vec<Setting> {
    let ancestors = loaded.pipeline.ancestors(stage);
    // Stages that this one does not read make no call: whatever they gave could not be seen.
    let unread = || (0..stage).filter(|s| !ancestors.contains(s)).map(|s| (name(loaded, s), Value::Null));
    if ancestors.is_empty() {
        let given = (0..examples).map(|_| Given::Outputs(unread().collect())).collect();
        return vec![Setting { level: Level::Example, upstream: Vec::new(), given }];
    }
    let mut found: Vec<Setting> = Vec::new();
    // Of settings that are the same the measured choice stays, not the gold output.
    for level in [Level::Best, Level::Middle, Level::Worst, Level::Gold] {
        let all: Option<Vec<&Passed>> = ancestors.iter().map(|&a| passed.get(&(a, level))).collect();
        let Some(all) = all else { continue };
        let given: Vec<Given> = (0..examples)
            .map(|e| {
                let mut outputs: BTreeMap<String, Value> = unread().collect();
                for (&a, passed) in ancestors.iter().zip(&all) {
                    match &passed.outputs[e] {
                        Passing::Output(value, _) => outputs.insert(name(loaded, a), value.clone()),
                        Passing::Failed => return Given::Failed,
                        Passing::Absent => return Given::Absent,
                    };
                }
                Given::Outputs(outputs)
            })
            .collect();
        let of = |(&a, passed): (&usize, &&Passed)| UpstreamStage {
            stage: name(loaded, a),
            choice: passed.choice.clone(),
            score: score(&passed.outputs),
        };
        let upstream: Vec<UpstreamStage> = ancestors.iter().zip(&all).map(of).collect();
        let choices = |u: &[UpstreamStage]| u.iter().map(|s| s.choice.clone()).collect::<Vec<_>>();
        let known = found.iter().any(|s| choices(&s.upstream) == choices(&upstream) || s.given == given);
        if !known && given.iter().any(|g| *g != Given::Absent) {
            found.push(Setting { level, upstream, given });
        }
    }
    found.sort_by_key(|s| LEVELS.iter().position(|l| *l == s.level));
    found
}

/// The choice of a level among what was measured: the highest mean score, the lowest, or the one nearest to the middle
/// between these; the cheapest among equals.
pub(super) fn choice(tables: &[Table], level: Level) -> Option<Choice> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut all: Vec<(f64, f64, Choice)> = Vec::new();
    for table in tables {
        for (n, &samples) in table.counts.iter().enumerate() {
            let choice = Choice {
                model: table.model.clone(),
                samples,
                aggregator: table.aggregator,
                temperature: table.temperature,
            };
            // One sample is its own aggregate.
            let known = |(_, _, c): &(f64, f64, Choice)| {
                samples == 1 && c.samples == 1 && c.model == choice.model && c.temperature == choice.temperature
            };
            if !all.iter().any(known) {
                all.push((mean(&table.scores[n]), mean(&table.costs[n]), choice));
            }
        }
    }
    let (low, high) = all.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (s, ..)| (l.min(*s), h.max(*s)));
    let wanted = match level {
        Level::Best => high,
        Level::Worst => low,
        _ => (low + high) / 2.0,
    };
    let nearest = |a: &(f64, f64, Choice), b: &(f64, f64, Choice)| {
        let off = |x: &(f64, f64, Choice)| ((x.0 - wanted).abs() * 1e9).round();
        off(a).total_cmp(&off(b)).then(a.1.total_cmp(&b.1))
    };
    all.into_iter().min_by(nearest).map(|(.., choice)| choice)
}

/// The gold outputs of a stage; `None` where no example has one.
pub(super) fn gold(loaded: &Loaded, stage: usize, examples: &[Example]) -> Option<Passed> {
    let of = |example| match loaded.stages[stage].gold_output(example) {
        Some(value) => Passing::Output(value, Some(1.0)),
        None => Passing::Absent,
    };
    let outputs: Vec<Passing> = examples.iter().map(of).collect();
    outputs.iter().any(|o| *o != Passing::Absent).then_some(Passed { choice: None, outputs })
}

/// The mean score of what is passed on, where every output has one.
fn score(outputs: &[Passing]) -> Option<Estimate> {
    let present = outputs.iter().filter(|o| **o != Passing::Absent);
    let scores: Option<Vec<f64>> = present
        .map(|o| match o {
            Passing::Output(_, score) => *score,
            _ => Some(0.0),
        })
        .collect();
    scores.filter(|s| !s.is_empty()).map(|s| interval::of_scores(&s))
}

fn name(loaded: &Loaded, stage: usize) -> String {
    loaded.pipeline.stages[stage].name.clone()
}
