//! Evolution by NSGA-II (Deb et al. 2002): plans are bred for quality and for low cost at once.
//!
//! The parents of a round are the best of all measured plans: those that no other beats in both respects, then those
//! that only these beat, and so on; within such a front those with the most room around them. Children take each stage
//! from one of two parents and change a stage now and then.

use agenttts_core::{PricedStage, Space};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::Use;
use crate::observed::best_observed;
use crate::opening::Opening;
use crate::random::nothing_left;
use crate::recommend::Recommendation;
use crate::tried::Tried;

/// Evolution.
pub(crate) struct Evolution;

pub(crate) const NAME: &str = "evolution";

/// Parents of a round, and the random plans that it begins with.
const POPULATION: usize = 15;

/// The chance that a child has two parents.
const CROSSOVER: f64 = 0.9;

/// Tries to breed a new feasible plan before one is drawn at random.
const TRIES: usize = 200;

impl Searcher for Evolution {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        let opening = Opening::of(ask, NAME, Use::Evolution, POPULATION);
        let Opening { encoding, tried, mut taken, mut purse, mut rng } = match opening {
            Ok(opening) => opening,
            Err(step) => return step,
        };
        let space = ask.space;
        let parents = select(tried, POPULATION);
        let mut proposals: Vec<Proposal> = Vec::new();
        let mut refused: Option<Proposal> = None;
        for _ in 0..ask.room() * TRIES {
            if proposals.len() == ask.room() {
                break;
            }
            let (options, reason) = breed(space, &parents, &mut rng);
            let plan = space.plan(&options);
            if !space.fits(&options) || taken.contains(&plan) {
                continue;
            }
            if purse.pay(&plan, None) {
                taken.insert(plan.clone());
                proposals.push(Proposal::new(plan, NAME, reason));
            } else {
                refused.get_or_insert(Proposal::new(plan, NAME, reason));
            }
        }
        let missing = ask.room() - proposals.len();
        let drawn = if refused.is_some() { Vec::new() } else { encoding.plans(space, &taken, missing, &mut rng) };
        for plan in drawn {
            if purse.pay(&plan, None) || proposals.is_empty() {
                proposals.push(Proposal::new(plan, NAME, "drawn at random: breeding gave nothing new"));
            }
        }
        if proposals.is_empty() {
            proposals.extend(refused);
        }
        if proposals.is_empty() {
            return nothing_left(ask);
        }
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

/// A child, and how it came about in words.
fn breed(space: &Space, parents: &[Tried], rng: &mut ChaCha8Rng) -> (Vec<usize>, String) {
    // Parents are in order of selection, so the earlier of two wins the tournament.
    let mut winner = || rng.random_range(0..parents.len()).min(rng.random_range(0..parents.len()));
    let (a, b) = (winner(), winner());
    let (mother, father) = (&parents[a], &parents[b]);
    let crossed = a != b && rng.random::<f64>() < CROSSOVER;
    let mut options = mother.options.clone();
    if crossed {
        for (mine, &other) in options.iter_mut().zip(&father.options) {
            if rng.random::<bool>() {
                *mine = other;
            }
        }
    }
    let mut changed: Vec<&str> = Vec::new();
    for (mine, stage) in options.iter_mut().zip(space.stages()) {
        if rng.random::<f64>() < 1.0 / space.stages().len() as f64 {
            *mine = mutate(stage, *mine, rng);
            changed.push(&stage.stage.name);
        }
    }
    let mut reason = match crossed {
        true => format!("child of trials {} and {}", mother.trial, father.trial),
        false => format!("child of trial {}", mother.trial),
    };
    if !changed.is_empty() {
        reason.push_str(&format!(", changed in {}", changed.join(", ")));
    }
    (options, reason)
}

/// The stage's option with one thing changed: fewer or more samples, another model, temperature or aggregator.
fn mutate(stage: &PricedStage, option: usize, rng: &mut ChaCha8Rng) -> usize {
    let now = &stage.options[option];
    let alike = |o: &usize| {
        let c = &stage.options[*o].choice;
        [
            stage.options[*o].model == now.model,
            c.temperature == now.choice.temperature,
            c.aggregator == now.choice.aggregator || c.samples == 1 || now.choice.samples == 1,
        ]
    };
    let all = 0..stage.options.len();
    let distance =
        |o: &usize| (f64::from(stage.options[*o].choice.samples).ln() - f64::from(now.choice.samples).ln()).abs();
    if rng.random::<bool>() {
        let same: Vec<usize> = all.filter(|o| *o != option && alike(o) == [true; 3]).collect();
        // Steps in the logarithm of the samples, small ones more often.
        let weight = |o: &&usize| (-distance(o)).exp();
        if let Ok(&found) = same.choose_weighted(rng, |o| weight(&o)) {
            return found;
        }
        return option;
    }
    let different: Vec<usize> = all.filter(|o| alike(o).iter().filter(|same| !**same).count() == 1).collect();
    let Some(&kind) = different.choose(rng) else {
        return option;
    };
    // The chosen model, temperature or aggregator at the nearest number of samples.
    let target = &stage.options[kind];
    let like = |o: &&usize| {
        let (x, c) = (&stage.options[**o], &stage.options[**o].choice);
        x.model == target.model
            && c.temperature == target.choice.temperature
            && c.aggregator == target.choice.aggregator
    };
    different.iter().filter(like).min_by(|a, b| distance(a).total_cmp(&distance(b))).copied().unwrap_or(kind)
}

/// The `count` best by front, then by room within the front, in that order.
fn select(plans: Vec<Tried>, count: usize) -> Vec<Tried> {
    let mut left = plans;
    let mut chosen: Vec<Tried> = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        let beaten: Vec<bool> = left.iter().map(|t| left.iter().any(|o| dominates(o, t))).collect();
        let (mut front, mut rest) = (Vec::new(), Vec::new());
        for (plan, beaten) in left.into_iter().zip(beaten) {
            if beaten { rest.push(plan) } else { front.push(plan) }
        }
        let room = crowding(&front);
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| room[b].total_cmp(&room[a]).then(front[b].mean.total_cmp(&front[a].mean)));
        chosen.extend(order.into_iter().map(|i| front[i].clone()));
        left = rest;
    }
    chosen.truncate(count);
    chosen
}

/// Whether `a` is at least as good and as cheap as `b`, and better in one of them.
fn dominates(a: &Tried, b: &Tried) -> bool {
    a.mean >= b.mean && a.cost <= b.cost && (a.mean > b.mean || a.cost < b.cost)
}

/// Deb's crowding distance: how far apart a plan's neighbours in its front are, in quality and cost; infinite at the
/// ends.
fn crowding(front: &[Tried]) -> Vec<f64> {
    let mut room = vec![0.0; front.len()];
    for value in [|t: &Tried| t.mean, |t: &Tried| t.cost] {
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| value(&front[a]).total_cmp(&value(&front[b])));
        let (Some(&first), Some(&last)) = (order.first(), order.last()) else {
            continue;
        };
        let range = (value(&front[last]) - value(&front[first])).max(1e-12);
        room[first] = f64::INFINITY;
        room[last] = f64::INFINITY;
        for w in order.windows(3) {
            room[w[1]] += (value(&front[w[2]]) - value(&front[w[0]])) / range;
        }
    }
    room
}
