//! The table of all trials.

use agenttts_core::{Measurement, StudySummary, TrialState};
use serde::Serialize;

use crate::facts::{extent, is_recommended, measured, plan_lines, span_words};
use crate::number::{bounded, cost, cost_interval, interval, score, short};
use crate::svg::{Scale, scores};

#[derive(Serialize)]
pub(crate) struct Row {
    number: u32,
    round: u32,
    plan: Vec<String>,
    badges: Vec<String>,
    /// What became of a trial that was not measured.
    state: Option<String>,
    mean: String,
    interval: String,
    n: u32,
    /// Sort keys; empty where there is none.
    mean_key: String,
    cost_key: String,
    cost: String,
    drawn_key: String,
    cost_interval: String,
    glyph: Option<Glyph>,
    method: String,
    reason: String,
    repairs: Vec<String>,
    failures: Option<u32>,
    failure_reasons: Vec<String>,
    /// How prompts fitted, where not all did.
    fitting: Vec<String>,
    drawn: String,
}

/// The interval drawn small: left end, width and mean in percent of the column.
#[derive(Serialize)]
struct Glyph {
    left: String,
    width: String,
    mean: String,
}

pub(crate) fn rows(summary: &StudySummary) -> Vec<Row> {
    let scale = Scale::linear(scores(measured(summary).flat_map(|(_, m)| extent(&m.objective))), 0.0, 100.0);
    summary
        .archive
        .trials
        .iter()
        .map(|trial| {
            let m = trial.measurement();
            let mut badges = Vec::new();
            if is_recommended(summary, trial) {
                badges.push("★ recommended".to_owned());
            }
            if summary.pareto.contains(&trial.number) {
                badges.push("■ front".to_owned());
            }
            badges.extend(trial.span.map(span_words));
            if let Some(out) = m.and_then(|m| m.raced_out) {
                badges.push(format!("raced out, {:.3} behind trial {}", out.behind, out.leader));
            }
            if trial.stream != 0 {
                badges.push("fresh draws".to_owned());
            }
            let state = match &trial.state {
                TrialState::Measured(_) => None,
                TrialState::Pending => Some("not measured yet".to_owned()),
                TrialState::Abandoned(reason) => Some(format!("given up: {reason}")),
            };
            let key =
                |value: Option<f64>| value.filter(|v| v.is_finite()).map_or_else(String::new, |v| format!("{v:.6e}"));
            Row {
                number: trial.number,
                round: trial.round,
                plan: plan_lines(summary, &trial.plan),
                badges,
                state,
                mean: m.map_or_else(String::new, |m| score(m.objective.mean)),
                interval: m.map_or_else(String::new, |m| interval(&m.objective)),
                n: m.map_or(0, |m| m.objective.n),
                mean_key: key(m.map(|m| m.objective.mean)),
                cost_key: key(m.map(|m| m.cost.mean)),
                cost: m.map_or_else(|| "–".to_owned(), |m| cost(summary.cost_model, m.cost.mean)),
                cost_interval: m.and_then(|m| cost_interval(summary.cost_model, &m.cost)).unwrap_or_default(),
                glyph: m.and_then(|m| glyph(m, &scale)),
                method: trial.origin.method.clone(),
                reason: trial.origin.reason.clone(),
                repairs: trial.origin.repairs.clone(),
                drawn_key: key(m.map(|m| m.drawn.tokens() as f64)),
                failures: m.map(|m| m.failures),
                failure_reasons: m.map_or_else(Vec::new, |m| m.failure_reasons.clone()),
                fitting: m.map_or_else(Vec::new, |m| summary.fitting_words(&trial.plan, &m.fitting)),
                drawn: m.map_or_else(|| "–".to_owned(), |m| short(m.drawn.tokens() as f64)),
            }
        })
        .collect()
}

fn glyph(m: &Measurement, scale: &Scale) -> Option<Glyph> {
    let e = &m.objective;
    (e.mean.is_finite() && bounded(e)).then(|| {
        let (low, high) = (scale.at(e.low), scale.at(e.high));
        Glyph {
            left: format!("{low:.1}"),
            width: format!("{:.1}", high - low),
            mean: format!("{:.1}", scale.at(e.mean)),
        }
    })
}
