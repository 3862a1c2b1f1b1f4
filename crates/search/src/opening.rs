//! How a round begins of methods that learn from what was tried: with plans at random, until there is enough to learn
//! from.

use std::collections::HashSet;

use agenttts_core::Plan;
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Step};
use crate::draw::{Use, rng};
use crate::encoding::Encoding;
use crate::random::nothing_left;
use crate::tried::{Purse, Tried, proposed, tried};

/// Plans drawn for each that is proposed, where some may be too dear for what is left.
const SPARE: usize = 20;

/// What such a method needs for its proposals.
pub(crate) struct Opening<'a> {
    pub(crate) encoding: Encoding,
    /// The measured plans in the order of their first measured trials.
    pub(crate) tried: Vec<Tried>,
    /// Every plan that was proposed before.
    pub(crate) taken: HashSet<Plan>,
    pub(crate) purse: Purse<'a>,
    pub(crate) rng: ChaCha8Rng,
}

impl<'a> Opening<'a> {
    /// The opening once `enough` plans are measured; the step to take instead before that, and when a limit is reached.
    pub(crate) fn of(ask: &'a Ask<'_>, method: &str, random: Use, enough: usize) -> Result<Self, Step> {
        if let Some(finished) = ask.limit_reached() {
            return Err(finished);
        }
        let mut opening = Opening {
            encoding: Encoding::of(ask.space),
            tried: tried(ask.space, ask.archive),
            taken: proposed(ask.archive),
            purse: Purse::new(ask),
            rng: rng(ask.settings.seed, ask.round(), random),
        };
        if opening.tried.len() < enough { Err(opening.plans_at_random(ask, method)) } else { Ok(opening) }
    }

    fn plans_at_random(&mut self, ask: &Ask<'_>, method: &str) -> Step {
        let drawn = if self.purse.is_limited() { SPARE * ask.room() } else { ask.room() };
        let drawn = self.encoding.plans(ask.space, &self.taken, drawn, &mut self.rng);
        let plans = self.purse.choose(drawn, ask.room());
        if plans.is_empty() {
            return nothing_left(ask);
        }
        let reason = "one of the first plans, drawn at random";
        let proposals = plans.into_iter().map(|p| Proposal::new(p, method, reason)).collect();
        Step::Propose { guidelines: Vec::new(), proposals }
    }
}
