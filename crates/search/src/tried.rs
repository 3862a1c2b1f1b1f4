//! What the archive says of each plan that was tried, its trials pooled, and what can still be paid.

use std::collections::HashSet;

use agenttts_core::{Archive, Estimate, Plan, PooledPlan, Space, TrialState};

use crate::ask::Ask;

/// A measured plan of the space, with all its trials taken together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tried {
    /// The plan as option indices.
    pub(crate) options: Vec<usize>,
    /// The number of its first measured trial.
    pub(crate) trial: u32,
    /// Mean objective over all its examples; of a plan that was raced out what it would be expected to be.
    pub(crate) mean: f64,
    /// Examples behind that mean, over all its trials.
    pub(crate) examples: u32,
    /// What one query costs, in units of the cost model: as measured, or nominally where no measurement says.
    pub(crate) cost: f64,
    /// Whether it was raced out: its examples are fewer than it was meant to have.
    pub(crate) is_raced_out: bool,
}

/// The measured plans in the order of their first measured trials.
pub(crate) fn tried(space: &Space, archive: &Archive) -> Vec<Tried> {
    let mut plans = archive.plans();
    plans.iter_mut().for_each(|p| p.trials.retain(|(_, m)| m.objective.n > 0 && m.objective.mean.is_finite()));
    plans.iter().filter_map(|plan| pool(space, plan)).collect()
}

fn pool(space: &Space, plan: &PooledPlan<'_>) -> Option<Tried> {
    let trials = &plan.trials;
    let first = trials.first()?.0;
    let options = space.indices(&first.plan)?;
    let weighted = |estimates: &[Estimate]| {
        let n: f64 = estimates.iter().map(|e| f64::from(e.n)).sum();
        (n > 0.0).then(|| estimates.iter().map(|e| f64::from(e.n) * e.mean).sum::<f64>() / n)
    };
    let scores: Vec<Estimate> = trials.iter().map(|(_, m)| m.objective).collect();
    let costs: Vec<Estimate> = trials.iter().map(|(_, m)| m.cost).filter(|c| c.mean.is_finite()).collect();
    let nominal = || space.cost(&options).map_or(f64::INFINITY, |c| space.cost_model().units(c));
    let raced_out = plan.raced_out();
    Some(Tried {
        trial: first.number,
        mean: raced_out.map_or(weighted(&scores)?, |r| r.expected),
        examples: scores.iter().map(|e| e.n).sum(),
        cost: weighted(&costs).unwrap_or_else(nominal),
        options,
        is_raced_out: raced_out.is_some(),
    })
}

/// The plans of pending trials, as option indices, each once.
pub(crate) fn pending(space: &Space, archive: &Archive) -> Vec<Vec<usize>> {
    let open = archive.trials.iter().filter(|t| t.state == TrialState::Pending);
    let mut seen = HashSet::new();
    open.filter_map(|t| space.indices(&t.plan)).filter(|o| seen.insert(o.clone())).collect()
}

/// Every plan that was proposed before, whatever became of it.
pub(crate) fn proposed(archive: &Archive) -> HashSet<Plan> {
    archive.trials.iter().map(|t| t.plan.clone()).collect()
}

/// What is left of the search budget while a round is put together.
pub(crate) struct Purse<'a> {
    ask: &'a Ask<'a>,
    left: Option<f64>,
}

impl<'a> Purse<'a> {
    pub(crate) fn new(ask: &'a Ask<'a>) -> Self {
        Purse { ask, left: ask.remaining }
    }

    /// Whether prices and a limit are known, so that a plan can be too dear.
    pub(crate) fn is_limited(&self) -> bool {
        self.left.is_some() && self.ask.prices.is_some()
    }

    /// Pays for a trial of the plan on `examples` examples (absent: as many as usual); false if what is left does not
    /// suffice.
    pub(crate) fn pay(&mut self, plan: &Plan, examples: Option<u32>) -> bool {
        let (Some(prices), Some(left)) = (self.ask.prices, &mut self.left) else {
            return true;
        };
        let usual = self.ask.settings.examples.or(self.ask.pool).unwrap_or(1);
        let price = prices.price(plan, examples.unwrap_or(usual));
        let enough = price <= *left;
        if enough {
            *left -= price;
        }
        enough
    }

    /// The first `count` of the plans that can be paid one after another. Where not one can, the first of all: it is
    /// for the owner of the budget to refuse it.
    pub(crate) fn choose(&mut self, plans: impl IntoIterator<Item = Plan>, count: usize) -> Vec<Plan> {
        let (mut chosen, mut first) = (Vec::new(), None);
        for plan in plans {
            if chosen.len() == count {
                break;
            }
            if self.pay(&plan, None) {
                chosen.push(plan);
            } else {
                first.get_or_insert(plan);
            }
        }
        if chosen.is_empty() {
            chosen.extend(first);
        }
        chosen
    }
}
