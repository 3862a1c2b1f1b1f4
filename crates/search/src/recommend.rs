//! Which measured plan to confirm and use, and which plans trade quality against cost.

use agenttts_core::{Archive, Plan, Space};

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
    let all = judged(space, archive);
    let lucky = archive.best().map(|(t, m)| (t, m.objective.mean));
    let lucky = lucky.and_then(|(t, score)| Some((t.number, score, all.iter().find(|r| r.plan == t.plan)?.clone())));
    let explained = all.into_iter().take(k).enumerate().map(|(i, mut r)| {
        let place = if i == 0 { "highest estimate".to_owned() } else { format!("estimate number {}", i + 1) };
        r.why = format!("{place} ({:.3} ± {:.3}) of the measured plans", r.mean, r.sd);
        if !r.within_budget {
            r.why.push_str("; measured, it costs more than the budget");
        }
        if let Some((number, score, other)) = lucky.as_ref().filter(|(_, _, l)| i == 0 && l.plan != r.plan) {
            let but = if other.within_budget {
                format!("but with related plans and replicates its estimate is {:.3}", other.mean)
            } else {
                "but measured, it costs more than the budget".to_owned()
            };
            r.why.push_str(&format!("; trial {number} scored {score:.3}, {but}"));
        }
        r
    });
    explained.collect()
}

/// The measured plans that no other beats in both estimate and cost, cheapest first.
pub fn pareto(space: &Space, archive: &Archive) -> Vec<Recommendation> {
    let mut all = judged(space, archive);
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

/// All measured plans of the space: those within the budget first, then by estimate; the cheaper of equals first.
fn judged(space: &Space, archive: &Archive) -> Vec<Recommendation> {
    let surrogate = Surrogate::new(space, archive, Insights::ALL, &mut rng(0, 0, Use::Recommend));
    let budget = space.cost_model().units(space.budget());
    let judge = |o: &Observation| {
        let Belief { mean, sd } = surrogate.belief(&o.options);
        let plan = space.plan(&o.options);
        let cost = measured_cost(space, archive, &plan);
        let trial = o.trials.first().copied().unwrap_or(0);
        let within_budget = cost <= budget * (1.0 + 1e-9) + 1e-9;
        Recommendation { trial, plan, mean, sd, cost, within_budget, why: String::new() }
    };
    let mut all: Vec<Recommendation> = surrogate.observations.iter().map(judge).collect();
    all.sort_by(|a, b| {
        b.within_budget
            .cmp(&a.within_budget)
            .then(b.mean.total_cmp(&a.mean))
            .then(a.cost.total_cmp(&b.cost))
            .then(a.trial.cmp(&b.trial))
    });
    all
}

/// The mean measured cost over the plan's trials, or its nominal cost.
fn measured_cost(space: &Space, archive: &Archive, plan: &Plan) -> f64 {
    let costs: Vec<f64> = archive
        .measured()
        .filter(|(t, m)| &t.plan == plan && m.cost.n > 0 && m.cost.mean.is_finite())
        .map(|(_, m)| m.cost.mean)
        .collect();
    if costs.is_empty() {
        return space.cost_of(plan).map_or(f64::INFINITY, |c| space.cost_model().units(c));
    }
    costs.iter().sum::<f64>() / costs.len() as f64
}
