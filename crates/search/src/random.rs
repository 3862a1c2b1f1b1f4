//! The baseline: plans drawn uniformly from those within the budget.

use std::collections::HashSet;

use agenttts_core::Plan;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng, uniform_plans};

/// Uniform over the feasible plans, seeded, without repetition.
pub(crate) struct Random;

pub(crate) const NAME: &str = "random";

impl Searcher for Random {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        let taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Uniform);
        let proposals: Vec<Proposal> = uniform_plans(ask.space, &taken, ask.room(), &mut rng)
            .into_iter()
            .map(|plan| Proposal::new(plan, NAME, "drawn uniformly"))
            .collect();
        if proposals.is_empty() {
            return all_tried(taken.len());
        }
        Step::Propose { guidelines: Vec::new(), proposals }
    }
}

/// The end of a search that has tried everything.
pub(crate) fn all_tried(plans: usize) -> Step {
    Step::Finished(format!("all {plans} plans within the budget have been tried"))
}
