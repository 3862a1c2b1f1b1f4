//! The parts of prompts that hold facts: task, stages, prices, trials. Nothing here tells the agent how to search.
//!
//! Names from the pipeline and texts that a model wrote are quoted or stand in their own list; the history holds nothing
//! but names and numbers.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use agenttts_core::{
    Archive, Choice, Cost, CostModel, Estimate, Guideline, Plan, PooledPlan, PricedStage, Space, TrialState,
};

use crate::ask::TaskText;
use crate::initial::adds_up;
use crate::words::{self, one_line, shortened};

/// The most characters of each guideline that is fed back: prompts must stay short.
const LONGEST_GUIDELINE: usize = 700;

/// Task, stages, prices and budget.
pub(super) fn setting(space: &Space, task: &TaskText) -> String {
    let mut text = String::new();
    if !task.description.trim().is_empty() {
        let _ = writeln!(text, "Task: {}", shortened(&one_line(&task.description), 600));
    }
    let objective = one_line(&task.objective);
    let objective = if objective.is_empty() { "the pipeline's objective" } else { &objective };
    let _ = writeln!(text, "Score: {}, higher is better.", shortened(objective, 200));
    let adds_up = adds_up(space);
    let prices = if !adds_up {
        "with the cost of the cheapest plan that has each model"
    } else {
        "with the cost of one sample and of each further one"
    };
    let _ = writeln!(text, "Stages, in order, {prices}:");
    for i in 0..space.stages().len() {
        describe(space, task, adds_up, i, &mut text);
    }
    let sum = if adds_up { "the sum over its stages " } else { "" };
    let _ = writeln!(
        text,
        "A plan costs {sum}({}); the budget of a plan is {}.",
        unit(space.cost_model()),
        space.cost_model().display(space.budget())
    );
    text
}

/// Every trial in its order, one line each.
pub(super) fn trials(space: &Space, archive: &Archive) -> String {
    let mut text = String::from("Trials (number: one choice per stage, in order = score ± error, cost):\n");
    for trial in &archive.trials {
        let score = match &trial.state {
            TrialState::Measured(m) if m.raced_out.is_some() => format!("{}, given up as too low", score(&m.objective)),
            TrialState::Measured(m) => score(&m.objective),
            TrialState::Pending | TrialState::Abandoned(_) => "not measured".to_owned(),
        };
        let _ = writeln!(text, "{}: {}", trial.number, line(space, &trial.plan, &score));
    }
    text
}

/// At most `most` of the measured plans, the best first, each with what all its trials say.
pub(super) fn best_plans(space: &Space, archive: &Archive, most: usize) -> String {
    let mut text = String::from("Plans tried, best first (one choice per stage, in order = score ± error, cost):\n");
    let mut plans = archive.plans();
    let known = |p: &PooledPlan<'_>| p.raced_out().map_or(p.objective.mean, |r| r.expected);
    plans.sort_by(|a, b| known(b).total_cmp(&known(a)));
    for plan in plans.iter().take(most) {
        let _ = writeln!(text, "{}", line(space, plan.plan, &score(&plan.objective)));
    }
    text
}

/// The plans that were tried, without their scores.
pub(super) fn names_of_tried(space: &Space, archive: &Archive) -> String {
    let mut text = String::from("Proposed before (one choice per stage, in order):\n");
    let mut seen = HashSet::new();
    for trial in archive.trials.iter().filter(|t| seen.insert(&t.plan)) {
        let _ = writeln!(text, "{}", short(space, &trial.plan));
    }
    text
}

/// The first guideline and the last two, `newest` being the last.
pub(super) fn guidelines(archive: &Archive, newest: Option<&Guideline>) -> String {
    let all: Vec<&Guideline> = archive.guidelines.iter().chain(newest).collect();
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
pub(super) fn example(space: &Space) -> String {
    let stages: Vec<String> = space
        .stages()
        .iter()
        .map(|s| {
            let mut fields = String::from("\"model\": \"...\"");
            if s.stage.samples.len() > 1 {
                fields.push_str(", \"samples\": N");
            }
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

fn describe(space: &Space, task: &TaskText, adds_up: bool, i: usize, text: &mut String) {
    let stage = &space.stages()[i];
    let s = &stage.stage;
    let (description, metric) = task.stage(i, s);
    let range = match (s.samples.first(), s.samples.last()) {
        (Some(a), Some(b)) if a != b && (b - a) as usize + 1 == s.samples.len() => format!("{a} to {b} samples"),
        (Some(_), Some(_)) if s.samples.len() > 1 => {
            let all: Vec<String> = s.samples.iter().map(u32::to_string).collect();
            format!("samples {}", all.join("/"))
        }
        (Some(1), _) | (None, _) => "1 sample".to_owned(),
        (Some(n), _) => format!("{n} samples"),
    };
    let description = one_line(&description);
    let description = if description == s.name { String::new() } else { format!("{}; ", shortened(&description, 300)) };
    let _ = write!(text, "{}. {:?}: {description}", i + 1, s.name);
    if let Some(metric) = metric {
        let _ = write!(text, "measured by {}; ", one_line(metric));
    }
    if adds_up {
        let _ = write!(text, "prompt {} and sample {} tokens; ", s.prompt_tokens, s.decode_tokens);
    }
    text.push_str(&range);
    if s.aggregators.len() > 1 {
        let all: Vec<&str> = s.aggregators.iter().map(|a| a.name()).collect();
        let _ = write!(text, "; aggregators {}", all.join("/"));
    }
    if s.temperatures.len() > 1 {
        let all: Vec<String> = s.temperatures.iter().map(ToString::to_string).collect();
        let _ = write!(text, "; temperatures {}", all.join("/"));
    }
    let least = if adds_up { HashMap::new() } else { cheapest_with(space, i) };
    let models: Vec<String> = stage
        .by_size
        .iter()
        .map(|&m| match (adds_up, least.get(&m)) {
            (true, _) => price(space.cost_model(), stage, m),
            (false, Some(cost)) => format!("{:?} {}", stage.model_name(m), space.cost_model().display(*cost)),
            (false, None) => format!("{:?} over the budget", stage.model_name(m)),
        })
        .collect();
    let _ = writeln!(text, "; models {}", models.join(", "));
}

/// For each model of a stage the least that a plan within the budget costs that has it.
fn cheapest_with(space: &Space, stage: usize) -> HashMap<usize, Cost> {
    let mut least = HashMap::new();
    for options in space.feasible_indices() {
        let model = space.stages()[stage].options[options[stage]].model;
        if let Some(cost) = space.cost(&options) {
            let known = least.entry(model).or_insert(cost);
            *known = (*known).min(cost);
        }
    }
    least
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
        CostModel::Usd | CostModel::UsdBatch => "dollars for prompt and decoded tokens",
        CostModel::Tokens => "tokens of prompts and samples",
        CostModel::Seconds => "seconds until the answer",
    }
}

fn line(space: &Space, plan: &Plan, score: &str) -> String {
    let cost = space.cost_of(plan).map(|c| space.cost_model().display(c)).unwrap_or_default();
    format!("{} = {score}, {cost}", short(space, plan))
}

/// A plan without what its stages leave no choice of.
fn short(space: &Space, plan: &Plan) -> String {
    let choices = plan.choices.iter().zip(space.stages()).map(|(choice, stage)| {
        if stage.options.len() == stage.stage.models.len() {
            choice.model.clone()
        } else {
            words::choice(choice, stage)
        }
    });
    choices.collect::<Vec<_>>().join(" + ")
}

fn score(e: &Estimate) -> String {
    if e.se.is_finite() { format!("{:.2} ± {:.2}", e.mean, e.se) } else { format!("{:.2}", e.mean) }
}
