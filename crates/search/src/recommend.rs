//! Which measured plan to confirm and use, and which plans trade quality against cost.

use std::collections::{HashMap, HashSet};

use agenttts_core::{Archive, Plan, PooledPlan, Space};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::ask::Insights;
use crate::draw::{Use, rng};
use crate::surrogate::{Belief, Observation, Surrogate};

/// A measured plan and what is believed of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The number of the trial that measured it; of its first, where there are replicates.
    pub trial: u32,
    /// The plan.
    pub plan: Plan,
    /// Its shrunken estimate: the mean of what its true objective is believed to be.
    pub mean: f64,
    /// Standard deviation of that belief.
    pub sd: f64,
    /// What one query costs, in units of the study's cost model: as measured, or nominally where the measurement has none.
    pub cost: f64,
    /// Whether that cost is within the plan budget.
    pub within_budget: bool,
    /// Why this plan, in words.
    pub why: String,
}

/// The plan to confirm: of the measured plans within the budget the one with the highest shrunken estimate, which
/// combines its own trials (replicates pooled) with those of related plans. Where none is within the budget by its
/// measured cost, the best of the others. `None` when nothing was measured.
pub fn recommend(space: &Space, archive: &Archive) -> Option<Recommendation> {
    finalists(space, archive, 1).into_iter().next()
}

/// The `k` plans most worth confirming, in the order of [`recommend`].
pub fn finalists(space: &Space, archive: &Archive, k: usize) -> Vec<Recommendation> {
    let all = estimates(space, archive);
    let (plans, leader) = (archive.plans(), archive.best());
    let leader = leader.as_ref().and_then(|l| Some((l, all.iter().find(|r| &r.plan == l.plan)?.clone())));
    let explained = all.into_iter().take(k).enumerate().map(|(i, mut r)| {
        let place = if i == 0 { "highest estimate".to_owned() } else { format!("estimate number {}", i + 1) };
        r.why = format!("{place} ({:.3} ± {:.3}) of the measured plans", r.mean, r.sd);
        if !r.within_budget {
            r.why.push_str("; measured, it costs more than the budget");
        }
        let own = plans.iter().find(|p| p.plan == &r.plan).map_or(f64::NAN, |p| p.objective.mean);
        let better = |leader: &PooledPlan<'_>| leader.plan != &r.plan && leader.objective.mean > own;
        if let Some((pooled, other)) = leader.as_ref().filter(|(l, _)| i == 0 && better(l)) {
            let but = if other.within_budget {
                format!("but with related plans its estimate is {:.3}", other.mean)
            } else {
                "but measured, it costs more than the budget".to_owned()
            };
            let (score, trial) = (pooled.objective.mean, pooled.first_trial());
            let who = match pooled.trials.len() {
                1 => format!("trial {trial}"),
                n => format!("the plan of trial {trial} (with {} more)", n - 1),
            };
            r.why.push_str(&format!("; {who} scored {score:.3}, {but}"));
        }
        r
    });
    explained.collect()
}

/// The measured plans that no other beats in both estimate and cost, cheapest first.
pub fn pareto(space: &Space, archive: &Archive) -> Vec<Recommendation> {
    let mut all = estimates(space, archive);
    all.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.mean.total_cmp(&a.mean)));
    let mut best = f64::NEG_INFINITY;
    all.retain(|r| {
        let better = r.mean > best;
        best = best.max(r.mean);
        better
    });
    for r in &mut all {
        r.why = "no measured plan is both cheaper and better".to_owned();
    }
    all
}

/// All measured plans of the space but those that were raced out: within the budget first, then by estimate; the cheaper
/// of equals first.
pub fn estimates(space: &Space, archive: &Archive) -> Vec<Recommendation> {
    ranked(space, archive, &Beliefs::new(space, archive))
}

/// All measured plans of the space in the order of [`estimates`], by what is believed of them.
pub(crate) fn ranked(space: &Space, archive: &Archive, beliefs: &Beliefs<'_>) -> Vec<Recommendation> {
    let surrogate = &beliefs.surrogate;
    let costs = measured_costs(archive);
    let budget = space.cost_model().units(space.budget());
    let judge = |o: &Observation| {
        let Belief { mean, sd } = surrogate.belief(&o.options);
        let plan = space.plan(&o.options);
        let cost = costs.get(&plan).copied().unwrap_or_else(|| nominal_cost(space, &plan));
        let trial = o.trials.first().copied().unwrap_or(0);
        let within_budget = cost <= budget * (1.0 + 1e-9) + 1e-9;
        Recommendation { trial, plan, mean, sd, cost, within_budget, why: String::new() }
    };
    let plans = archive.plans();
    let raced_out: HashSet<&Plan> = plans.iter().filter(|p| p.raced_out().is_some()).map(|p| p.plan).collect();
    let mut all: Vec<Recommendation> = surrogate.observations.iter().map(judge).collect();
    all.retain(|r| !raced_out.contains(&r.plan));
    all.sort_by(|a, b| {
        b.within_budget
            .cmp(&a.within_budget)
            .then(b.mean.total_cmp(&a.mean))
            .then(a.cost.total_cmp(&b.cost))
            .then(a.trial.cmp(&b.trial))
    });
    all
}

/// What one query of each measured plan costs on average over its trials, where they tell.
fn measured_costs(archive: &Archive) -> HashMap<&Plan, f64> {
    let told = archive.plans().into_iter().filter(|p| p.cost.n > 0 && p.cost.mean.is_finite());
    told.map(|p| (p.plan, p.cost.mean)).collect()
}

fn nominal_cost(space: &Space, plan: &Plan) -> f64 {
    space.cost_of(plan).map_or(f64::INFINITY, |c| space.cost_model().units(c))
}

/// What is believed of the true scores of plans, measured or not.
pub struct Beliefs<'a> {
    space: &'a Space,
    surrogate: Surrogate,
}

impl<'a> Beliefs<'a> {
    /// What the trials of an archive tell.
    pub fn new(space: &'a Space, archive: &Archive) -> Self {
        let surrogate = Surrogate::new(space, archive, Insights::ALL, &mut rng(0, 0, Use::Recommend));
        Beliefs { space, surrogate }
    }

    /// What a surrogate believes.
    pub(crate) fn from(space: &'a Space, surrogate: Surrogate) -> Self {
        Beliefs { space, surrogate }
    }

    /// Mean and standard deviation of the belief about a plan; `None` for plans outside the space.
    pub fn of(&self, plan: &Plan) -> Option<(f64, f64)> {
        let Belief { mean, sd } = self.surrogate.belief(&self.space.indices(plan)?);
        Some((mean, sd))
    }

    /// Mean and standard deviation of the belief about how much better `a` is than `b`.
    pub fn difference(&self, a: &Plan, b: &Plan) -> Option<(f64, f64)> {
        let Belief { mean, sd } = self.surrogate.difference(&self.space.indices(a)?, &self.space.indices(b)?);
        Some((mean, sd))
    }

    /// The probability that `a` is better than `b`; one half where they are one plan.
    pub fn chance_better(&self, a: &Plan, b: &Plan) -> Option<f64> {
        let (mean, sd) = self.difference(a, b)?;
        if a == b {
            return Some(0.5);
        }
        // A difference that is known exactly is no chance.
        Some(Normal::new(mean, sd.max(1e-9)).map_or(0.5, |n| n.sf(0.0)))
    }
}
