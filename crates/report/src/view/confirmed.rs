//! The table of the test split.

use agenttts_core::text::sentence;
use agenttts_core::{Confirmation, Seal, StudySummary};
use serde::Serialize;

use crate::facts::plan_lines;
use crate::number::{cost, cost_interval, interval, score, signed, signed_interval};

#[derive(Serialize)]
pub(crate) struct Confirmed {
    examples: u32,
    /// Names of the stages that have a metric.
    metrics: Vec<String>,
    rows: Vec<Row>,
    /// That the examples were used before, where they were.
    warning: Option<String>,
    /// When the seal was opened; cheaper plans; what was left out.
    notes: Vec<String>,
    /// What judges said of the plans that they judged, a label and sentences each.
    judged: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Row {
    label: String,
    plan: Vec<String>,
    objective: Figure,
    metrics: Vec<Figure>,
    cost: Figure,
    failures: u32,
    /// How prompts fitted, where not all did.
    fitting: Vec<String>,
    difference: Figure,
}

/// A number, and below it what qualifies it.
#[derive(Serialize)]
struct Figure {
    value: String,
    note: String,
}

impl Figure {
    fn none() -> Self {
        Figure { value: "–".to_owned(), note: String::new() }
    }
}

impl Confirmed {
    pub(crate) fn new(summary: &StudySummary, confirmation: &Confirmation) -> Self {
        // The objective has a column of its own.
        let name = |i: usize| {
            let stage = &summary.stages[i];
            stage.metric.as_ref().map(|m| format!("{m} of {}", stage.name)).filter(|n| *n != summary.objective)
        };
        let shown: Vec<(usize, String)> = (0..summary.stages.len()).filter_map(|i| Some((i, name(i)?))).collect();
        let rows = confirmation
            .plans
            .iter()
            .map(|c| Row {
                label: c.label.clone(),
                plan: plan_lines(summary, &c.plan),
                objective: Figure { value: score(c.objective.mean), note: interval(&c.objective) },
                metrics: shown
                    .iter()
                    .map(|(i, _)| match c.stages.get(*i) {
                        Some(Some(e)) => Figure { value: score(e.mean), note: interval(e) },
                        _ => Figure::none(),
                    })
                    .collect(),
                cost: Figure {
                    value: cost(summary.cost_model, c.cost.mean),
                    note: cost_interval(summary.cost_model, &c.cost).unwrap_or_default(),
                },
                failures: c.failures,
                fitting: summary.fitting_words(&c.plan, &c.fitting),
                difference: Figure {
                    value: c
                        .difference
                        .map_or_else(|| "–".to_owned(), |d| format!("{} {}", signed(d.mean), signed_interval(&d))),
                    note: c.verdict.clone().unwrap_or_default(),
                },
            })
            .collect();
        let judged = |c: &agenttts_core::Confirmed| -> Vec<(String, String)> {
            c.judged.iter().map(|j| (c.label.clone(), j.sentences().join(" "))).collect()
        };
        let judged = confirmation.plans.iter().flat_map(judged).collect();
        let metrics = shown.into_iter().map(|(_, name)| name).collect();
        let cheaper = confirmation.cheaper.as_ref().map(|c| sentence(&c.words));
        let untested = confirmation.untested.as_deref().map(sentence);
        let opened = summary.seal.as_ref().map(|seal| sentence(&seal.words()));
        let notes = cheaper.into_iter().chain(untested).chain(opened).collect();
        let warning = summary.seal.as_ref().and_then(Seal::warning).map(|words| sentence(&words));
        Confirmed { examples: confirmation.examples, metrics, rows, warning, notes, judged }
    }
}
