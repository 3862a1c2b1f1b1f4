//! The plan as a table, and the charts of each stage.

use agenttts_core::StudySummary;
use minijinja::Value;
use serde::Serialize;

use crate::chart;
use crate::number::{estimate, interval, score};

#[derive(Serialize)]
pub(crate) struct PlanRow {
    stage: String,
    model: String,
    samples: u32,
    aggregator: &'static str,
    temperature: String,
    metric: String,
}

/// The recommended plan, one stage a row; the metric is that of the test split, or else of the search split.
pub(crate) fn plan_rows(summary: &StudySummary) -> Vec<PlanRow> {
    let Some(recommended) = &summary.recommended else { return Vec::new() };
    let tested = summary.confirmation.as_ref().and_then(|c| c.plans.first()).map(|c| &c.stages);
    let searched = crate::facts::recommended_trial(summary).map(|(_, m)| &m.stages);
    recommended
        .plan
        .choices
        .iter()
        .enumerate()
        .map(|(i, choice)| {
            let metric = tested.or(searched).and_then(|stages| stages.get(i).copied().flatten());
            let name = summary.stages.get(i).and_then(|s| s.metric.clone()).unwrap_or_default();
            PlanRow {
                stage: summary.stages.get(i).map_or_else(|| format!("stage {}", i + 1), |s| s.name.clone()),
                model: choice.model.clone(),
                samples: choice.samples,
                // One sample is its own aggregate.
                aggregator: if choice.samples > 1 { choice.aggregator.name() } else { "–" },
                temperature: if choice.temperature.is_greedy() {
                    "0 (greedy)".to_owned()
                } else {
                    choice.temperature.to_string()
                },
                metric: metric.map_or_else(|| "–".to_owned(), |e| format!("{name} {} {}", score(e.mean), interval(&e))),
            }
        })
        .collect()
}

#[derive(Serialize)]
pub(crate) struct Stage {
    name: String,
    metric: Option<String>,
    pub(super) scaling: Option<Value>,
    /// Whether the chart shows single trials for want of curves.
    single: bool,
    /// Why there is no scaling chart.
    without: &'static str,
    preference: Option<Value>,
    points: Vec<Point>,
}

/// A point of a scaling curve, for the table beside the chart.
#[derive(Serialize)]
struct Point {
    model: String,
    trial: u32,
    samples: u32,
    score: String,
}

pub(crate) fn all(summary: &StudySummary) -> Vec<Stage> {
    summary
        .stages
        .iter()
        .enumerate()
        .map(|(i, stage)| Stage {
            name: stage.name.clone(),
            metric: stage.metric.clone(),
            scaling: chart::scaling(summary, i).map(Value::from_safe_string),
            single: !chart::has_curves(summary, stage),
            without: match &stage.metric {
                None => "This stage has no metric of its own; what it does shows in the objective.",
                Some(_) => "Nothing to draw: no measured trial has this stage's metric.",
            },
            preference: chart::preference(summary, i).map(Value::from_safe_string),
            points: summary
                .curves
                .iter()
                .filter(|c| c.stage == stage.name)
                .flat_map(|c| {
                    c.points.iter().map(|p| Point {
                        model: c.model.clone(),
                        trial: c.trial,
                        samples: p.samples,
                        score: estimate(&p.score),
                    })
                })
                .collect(),
        })
        .collect()
}
