//! Tables of trials, choices and guidelines.

use agenttts_core::{Plan, StudySummary, Trial, TrialState};

use super::number::{behind, cost, examples, score};
use super::table::Columns;

/// The choices of a plan, one stage a line.
pub(crate) fn choices(stages: &[String], plan: &Plan) -> String {
    let mut table = Columns::new(&["stage", "model", ">samples", "aggregator", ">temperature"]);
    for (stage, choice) in stages.iter().zip(&plan.choices) {
        // One sample is its own aggregate.
        let aggregator = if choice.samples > 1 { choice.aggregator.name() } else { "-" };
        table.row([
            stage.clone(),
            choice.model.clone(),
            choice.samples.to_string(),
            aggregator.to_owned(),
            choice.temperature.to_string(),
        ]);
    }
    table.text()
}

/// The measured plans of a Pareto front, each with all its trials pooled.
pub(crate) fn front(summary: &StudySummary) -> String {
    let mut table = Columns::new(&[">trial", "quality", ">n", "estimate", ">cost", "plan"]);
    for plan in summary.pareto.iter().filter_map(|n| summary.plans.iter().find(|p| p.trial == *n)) {
        table.row([
            plan.trial.to_string(),
            score(&plan.objective),
            plan.objective.n.to_string(),
            plan.estimate.map_or_else(|| "-".into(), |[mean, sd]| format!("{mean:.3} ± {sd:.3}")),
            cost(summary.cost_model, plan.cost.mean),
            plan.plan.to_string(),
        ]);
    }
    table.text()
}

/// Every trial, in order, with who proposed it and why.
pub(crate) fn all(summary: &StudySummary) -> String {
    let mut table = Columns::new(&[">trial", ">round", "quality", ">cost", "failed", "plan", "why"]);
    for trial in &summary.archive.trials {
        table.row(row(trial, summary));
    }
    table.text()
}

fn row(trial: &Trial, summary: &StudySummary) -> [String; 7] {
    let cost_model = summary.cost_model;
    let (quality, price, failed) = match &trial.state {
        TrialState::Measured(m) => {
            let failed = if m.failures > 0 { format!("{} of {}", m.failures, m.scores.len()) } else { "-".into() };
            (score(&m.objective), cost(cost_model, m.cost.mean), failed)
        }
        TrialState::Pending => ("not measured yet".into(), "-".into(), "-".into()),
        TrialState::Abandoned(reason) => (format!("given up: {reason}"), "-".into(), "-".into()),
    };
    let mut why = format!("{}: {}", trial.origin.method, trial.origin.reason);
    for repair in &trial.origin.repairs {
        why.push_str("; repaired: ");
        why.push_str(repair);
    }
    let on = trial.span.map(|s| format!("on {}", examples(s)));
    let fresh = (trial.stream != 0).then(|| "on fresh draws".to_owned());
    let fitting = trial.measurement().map_or(&[][..], |m| &m.fitting);
    let raced_out = trial.measurement().and_then(|m| m.raced_out.as_ref());
    let out = raced_out.map(|r| format!("raced out, {}", behind(r)));
    let how: Vec<String> =
        on.into_iter().chain(fresh).chain(out).chain(summary.fitting_words(&trial.plan, fitting)).collect();
    if !how.is_empty() {
        why.push_str(&format!(" ({})", how.join(", ")));
    }
    [trial.number.to_string(), trial.round.to_string(), quality, price, failed, trial.plan.to_string(), why]
}

/// The guidelines, in order.
pub(crate) fn guidelines(summary: &StudySummary) -> String {
    let mut text = String::new();
    for guideline in &summary.archive.guidelines {
        text.push_str(&format!("  round {}, by {}:\n", guideline.round, guideline.author));
        for line in guideline.text.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    if text.is_empty() {
        text.push_str("  none yet\n");
    }
    text
}
