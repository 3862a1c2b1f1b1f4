//! The default method: what is believed of all plans together, and the trials that are worth most for their price.
//!
//! A Gaussian process over the space says what is believed of every plan and how plans tell of each other. A trial of a
//! plan on some examples is worth what the best plan's estimate is expected to gain from it (the knowledge gradient of
//! Frazier, Powell and Dayanik 2009, for correlated beliefs). The round takes, one after another, the plan and number of
//! examples that are worth most per unit of their price. As that looks one trial ahead only, and so may never go back to a
//! plan of which a few examples were bad, some trials go to a plan that may be the best, as likely as it is (Thompson
//! 1933).

mod contest;
mod oracle;
mod worth;

use std::collections::{BTreeSet, HashSet};

use agenttts_core::{Plan, Space};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Searcher, Step, place};
use crate::draw::{Use, rng, uniform_plans};
use crate::initial::initial_plans;
use crate::random::nothing_left;
use crate::surrogate::{Joint, Pool, Surrogate};
use crate::words;
pub(crate) use contest::Contest;
pub use oracle::Oracle;

/// Knowledge gradient per price, over a Gaussian process.
pub(crate) struct Planner;

pub(crate) const NAME: &str = "planner";

/// The share of trials whose plan is drawn by its chance to be the best.
const DRAWN: f64 = 0.2;

/// Numbers of examples that a trial may have.
const SIZES: [u32; 5] = [5, 10, 20, 40, 80];

/// Examples of each initial trial: enough to see which plans are hopeless.
const FIRST_LOOK: u32 = 4;

/// Initial trials that the paper's rule chooses, at most; and the plans drawn uniformly beside them, at least.
const INITIAL: usize = 12;
const UNIFORM: usize = 4;

/// Initial trials altogether, at least.
const OPENING: usize = 16;

/// Spaces with at most so many plans within the budget are judged whole; of larger ones a part is.
const LISTED: usize = 200_000;

/// Of the plans that are judged: the best by their mean whose uncertainty is looked at, and others at random.
const PROMISING: usize = 500;
const OTHERS: usize = 200;

/// Plans that are judged together.
const TOGETHER: usize = 250;

/// Standard deviations above its mean that decide whether a plan is judged together with the best.
const OPTIMISM: f64 = 2.0;

impl Searcher for Planner {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        step(ask, |rng| Surrogate::new(ask.space, ask.archive, ask.settings.insights, rng))
    }
}

/// The next step, with what `learned` says that the archive tells.
fn step(ask: &Ask<'_>, learned: impl FnOnce(&mut ChaCha8Rng) -> Surrogate) -> Step {
    if let Some(finished) = ask.limit_reached() {
        return finished;
    }
    let proposals = if ask.round() == 0 {
        opening(ask)
    } else {
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Rules);
        let surrogate = learned(&mut rng);
        let plans = shortlist(ask.space, &surrogate, &mut rng);
        round(ask, &surrogate, plans)
    };
    if proposals.is_empty() {
        return nothing_left(ask);
    }
    Step::Propose { guidelines: Vec::new(), proposals }
}

/// The paper's initial trials and some plans from anywhere, each on a few examples.
fn opening(ask: &Ask<'_>) -> Vec<Proposal> {
    let mut rng = rng(ask.settings.seed, 0, Use::Initial);
    let examples = FIRST_LOOK.min(ask.pool.unwrap_or(u32::MAX)).max(1);
    let plans =
        if ask.settings.insights.models { initial_plans(ask.space, ask.settings.initial, INITIAL) } else { vec![] };
    let mut proposals: Vec<Proposal> =
        plans.into_iter().map(|(plan, reason)| Proposal::new(plan, NAME, reason).on(examples)).collect();
    let taken: HashSet<Plan> = proposals.iter().map(|p| p.plan.clone()).collect();
    let more = OPENING.saturating_sub(proposals.len()).max(UNIFORM);
    let uniform = uniform_plans(ask.space, &taken, more, &mut rng);
    proposals
        .extend(uniform.into_iter().map(|p| Proposal::new(p, NAME, "drawn uniformly, for a first look").on(examples)));
    let most = ask.examples_left().map_or(ask.trials_left().unwrap_or(usize::MAX), |left| (left / examples) as usize);
    proposals.truncate(most.max(1));
    proposals
}

/// The trials of these plans that are worth most for their price, each judged as if those before it had turned out as
/// expected.
fn round(ask: &Ask<'_>, surrogate: &Surrogate, plans: Vec<Vec<usize>>) -> Vec<Proposal> {
    let mut joint = surrogate.joint(plans);
    let mut offers: Vec<Vec<Offer>> = joint.plans.iter().map(|options| offers(ask, surrogate, options)).collect();
    let mut left = ask.remaining.unwrap_or(f64::INFINITY);
    let mut examples_left = ask.examples_left().unwrap_or(u32::MAX);
    let batch = if ask.pool.is_some() { ask.settings.batch.max(1) as usize } else { ask.room() };
    let mut luck = rng(ask.settings.seed, ask.round(), Use::Thompson);
    let mut proposals = Vec::new();
    while proposals.len() < batch && examples_left > 0 {
        let drawn = (luck.random::<f64>() < DRAWN).then(|| perhaps_best(&joint, &offers, left, &mut luck)).flatten();
        let chosen = drawn.or_else(|| most_worth(&joint, &offers, surrogate.example_variance, left));
        let Some((i, offer)) = chosen else { break };
        let offer = Offer { examples: offer.examples.min(examples_left), ..offer };
        let sd = joint.variance(i).sqrt();
        let plan = ask.space.plan(&joint.plans[i]);
        let reason = format!(
            "{} is worth {} more examples; expected {:.2} ± {sd:.2}",
            words::plan(ask.space, &plan),
            offer.examples,
            joint.means[i]
        );
        proposals.push(Proposal::new(plan, NAME, reason).on(offer.examples));
        left -= offer.price;
        examples_left -= offer.examples.min(examples_left);
        joint.assume(i, surrogate.example_variance / f64::from(offer.examples));
        offers[i].clear();
    }
    proposals
}

/// A trial that could be had.
#[derive(Clone, Copy)]
struct Offer {
    examples: u32,
    price: f64,
}

/// The trials of a plan that could be had. Where examples run out, a plan that has seen them all can only be drawn
/// again, which is offered while fresh draws of the same examples tell something and the plan's draws are not greedy.
fn offers(ask: &Ask<'_>, surrogate: &Surrogate, options: &[usize]) -> Vec<Offer> {
    let plan = ask.space.plan(options);
    let mut most = u32::MAX;
    if let Some(pool) = ask.pool {
        let (stream, span) = place(ask.archive, &plan, None, ask.pool);
        if stream > 0 && !crate::rules::worth_replicating(ask, surrogate, options) {
            return Vec::new();
        }
        most = span.map_or(pool, |s| s.count);
    }
    let mut sizes: Vec<u32> = SIZES.into_iter().map(|n| n.min(most)).collect();
    sizes.dedup();
    sizes.into_iter().map(|examples| Offer { examples, price: price(ask, &plan, examples) }).collect()
}

fn price(ask: &Ask<'_>, plan: &Plan, examples: u32) -> f64 {
    ask.prices.map_or(f64::from(examples), |p| p.price(plan, examples))
}

/// The mean price of an example.
fn usual_price(offers: &[Vec<Offer>]) -> f64 {
    let each = offers.iter().flatten().filter(|o| o.price.is_finite());
    let (sum, count) = each.fold((0.0, 0.0), |(s, n), o| (s + o.price / f64::from(o.examples), n + 1.0));
    if count > 0.0 { sum / count } else { 1.0 }
}

/// The gain per price of a trial of plan `i`. One that costs next to nothing is priced at a hundredth of the usual, so
/// that free ones are taken first and yet compared.
fn worth(joint: &Joint, i: usize, offer: Offer, variance: f64, usual: f64) -> f64 {
    let price = offer.price.max(0.01 * usual * f64::from(offer.examples)).max(f64::MIN_POSITIVE);
    worth::gradient(joint, i, variance / f64::from(offer.examples)) / price
}

/// The plan and offer with the highest gain per price of those that can be paid.
fn most_worth(joint: &Joint, offers: &[Vec<Offer>], variance: f64, left: f64) -> Option<(usize, Offer)> {
    let usual = usual_price(offers);
    let mut best: Option<(f64, usize, Offer)> = None;
    for (i, offers) in offers.iter().enumerate() {
        for &offer in offers.iter().filter(|o| o.price <= left) {
            let gain = worth(joint, i, offer, variance, usual);
            if best.as_ref().is_none_or(|(most, ..)| gain > *most) {
                best = Some((gain, i, offer));
            }
        }
    }
    // What is left may pay part of the smallest trial only.
    best.map(|(_, i, offer)| (i, offer)).or_else(|| {
        let top = (0..offers.len()).filter(|&i| !offers[i].is_empty());
        let i = top.max_by(|&a, &b| joint.means[a].total_cmp(&joint.means[b]))?;
        let offer = offers[i][0];
        let examples = (left / offer.price * f64::from(offer.examples)) as u32;
        (examples > 0 && examples < offer.examples)
            .then(|| (i, Offer { examples, price: offer.price * f64::from(examples) / f64::from(offer.examples) }))
    })
}

/// The plan that is the best in one draw of what the true scores may be, with its smallest trial.
fn perhaps_best(joint: &Joint, offers: &[Vec<Offer>], left: f64, rng: &mut ChaCha8Rng) -> Option<(usize, Offer)> {
    let scores = joint.draw(rng);
    let payable = offers.iter().enumerate().filter_map(|(i, o)| Some((i, *o.first().filter(|o| o.price <= left)?)));
    payable.max_by(|a, b| scores[a.0].total_cmp(&scores[b.0]))
}

/// The plans worth judging together: the best by their mean and by what they may be.
fn shortlist(space: &Space, surrogate: &Surrogate, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut all = listed(space, surrogate, rng);
    let means = surrogate.means(&all);
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
    if order.len() > PROMISING {
        let mut others = order.split_off(PROMISING);
        others.shuffle(rng);
        others.truncate(OTHERS);
        order.extend(others);
    }
    let plans: Vec<Vec<usize>> = order.iter().map(|&i| std::mem::take(&mut all[i])).collect();
    if plans.len() <= TOGETHER {
        return plans;
    }
    let pool = Pool::new(surrogate, plans);
    let promise = |i: usize| {
        let b = pool.belief(i);
        b.mean + OPTIMISM * b.sd
    };
    let promises: Vec<f64> = (0..pool.plans.len()).map(promise).collect();
    let mut order: Vec<usize> = (0..promises.len()).collect();
    order.sort_by(|&a, &b| promises[b].total_cmp(&promises[a]));
    order.truncate(TOGETHER);
    // The best by their mean are what a trial must change: the first ten are always among them.
    order.extend((0..10).filter(|i| !order.contains(i)).collect::<Vec<_>>());
    order.into_iter().map(|i| pool.plans[i].clone()).collect()
}

/// All plans within the budget, or in a large space those measured, plans near the best of them, and many at random.
fn listed(space: &Space, surrogate: &Surrogate, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    if space.feasible() <= LISTED as u128 {
        return space.feasible_indices().collect();
    }
    let mut found: BTreeSet<Vec<usize>> = BTreeSet::new();
    let elites = crate::rules::elites(space, surrogate);
    for elite in &elites {
        for (s, stage) in space.stages().iter().enumerate() {
            for option in 0..stage.options.len() {
                let mut near = elite.clone();
                near[s] = option;
                found.insert(near);
            }
        }
    }
    found.extend(surrogate.observations.iter().map(|o| o.options.clone()));
    let random = uniform_plans(space, &HashSet::new(), 5_000, rng);
    found.extend(random.iter().filter_map(|p| space.indices(p)));
    found.into_iter().filter(|p| space.fits(p)).collect()
}
