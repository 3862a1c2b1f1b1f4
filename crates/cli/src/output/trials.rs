//! Tables of trials, choices and guidelines.

use agenttts_core::{CostModel, Plan, StudySummary, Trial, TrialState};

use super::number::{cost, score};
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

/// The measured trials of a Pareto front.
pub(crate) fn front(summary: &StudySummary) -> String {
    let mut table = Columns::new(&[">trial", "quality", ">cost", "plan"]);
    for trial in summary.pareto.iter().filter_map(|n| summary.archive.trials.iter().find(|t| t.number == *n)) {
        let Some(measured) = trial.measurement() else { continue };
        table.row([
            trial.number.to_string(),
            score(&measured.objective),
            cost(summary.cost_model, measured.cost.mean),
            trial.plan.to_string(),
        ]);
    }
    table.text()
}

/// Every trial, in order, with who proposed it and why.
pub(crate) fn all(summary: &StudySummary) -> String {
    let mut table = Columns::new(&[">trial", ">round", "quality", ">cost", "failed", "plan", "why"]);
    for trial in &summary.archive.trials {
        table.row(row(trial, summary.cost_model));
    }
    table.text()
}

fn row(trial: &Trial, cost_model: CostModel) -> [String; 7] {
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
    if trial.stream != 0 {
        why.push_str(" (on fresh draws)");
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
