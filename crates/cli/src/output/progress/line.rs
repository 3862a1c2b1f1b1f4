//! Events as lines.

use agenttts_core::{CostModel, Purpose};
use agenttts_engine::Event;

use crate::output::Paint;
use crate::output::number::{behind, cost, duration, examples, grouped, score};

/// The line of an event, for those that are worth one. No times: two runs of one search read the same.
pub(crate) fn of(event: &Event, cost_model: CostModel, painted: &dyn Fn(Paint, &str) -> String) -> Option<String> {
    Some(match event {
        Event::Started { study, resumed, method, feasible, trials, examples, examples_per_trial, history } => {
            let begun = if *resumed { "going on with study" } else { "study" };
            let plans = grouped(*feasible as u128);
            let on = match examples_per_trial.filter(|n| n < examples) {
                Some(n) => format!("each on {n} of {examples} examples"),
                None => format!("on {examples} examples"),
            };
            let learned = history.as_ref().map_or_else(String::new, |h| format!("\nlearning from study {h}"));
            format!(
                "{begun} {study}: method {method}, {plans} plans within the budget, up to {trials} trials {on}{learned}"
            )
        }
        Event::Proposed { round, trials: (first, count), repairs } => {
            let last = first + count.saturating_sub(1);
            let which = if *count == 1 { format!("trial {first}") } else { format!("trials {first} to {last}") };
            let mut line = if *round == 0 {
                format!("initial trials: {which}")
            } else {
                format!("round {round}: {which} proposed")
            };
            for (trial, what) in repairs {
                line.push_str(&format!("\n  trial {trial} was repaired: {what}"));
            }
            line
        }
        Event::Guideline { author, text, .. } => {
            format!("guideline by {author}: {}", excerpt(text))
        }
        Event::AgentAsked { purpose, attempt, .. } => {
            let what = match purpose {
                Purpose::Summarise => "for guidelines",
                Purpose::Propose => "for plans",
            };
            let again = if *attempt > 0 { " again" } else { "" };
            format!("asking the agent{again} {what} ...")
        }
        Event::AgentAnswered { error: Some(error) } => {
            format!("{} the agent's answer cannot be used: {error}", painted(Paint::Warn, "warning:"))
        }
        Event::TrialMeasured {
            trial, plan, objective, cost: units, span, pooled, best, failures, raced_out, ..
        } => {
            let on = span.map_or_else(String::new, |s| format!(" on {}", examples(s)));
            let failed = if *failures > 0 { format!(", {failures} failed") } else { String::new() };
            let mark = if *best { painted(Paint::Good, "  best so far") } else { String::new() };
            let with =
                pooled.map_or_else(String::new, |p| format!("; with its earlier trials {} (n={})", score(&p), p.n));
            let price = cost(cost_model, *units);
            let out = raced_out.as_ref().map_or_else(String::new, |r| format!("; raced out: {}", behind(r)));
            format!("trial {trial}: {}{on}, {price}{failed}, {plan}{with}{out}{mark}", score(objective))
        }
        Event::Confirming { label, plan } => format!("test split: {label}, {plan} ..."),
        Event::ProviderDown { provider, error } => format!(
            "{} provider {provider} is down: {error}; plans that do not need it go on, then it is waited for",
            painted(Paint::Warn, "warning:")
        ),
        Event::ProviderBack { provider, seconds } => {
            format!("provider {provider} answers again, after {}", duration(*seconds))
        }
        Event::Warning { message } => format!("{} {message}", painted(Paint::Warn, "warning:")),
        // Why a study stopped is said with its result, or with the error that stopped it.
        Event::AgentAnswered { error: None }
        | Event::TrialStarted { .. }
        | Event::Progress { .. }
        | Event::Stopped { .. } => return None,
    })
}

/// The start of a guideline, on one line; `show --guidelines` has it whole.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 120;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => {
            let end = line[..at].rfind(' ').unwrap_or(at);
            format!("{} ...", &line[..end])
        }
        None => line,
    }
}
