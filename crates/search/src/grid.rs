//! Every feasible plan in turn, or an even spread of them where the trial limit allows no more.

use std::collections::HashSet;

use agenttts_core::Plan;
use rand::seq::SliceRandom;

use crate::ask::{Ask, GridOrder, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::observed::best_observed;
use crate::random::nothing_left;
use crate::recommend::Recommendation;
use crate::tried::Purse;

/// All feasible plans, in lexicographic or seeded order.
pub(crate) struct Grid;

pub(crate) const NAME: &str = "grid";

/// The most plans that are put in order; a spread of a larger space has this many.
const MOST: u128 = 1 << 20;

/// Further plans that are looked at where some may be too dear for what is left.
const SPARE: usize = 256;

/// The golden ratio's fraction: its multiples fill 0..1 evenly.
const GOLDEN: f64 = 0.618_033_988_749_895;

impl Searcher for Grid {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        let feasible = ask.space.feasible();
        let limit = ask.settings.trials.map_or(MOST, u128::from).min(MOST);
        let mut order: Vec<usize> = (0..feasible.min(limit) as usize).collect();
        if ask.settings.order == GridOrder::Seeded {
            // The order is the study's, not the round's: the archive tells how far it has come.
            order.shuffle(&mut rng(ask.settings.seed, 0, Use::Order));
        }
        let mut places: Vec<(u128, usize)> =
            order.iter().enumerate().map(|(turn, &i)| (position(i, order.len(), feasible), turn)).collect();
        places.sort_unstable();
        let taken: HashSet<&Plan> = ask.archive.trials.iter().map(|t| &t.plan).collect();
        let mut purse = Purse::new(ask);
        let room = if purse.is_limited() { ask.room() + SPARE } else { ask.room() };
        let mut next: Vec<(usize, Plan)> = Vec::new();
        let mut places = places.into_iter().peekable();
        for (index, options) in (0u128..).zip(ask.space.feasible_indices()) {
            let Some(&(place, turn)) = places.peek() else {
                break;
            };
            if index < place {
                continue;
            }
            places.next();
            let later = next.len() == room && next.last().is_some_and(|(t, _)| *t < turn);
            if later {
                continue;
            }
            let plan = ask.space.plan(&options);
            if !taken.contains(&plan) {
                let at = next.partition_point(|(t, _)| *t < turn);
                next.insert(at, (turn, plan));
                next.truncate(room);
            }
        }
        if next.is_empty() {
            return if order.len() as u128 == feasible {
                nothing_left(ask)
            } else {
                Step::Finished(format!("the even spread of {} of {feasible} plans has been tried", order.len()))
            };
        }
        let spread = order.len() as u128 != feasible;
        let reason = |turn: usize| {
            if spread {
                format!("number {} of an even spread of {}", turn + 1, order.len())
            } else {
                format!("number {} of {}", turn + 1, order.len())
            }
        };
        let plans = purse.choose(next.iter().map(|(_, plan)| plan.clone()), ask.room());
        let proposals = next.into_iter().filter(|(_, plan)| plans.contains(plan));
        Step::Propose {
            guidelines: Vec::new(),
            proposals: proposals.map(|(turn, plan)| Proposal::new(plan, NAME, reason(turn))).collect(),
        }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

/// Where the `i`-th of `count` places lies among `all` plans: one in each of `count` equal stretches, at a place within
/// it that moves by the golden ratio, so that the spread does not fall into step with the options of the last stage.
fn position(i: usize, count: usize, all: u128) -> u128 {
    let (i, count) = (i as u128, (count as u128).max(1));
    let (start, end) = (i * all / count, (i + 1) * all / count);
    let within = (i as f64 * GOLDEN).fract();
    start + ((end - start) as f64 * within) as u128
}
