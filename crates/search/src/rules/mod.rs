//! AgentTTS's loop without a language model: guidelines and proposals derived from the archive by the three insights.

mod candidates;
mod guideline;
mod reason;

use std::collections::HashSet;

use agenttts_core::{Plan, Space};
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::initial::initial_proposals;
use crate::random::all_tried;
use crate::surrogate::{Pool, Surrogate};
use candidates::{Candidate, candidates};
pub(crate) use guideline::guideline;

/// The loop with rules in the place of the agent.
pub(crate) struct Rules;

pub(crate) const NAME: &str = "rules";

/// Good plans around which candidates are made.
const ELITES: usize = 4;

impl Searcher for Rules {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        if ask.round() == 0 {
            return Step::Propose { guidelines: Vec::new(), proposals: initial_proposals(ask, NAME) };
        }
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
        let surrogate = Surrogate::new(ask.space, ask.archive, ask.settings.insights, &mut rng);
        let proposals = propose(ask, &surrogate, ask.room(), &HashSet::new(), &mut rng);
        if proposals.is_empty() {
            return all_tried(ask.archive.trials.len());
        }
        Step::Propose { guidelines: guideline(ask, &surrogate).into_iter().collect(), proposals }
    }
}

/// Up to `count` plans that are neither in the archive nor in `besides`; fewer only when no others are left.
pub(crate) fn propose(
    ask: &Ask<'_>,
    surrogate: &Surrogate,
    count: usize,
    besides: &HashSet<Plan>,
    rng: &mut ChaCha8Rng,
) -> Vec<Proposal> {
    let mut taken: HashSet<Plan> = ask.archive.trials.iter().map(|t| t.plan.clone()).collect();
    taken.extend(besides.iter().cloned());
    let elites = elites(ask.space, surrogate);
    let mut all = candidates(ask.space, &elites, &taken, ask.settings.insights, rng);
    let paid: Vec<Candidate> = all.iter().filter(|c| ask.affordable(&ask.space.plan(&c.options))).cloned().collect();
    if !paid.is_empty() {
        all = paid;
    }
    let best =
        surrogate.observations.iter().map(|o| surrogate.belief(&o.options).mean).fold(f64::NEG_INFINITY, f64::max);
    let mut pool = Pool::new(surrogate, all.iter().map(|c| c.options.clone()).collect());
    let mut left: Vec<usize> = (0..all.len()).collect();
    let mut proposals = Vec::new();
    while proposals.len() < count {
        let promise = |i: usize| {
            let b = pool.belief(i);
            let cost = ask.space.cost_model().units(candidates::cost(ask.space, &all[i].options));
            let budget = ask.space.cost_model().units(ask.space.budget());
            expected_improvement(b.mean - best, b.sd) - 1e-4 * cost / budget.abs().max(1e-12)
        };
        let Some((at, _)) =
            left.iter().map(|&i| promise(i)).enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)))
        else {
            break;
        };
        let chosen = left.swap_remove(at);
        let belief = pool.belief(chosen);
        let plan = ask.space.plan(&all[chosen].options);
        let text = reason::reason(ask.space, &all[chosen], surrogate, belief);
        proposals.push(Proposal::new(plan, NAME, text));
        pool.assume(chosen);
    }
    proposals
}

/// The measured plans with the highest estimates within the budget, best first.
pub(crate) fn elites(space: &Space, surrogate: &Surrogate) -> Vec<Vec<usize>> {
    let mut all: Vec<(f64, &Vec<usize>)> = surrogate
        .observations
        .iter()
        .filter(|o| candidates::cost(space, &o.options) <= space.budget())
        .map(|o| (surrogate.belief(&o.options).mean, &o.options))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(ELITES).map(|(_, o)| o.clone()).collect()
}

/// By how much a score that is believed to lie `above` the best, with standard deviation `sd`, is expected to exceed it.
fn expected_improvement(above: f64, sd: f64) -> f64 {
    if !above.is_finite() || sd <= 0.0 {
        return if above.is_finite() { above.max(0.0) } else { sd };
    }
    let z = above / sd;
    above * normal_cdf(z) + sd * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 1e-7).
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let poly =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = poly * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z > 0.0 { 1.0 - tail } else { tail }
}
