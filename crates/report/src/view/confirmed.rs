//! The table of the test split.

use agenttts_core::{Confirmation, StudySummary};
use serde::Serialize;

use crate::facts::plan_lines;
use crate::number::{cost_estimate, estimate, interval, score, signed, signed_interval};

#[derive(Serialize)]
pub(crate) struct Confirmed {
    examples: u32,
    /// Names of the stages that have a metric.
    metrics: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    label: String,
    plan: Vec<String>,
    objective: String,
    metrics: Vec<String>,
    cost: String,
    failures: u32,
    difference: String,
    verdict: String,
}

impl Confirmed {
    pub(crate) fn new(summary: &StudySummary, confirmation: &Confirmation) -> Self {
        let with_metric: Vec<usize> =
            (0..summary.stages.len()).filter(|i| summary.stages[*i].metric.is_some()).collect();
        let rows = confirmation
            .plans
            .iter()
            .map(|c| Row {
                label: c.label.clone(),
                plan: plan_lines(summary, &c.plan),
                objective: estimate(&c.objective),
                metrics: with_metric
                    .iter()
                    .map(|i| match c.stages.get(*i) {
                        Some(Some(e)) => format!("{} {}", score(e.mean), interval(e)),
                        _ => "–".to_owned(),
                    })
                    .collect(),
                cost: cost_estimate(summary.cost_model, &c.cost),
                failures: c.failures,
                difference: c
                    .difference
                    .map_or_else(|| "–".to_owned(), |d| format!("{} {}", signed(d.mean), signed_interval(&d))),
                verdict: c.verdict.clone().unwrap_or_else(|| "–".to_owned()),
            })
            .collect();
        let name = |i: &usize| {
            let stage = &summary.stages[*i];
            format!("{} {}", stage.name, stage.metric.clone().unwrap_or_default())
        };
        Confirmed { examples: confirmation.examples, metrics: with_metric.iter().map(name).collect(), rows }
    }
}
