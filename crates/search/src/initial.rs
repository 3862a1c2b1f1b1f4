//! Initial trials: insight 1's comparison of models at equal budget, or random plans without it.

mod listed;

use std::collections::HashSet;

use agenttts_core::{Choice, Cost, Plan, PricedStage, Space};

use crate::ask::{Ask, InitialRule, Proposal, Step};
use crate::draw::{Use, rng, uniform_plans};
pub(crate) use listed::adds_up;

/// The most samples that the released code's initial trials draw.
const RELEASED_CAP: u32 = 60;

/// The most initial trials where there is no trial limit.
const USUAL_MOST: usize = 32;

/// How a method of the paper's loop answers before it has learned anything: at the trial limit, and in round 0.
pub(crate) fn opening(ask: &Ask<'_>, method: &str) -> Option<Step> {
    ask.limit_reached().or_else(|| {
        let initial = || Step::Propose { guidelines: Vec::new(), proposals: initial_proposals(ask, method) };
        (ask.round() == 0).then(initial)
    })
}

/// The proposals of round 0, at most as many as the trial limit allows.
fn initial_proposals(ask: &Ask<'_>, method: &str) -> Vec<Proposal> {
    let left = ask.trials_left().unwrap_or(usize::MAX);
    let most = ask.settings.trials.map_or(USUAL_MOST, |t| (t as usize / 2).max(4));
    let plans = initial_plans(ask.space, ask.settings.initial, most);
    let mut proposals: Vec<Proposal> = if ask.settings.insights.models {
        plans.into_iter().map(|(plan, reason)| Proposal::new(plan, method, reason)).collect()
    } else {
        let mut rng = rng(ask.settings.seed, 0, Use::Initial);
        uniform_plans(ask.space, &HashSet::new(), plans.len(), &mut rng)
            .into_iter()
            .map(|plan| Proposal::new(plan, method, "random initial trial"))
            .collect()
    };
    proposals.truncate(left);
    proposals
}

/// The initial trials of insight 1, each with its reason, without repetition.
///
/// For each stage in turn every model gets what one sample of the largest model costs, while all other stages run
/// their largest models that fit, once. Pools so large that this takes more than `most` trials are thinned evenly by
/// size, largest and smallest kept. Where plans are listed at costs that do not add up over the stages, the listed
/// costs decide what is equal and what fits; the released code's rule knows no such plans and prices stages as ever.
pub fn initial_plans(space: &Space, rule: InitialRule, most: usize) -> Vec<(Plan, String)> {
    let share = most / space.stages().len().max(1);
    let models: usize = space.stages().iter().map(|s| s.by_size.len()).sum();
    let share = if models <= most { usize::MAX } else { share.max(2) };
    let by_plan = rule == InitialRule::Paper && !adds_up(space);
    let mut plans: Vec<(Plan, String)> = Vec::new();
    for target in 0..space.stages().len() {
        let comparison =
            if by_plan { listed::for_stage(space, target, share) } else { for_stage(space, target, rule, share) };
        for (plan, reason) in comparison {
            if space.is_feasible(&plan) && plans.iter().all(|(p, _)| *p != plan) {
                plans.push((plan, reason));
            }
        }
    }
    if plans.is_empty() {
        plans.push((space.cheapest(), "the cheapest plan".to_owned()));
    }
    plans
}

/// The comparison of one stage's models.
fn for_stage(space: &Space, target: usize, rule: InitialRule, share: usize) -> Vec<(Plan, String)> {
    let stages = space.stages();
    let Some((ceiling, rank)) = ceiling(space, target) else {
        return Vec::new();
    };
    let rest = space.budget() - ceiling;
    let Some(others) = others(stages, target, rest, rule) else {
        return Vec::new();
    };
    let stage = &stages[target];
    let cap = match rule {
        InitialRule::Paper => u32::MAX,
        InitialRule::Released => RELEASED_CAP,
    };
    thinned(&stage.by_size[..=rank], share)
        .into_iter()
        .filter_map(|model| {
            let choice = most_samples(stage, model, ceiling, cap)?;
            let choices =
                (0..stages.len()).map(|i| if i == target { choice.clone() } else { others[i].clone() }).collect();
            let reason = format!(
                "initial trial: {} of {} at the cost of one sample of {}",
                choice.model,
                stage.stage.name,
                stage.model_name(stage.by_size[rank])
            );
            Some((Plan { choices }, reason))
        })
        .collect()
}

/// What one sample of the stage's largest model costs that leaves every other stage one sample of its smallest; and
/// that model's rank by size.
fn ceiling(space: &Space, target: usize) -> Option<(Cost, usize)> {
    let stages = space.stages();
    let least: Option<Cost> = stages
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != target)
        .map(|(_, s)| Some(once(s, *s.by_size.first()?)?.1))
        .sum();
    let rest = space.budget() - least?;
    let stage = &stages[target];
    (0..stage.by_size.len()).rev().find_map(|rank| {
        let (_, cost) = once(stage, stage.by_size[rank])?;
        (cost <= rest).then_some((cost, rank))
    })
}

/// What all stages but the target do: their largest models once, made smaller until they cost at most `rest`.
fn others(stages: &[PricedStage], target: usize, rest: Cost, rule: InitialRule) -> Option<Vec<Choice>> {
    let mut ranks: Vec<usize> = stages.iter().map(|s| s.by_size.len() - 1).collect();
    let chosen = |ranks: &[usize]| -> Option<Vec<(Choice, Cost)>> {
        stages.iter().zip(ranks).map(|(s, &rank)| once(s, s.by_size[rank])).collect()
    };
    loop {
        let now = chosen(&ranks)?;
        let cost: Cost = (0..stages.len()).filter(|&i| i != target).map(|i| now[i].1).sum();
        if cost <= rest {
            return Some(now.into_iter().map(|(choice, _)| choice).collect());
        }
        let step = (0..stages.len())
            .filter(|&i| i != target && ranks[i] > 0)
            .max_by_key(|&i| (now[i].1, std::cmp::Reverse(i)))?;
        match rule {
            InitialRule::Paper => ranks[step] -= 1,
            InitialRule::Released => ranks.fill(0),
        }
    }
}

/// The fewest samples of a model with the stage's defaults (one, where the stage permits one), and their cost.
fn once(stage: &PricedStage, model: usize) -> Option<(Choice, Cost)> {
    let choice = stage.single(model)?;
    Some((choice.clone(), stage.option(choice)?.cost))
}

/// The most samples of a model, with the stage's defaults, that cost at most `ceiling`.
fn most_samples(stage: &PricedStage, model: usize, ceiling: Cost, cap: u32) -> Option<Choice> {
    let counts = stage.stage.samples.iter().rev().filter(|&&n| n <= cap);
    counts
        .filter_map(|&n| stage.default_option(model, n))
        .find(|&choice| stage.option(choice).is_some_and(|o| o.cost <= ceiling))
        .cloned()
}

/// At most `most` of the models, evenly by rank, the ends included.
fn thinned(models: &[usize], most: usize) -> Vec<usize> {
    let n = models.len();
    if n <= most || most < 2 {
        return models.to_vec();
    }
    (0..most).map(|i| models[i * (n - 1) / (most - 1)]).collect()
}
