//! The baseline: plans drawn uniformly from those within the budget.

use std::collections::HashSet;

use agenttts_core::Plan;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng, uniform_plans};
use crate::observed::best_observed;
use crate::recommend::Recommendation;
use crate::tried::{Purse, proposed};

/// Uniform over the feasible plans, seeded, without repetition.
pub(crate) struct Random;

pub(crate) const NAME: &str = "random";

/// Plans drawn for each that is proposed, where some may be too dear for what is left.
const SPARE: usize = 20;

impl Searcher for Random {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        let taken = proposed(ask.archive);
        let mut purse = Purse::new(ask);
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Uniform);
        let drawn = if purse.is_limited() { SPARE * ask.room() } else { ask.room() };
        let plans = uniform_plans(ask.space, &taken, drawn, &mut rng);
        let proposals: Vec<Proposal> = purse
            .choose(plans, ask.room())
            .into_iter()
            .map(|plan| Proposal::new(plan, NAME, "drawn uniformly"))
            .collect();
        if proposals.is_empty() {
            return nothing_left(ask);
        }
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

/// The end of a search that proposes nothing more: everything was tried, or what is left of the search budget pays for none of
/// the rest.
pub(crate) fn nothing_left(ask: &Ask<'_>) -> Step {
    let tried: HashSet<&Plan> = ask.archive.trials.iter().map(|t| &t.plan).collect();
    let feasible = ask.space.feasible();
    Step::Finished(if tried.len() as u128 >= feasible {
        format!("all {feasible} plans within the budget have been tried")
    } else {
        format!(
            "what is left of the search budget does not pay for another trial ({} of {feasible} plans within the plan budget were tried)",
            tried.len()
        )
    })
}
