//! Insight 1's comparison where plans are listed at costs of their own, which do not add up over the stages.
//!
//! A stage has no cost there, only whole plans do. So the stage's models are compared within plans that are alike in all
//! other stages, at what these plans cost. Where costs do add up, this is the paper's rule again: the largest model whose
//! cost leaves something to all others, and the largest others beside it.

use std::collections::BTreeMap;

use agenttts_core::{Cost, Plan, Space};

use super::thinned;

/// Whether every plan within the budget costs the sum over its stages, but for rounding.
pub(crate) fn adds_up(space: &Space) -> bool {
    let units = |cost| space.cost_model().units(cost);
    let sum = |options: &[usize]| options.iter().zip(space.stages()).map(|(&o, s)| s.options[o].cost).sum::<Cost>();
    let exact = |options: Vec<usize>| {
        let listed = space.cost(&options).map_or(f64::NAN, units);
        (listed - units(sum(&options))).abs() <= 0.01 * listed.abs()
    };
    !space.is_listed() || space.feasible_indices().all(exact)
}

/// Plans that differ in the compared stage only, for each of its models: the option and the plan's cost, fewest samples
/// first.
type Comparison = BTreeMap<usize, Vec<(usize, Cost)>>;

/// The comparison of one stage's models, at most `share` of them, each with its reason.
///
/// All other stages run once, with the models that let most of the stage's models fit, and of these with the dearest: those
/// whose plans cost most on average. Every model then has the most samples whose plan costs no more than the dearest
/// single sample does.
pub(super) fn for_stage(space: &Space, target: usize, share: usize) -> Vec<(Plan, String)> {
    let stage = &space.stages()[target];
    let comparisons = comparisons(space, target);
    let worth = |c: &Comparison| (c.len(), mean(once(c)));
    let Some((others, comparison)) = comparisons.iter().max_by_key(|(_, c)| worth(c)) else {
        return Vec::new();
    };
    let dearest = once(comparison).max_by_key(|&(model, cost)| (cost, model));
    let Some((largest, ceiling)) = dearest else {
        return Vec::new();
    };
    let mut models: Vec<(Cost, usize)> = once(comparison).map(|(model, cost)| (cost, model)).collect();
    models.sort_unstable();
    let models: Vec<usize> = models.into_iter().map(|(_, model)| model).collect();
    let plan = |model: &usize| {
        let fitting = comparison[model].iter().rfind(|(_, cost)| *cost <= ceiling);
        let mut options = others.clone();
        options.insert(target, fitting?.0);
        let choice = &stage.options[options[target]].choice;
        let (name, dearest) = (&stage.stage.name, stage.model_name(largest));
        let reason =
            format!("initial trial: {} of {name}, in a plan that costs no more than with {dearest} once", choice.model);
        Some((space.plan(&options), reason))
    };
    thinned(&models, share).iter().filter_map(plan).collect()
}

/// Every comparison within the budget whose other stages run once; the key is their options.
fn comparisons(space: &Space, target: usize) -> BTreeMap<Vec<usize>, Comparison> {
    let fewest = fewest(space);
    let mut found: BTreeMap<Vec<usize>, Comparison> = BTreeMap::new();
    for mut options in space.feasible_indices() {
        let Some(cost) = space.cost(&options) else { continue };
        let is_once = |s: usize| fewest[s].get(&space.stages()[s].options[options[s]].model) == Some(&options[s]);
        if (0..options.len()).all(|s| s == target || is_once(s)) {
            let option = options.remove(target);
            let model = space.stages()[target].options[option].model;
            found.entry(options).or_default().entry(model).or_default().push((option, cost));
        }
    }
    let samples = |option: usize| space.stages()[target].options[option].choice.samples;
    for plans in found.values_mut().flat_map(BTreeMap::values_mut) {
        plans.sort_by_key(|&(option, _)| (samples(option), std::cmp::Reverse(option)));
    }
    found
}

/// For each stage and model the option with the fewest samples of all plans within the budget, the defaults before others.
fn fewest(space: &Space) -> Vec<BTreeMap<usize, usize>> {
    let mut fewest: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); space.stages().len()];
    for options in space.feasible_indices() {
        for ((stage, known), option) in space.stages().iter().zip(&mut fewest).zip(options) {
            let rank = |o: usize| (stage.options[o].choice.samples, o);
            let least = known.entry(stage.options[option].model).or_insert(option);
            if rank(option) < rank(*least) {
                *least = option;
            }
        }
    }
    fewest
}

/// Each compared model with what its plan with the fewest samples costs.
fn once(comparison: &Comparison) -> impl Iterator<Item = (usize, Cost)> {
    comparison.iter().filter_map(|(&model, plans)| Some((model, plans.first()?.1)))
}

/// The mean of costs, rounded down to the quantum.
fn mean(costs: impl Iterator<Item = (usize, Cost)>) -> Cost {
    let (count, sum) = costs.fold((0, Cost::ZERO), |(n, sum), (_, cost)| (n + 1, sum + cost));
    Cost(sum.0 / count.max(1))
}
