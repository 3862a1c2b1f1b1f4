//! The agent's prompts, short enough for small local models.
//!
//! Names from the pipeline and texts that a model wrote are quoted or stand in their own list; the history holds nothing
//! but names and numbers.

use std::fmt::Write;

use agenttts_core::{Choice, CostModel, Guideline, Message, PricedStage, Space, TrialState};

use crate::ask::{Ask, Insights};
use crate::words::{self, one_line, shortened};

/// The paper's insights as instructions for guidelines.
pub(crate) const INSIGHT: [&str; 3] = [
    "Models: per stage, compare a large model drawn once with smaller ones drawn often at equal cost; prefer the large \
     one if clearly better, else the small one.",
    "Samples: per stage, say in which direction more samples helped and from where on the score is flat or falls; \
     prefer the cheaper side of a flat stretch.",
    "Interplay: stages share one budget, and a better earlier stage needs fewer samples later; say which splits to try, \
     putting each stage first in turn.",
];

/// The most characters of each guideline that is fed back: prompts must stay short.
const LONGEST_GUIDELINE: usize = 700;

const SYSTEM: &str = "You tune a pipeline of language-model stages by choosing a model and a number of samples for each \
                      stage. You answer with one JSON object and nothing else.";

/// The prompt for guidelines: in the first round with all insights, later with the second and third, as far as they are
/// switched on.
pub(crate) fn summarise(ask: &Ask<'_>) -> Vec<Message> {
    let mut text = setting(ask);
    text.push_str(&history(ask));
    let first = ask.archive.guidelines.is_empty();
    if !first {
        text.push_str(&earlier(ask, None));
    }
    text.push_str(
        "\nWrite guidelines for choosing the next plans: one short sentence each, with the numbers that support it. \
         Scores that differ by less than their error are equal.\n",
    );
    for insight in asked(ask.settings.insights, first) {
        let _ = writeln!(text, "- {insight}");
    }
    if !first {
        text.push_str("- If scores barely vary, say what has not been explored.\n");
    }
    text.push_str("Answer as {\"guidelines\": [\"...\", ...]}.");
    vec![Message::system(SYSTEM), Message::user(text)]
}

/// The prompt for plans, with the first guideline and the last two.
pub(crate) fn propose(ask: &Ask<'_>, newest: Option<&Guideline>) -> Vec<Message> {
    let mut text = setting(ask);
    text.push_str(&history(ask));
    text.push_str(&earlier(ask, newest));
    let count = ask.room();
    let _ = write!(
        text,
        "\nPropose exactly {count} new plans within the budget that are likely to score higher, none of them tried \
         before and all different. Follow the guidelines; if scores barely vary, combine good plans, change one stage of \
         a good plan, or try something new.\nAnswer as {{\"plans\": [{}, ...]}} with {count} plans.",
        example(ask.space)
    );
    vec![Message::system(SYSTEM), Message::user(text)]
}

/// What to say of a reply that cannot be used.
pub(crate) fn complaint(error: &str) -> String {
    format!("That reply cannot be used: {}. Answer again, with the JSON object only.", shortened(error, 300))
}

fn asked(insights: Insights, first: bool) -> impl Iterator<Item = &'static str> {
    let on = [insights.models && first, insights.samples, insights.interplay];
    INSIGHT.into_iter().zip(on).filter_map(|(text, on)| on.then_some(text))
}

/// Task, stages, prices and budget.
fn setting(ask: &Ask<'_>) -> String {
    let (space, task) = (ask.space, ask.task);
    let mut text = String::new();
    if !task.description.trim().is_empty() {
        let _ = writeln!(text, "Task: {}", shortened(&one_line(&task.description), 600));
    }
    let objective = one_line(&task.objective);
    let objective = if objective.is_empty() { "the pipeline's objective" } else { &objective };
    let _ = writeln!(text, "Score: {}, higher is better.", shortened(objective, 200));
    let _ = writeln!(text, "Stages, in order, with the cost of one sample and of each further one:");
    for (i, stage) in space.stages().iter().enumerate() {
        describe(ask, i, stage, &mut text);
    }
    let _ = writeln!(
        text,
        "A plan costs the sum over its stages ({}); the budget of a plan is {}.",
        unit(space.cost_model()),
        space.cost_model().display(space.budget())
    );
    text
}

fn describe(ask: &Ask<'_>, i: usize, stage: &PricedStage, text: &mut String) {
    let s = &stage.stage;
    let (description, metric) = ask.task.stage(i, s);
    let metric = metric.map(|m| format!(", measured by {}", one_line(m))).unwrap_or_default();
    let range = match (s.samples.first(), s.samples.last()) {
        (Some(a), Some(b)) if a != b && (b - a) as usize + 1 == s.samples.len() => format!("{a} to {b} samples"),
        (Some(_), Some(_)) if s.samples.len() > 1 => {
            let all: Vec<String> = s.samples.iter().map(u32::to_string).collect();
            format!("samples {}", all.join("/"))
        }
        _ => "1 sample".to_owned(),
    };
    let _ = write!(
        text,
        "{}. {:?}: {}{metric}; prompt {} and sample {} tokens; {range}",
        i + 1,
        s.name,
        shortened(&one_line(&description), 300),
        s.prompt_tokens,
        s.decode_tokens
    );
    if s.aggregators.len() > 1 {
        let all: Vec<&str> = s.aggregators.iter().map(|a| a.name()).collect();
        let _ = write!(text, "; aggregators {}", all.join("/"));
    }
    if s.temperatures.len() > 1 {
        let all: Vec<String> = s.temperatures.iter().map(ToString::to_string).collect();
        let _ = write!(text, "; temperatures {}", all.join("/"));
    }
    let models: Vec<String> = stage.by_size.iter().map(|&m| price(ask.space.cost_model(), stage, m)).collect();
    let _ = writeln!(text, "; models {}", models.join(", "));
}

/// A model's name with what its first and each further sample cost.
fn price(cost_model: CostModel, stage: &PricedStage, model: usize) -> String {
    let display = |units: f64| cost_model.amount(units).map(|c| cost_model.display(c)).unwrap_or_default();
    let cost = |choice: &Choice| stage.option(choice).map(|o| cost_model.units(o.cost));
    let name = stage.model_name(model);
    let least = stage.single(model).and_then(|c| Some((c.samples, cost(c)?)));
    let most = stage.default_option(model, u32::MAX).and_then(|c| Some((c.samples, cost(c)?)));
    match (least, most) {
        (Some((a, low)), Some((b, high))) if b > a => {
            let more = (high - low) / f64::from(b - a);
            format!("{name:?} {} +{}", display(low), display(more))
        }
        (Some((_, low)), _) => format!("{name:?} {}", display(low)),
        _ => format!("{name:?}"),
    }
}

fn unit(cost_model: CostModel) -> &'static str {
    match cost_model {
        CostModel::PaperFlops => "compute units: the prompt is read once, each sample adds its tokens times model size",
        CostModel::Flops => "GFLOP: the prompt is read once, each sample adds its tokens times model size",
        CostModel::Usd => "dollars for prompt and decoded tokens",
        CostModel::Tokens => "tokens of prompts and samples",
        CostModel::Seconds => "seconds until the answer",
    }
}

/// All trials, one line each: nothing but names and numbers.
fn history(ask: &Ask<'_>) -> String {
    let mut text = String::from("Trials (number: one choice per stage, in order = score ± error, cost):\n");
    for trial in &ask.archive.trials {
        let plan = words::plan(ask.space, &trial.plan);
        let cost = ask.space.cost_model().display(trial.nominal_cost);
        let score = match &trial.state {
            TrialState::Measured(m) if m.objective.se.is_finite() => {
                format!("{:.2} ± {:.2}", m.objective.mean, m.objective.se)
            }
            TrialState::Measured(m) => format!("{:.2}", m.objective.mean),
            TrialState::Pending | TrialState::Abandoned(_) => "not measured".to_owned(),
        };
        let _ = writeln!(text, "{}: {plan} = {score}, {cost}", trial.number);
    }
    text
}

/// The first guideline and the last two, `newest` being the last.
fn earlier(ask: &Ask<'_>, newest: Option<&Guideline>) -> String {
    let all: Vec<&Guideline> = ask.archive.guidelines.iter().chain(newest).collect();
    let last = all.len().saturating_sub(2);
    let mut text = String::new();
    for (i, g) in all.iter().enumerate() {
        if i == 0 || i >= last {
            let _ = writeln!(
                text,
                "Guidelines after round {}: {}",
                g.round,
                shortened(&one_line(&g.text), LONGEST_GUIDELINE)
            );
        }
    }
    text
}

/// The form of a plan, with the stages' own names.
fn example(space: &Space) -> String {
    let stages: Vec<String> = space
        .stages()
        .iter()
        .map(|s| {
            let mut fields = String::from("\"model\": \"...\", \"samples\": N");
            if s.stage.aggregators.len() > 1 {
                fields.push_str(", \"aggregator\": \"...\"");
            }
            if s.stage.temperatures.len() > 1 {
                fields.push_str(", \"temperature\": T");
            }
            format!("{:?}: {{{fields}}}", s.stage.name)
        })
        .collect();
    format!("{{{}}}", stages.join(", "))
}
