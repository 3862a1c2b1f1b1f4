//! Sequential halving over a random subset of plans (Karnin, Koren and Somekh 2013).
//!
//! Rung 0 tries every plan of the subset on a few examples. The better half goes on to about twice as many further
//! examples, and so on until one plan is left; a plan's score is the mean over all its examples. Each rung gets an
//! equal share of what is left to spend. Nothing is assumed about how plans are related.

use std::collections::{HashMap, HashSet};

use agenttts_core::{Plan, TrialState};

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::encoding::Encoding;
use crate::observed::best_of;
use crate::recommend::Recommendation;
use crate::tried::{Purse, tried};

/// Sequential halving.
pub(crate) struct Halving;

pub(crate) const NAME: &str = "halving";

/// Plans of the subset, where the budget does not say otherwise.
const ARMS: usize = 256;

/// Examples of a plan in rung 0: at least so many where the budget allows, and so many where no limit is known. Of one
/// zero-one score hardly anything can be learnt, so fewer plans are better.
const OPENING: u32 = 2;

/// Examples for which prices are asked to learn what one costs.
const PROBE: u32 = 8;

impl Searcher for Halving {
    fn name(&self) -> &str {
        NAME
    }

    fn races(&self) -> bool {
        false
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        if let Some(finished) = ask.limit_reached() {
            return finished;
        }
        let state = State::of(ask);
        let Some((plans, examples)) = state.next(ask) else {
            return Step::Finished("sequential halving has come to its last plan".into());
        };
        let mut purse = Purse::new(ask);
        let mut chosen: Vec<&Plan> = plans.iter().filter(|p| purse.pay(p, Some(examples))).take(ask.room()).collect();
        if chosen.is_empty() {
            chosen.extend(plans.first());
        }
        let place = match state.rung {
            0 => "one of the random plans of rung 0".to_owned(),
            rung => format!("one of the {} plans that reached rung {rung}", state.survivors.len()),
        };
        let proposals =
            chosen.into_iter().map(|p| Proposal::new(p.clone(), NAME, place.clone()).on(examples)).collect();
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        let state = State::of(ask);
        let ready = |&&a: &&usize| state.arms[a].is_measured();
        let served: Vec<usize> =
            state.survivors.iter().filter(|&&a| state.arms[a].visits.len() > state.rung).copied().collect();
        let mut last: Vec<usize> = served.iter().filter(ready).copied().collect();
        if last.is_empty() {
            last = state.survivors.iter().filter(ready).copied().collect();
        }
        let plans: HashSet<&Plan> = last.into_iter().map(|a| state.arms[a].plan).collect();
        let mine = tried(ask.space, ask.archive).into_iter().filter(|t| plans.contains(&ask.space.plan(&t.options)));
        best_of(ask, mine.collect(), "of the survivors with the most examples")
    }
}

/// A plan of the subset.
struct Arm<'a> {
    plan: &'a Plan,
    /// For each of its trials the sum of its scores and its examples; nothing where it was not measured.
    visits: Vec<Option<(f64, u32)>>,
    /// Examples that its trials were asked for.
    examples: u32,
}

impl Arm<'_> {
    /// Mean over its first `visits` trials; the lowest of all where none of them was measured.
    fn mean(&self, visits: usize) -> f64 {
        let (sum, n) = self.visits.iter().take(visits).flatten().fold((0.0, 0), |(sum, n), (s, m)| (sum + s, n + m));
        if n == 0 { f64::NEG_INFINITY } else { sum / f64::from(n) }
    }

    fn is_measured(&self) -> bool {
        self.visits.iter().any(Option::is_some)
    }
}

/// How far the search has come, read from the archive alone.
struct State<'a> {
    arms: Vec<Arm<'a>>,
    rung: usize,
    /// The plans of this rung, best first, as indices of arms.
    survivors: Vec<usize>,
    /// Those of them that this rung still has to try.
    waiting: Vec<usize>,
    /// The plans that rung 0 still lacks, and their examples.
    opening: Option<(Vec<Plan>, u32)>,
}

impl<'a> State<'a> {
    fn of(ask: &Ask<'a>) -> Self {
        let mut places: HashMap<&Plan, usize> = HashMap::new();
        let mut arms: Vec<Arm<'a>> = Vec::new();
        for trial in &ask.archive.trials {
            let at = *places.entry(&trial.plan).or_insert(arms.len());
            if at == arms.len() {
                arms.push(Arm { plan: &trial.plan, visits: Vec::new(), examples: 0 });
            }
            let measured = trial.measurement().map(|m| &m.objective).filter(|o| o.n > 0 && o.mean.is_finite());
            arms[at].visits.push(measured.map(|o| (o.mean * f64::from(o.n), o.n)));
            if !matches!(trial.state, TrialState::Abandoned(_)) {
                arms[at].examples += trial.span.map_or(ask.pool.unwrap_or(1), |s| s.count);
            }
        }
        let survivors = (0..arms.len()).collect();
        let mut state = State { survivors, arms, rung: 0, waiting: Vec::new(), opening: None };
        if state.arms.iter().all(|a| a.visits.len() < 2) {
            state.opening = opening(ask, &state);
            if state.opening.is_some() {
                return state;
            }
        }
        let used_up = |arm: &Arm<'_>| ask.pool.is_some_and(|pool| arm.examples >= pool);
        loop {
            let (rung, arms) = (state.rung, &state.arms);
            let ahead = |&a: &usize| arms[a].visits.len() <= rung && !used_up(&arms[a]);
            state.waiting = state.survivors.iter().copied().filter(ahead).collect();
            if !state.waiting.is_empty() || state.survivors.len() < 2 {
                return state;
            }
            state.survivors.sort_by(|&a, &b| arms[b].mean(rung + 1).total_cmp(&arms[a].mean(rung + 1)));
            state.survivors.truncate(state.survivors.len().div_ceil(2));
            state.rung += 1;
        }
    }

    /// The plans that this rung still has to try and their examples; `None` when one plan is left.
    fn next(&self, ask: &Ask<'_>) -> Option<(Vec<Plan>, u32)> {
        if self.opening.is_some() {
            return self.opening.clone();
        }
        if self.survivors.len() < 2 {
            return None;
        }
        let plans: Vec<Plan> = self.waiting.iter().map(|&a| self.arms[a].plan.clone()).collect();
        // The first of this rung has set how many examples each gets.
        let begun = self.survivors.iter().find(|&&a| self.arms[a].visits.len() > self.rung);
        let set = begun.and_then(|&a| {
            let plan = self.arms[a].plan;
            let mut mine = ask.archive.trials.iter().filter(|t| &t.plan == plan);
            mine.nth(self.rung)?.span.map(|s| s.count)
        });
        let done = self.waiting.iter().map(|&a| self.arms[a].examples).max().unwrap_or(0);
        let examples = set.unwrap_or_else(|| match left(ask, self, &plans) {
            Some(left) => share(plans.len(), done, left, ask.pool),
            None => done.max(1),
        });
        Some((plans, examples))
    }
}

/// The plans that rung 0 still lacks, and their examples; `None` when it has all.
fn opening(ask: &Ask<'_>, state: &State<'_>) -> Option<(Vec<Plan>, u32)> {
    let feasible = ask.space.feasible().min(1 << 20) as usize;
    let most = feasible.min(ask.settings.trials.map_or(usize::MAX, |t| arms_within(t as usize))).max(1);
    let encoding = Encoding::of(ask.space);
    let subset = |count: usize| {
        // The order is the study's, not the round's: the archive tells how far it has come.
        encoding.plans(ask.space, &HashSet::new(), count, &mut rng(ask.settings.seed, 0, Use::Halving))
    };
    let usual = subset(most.min(ARMS));
    let mut arms = usual.len();
    let mut examples = OPENING;
    if let Some(left) = left(ask, state, &usual) {
        let all = left + state.arms.iter().map(|a| f64::from(a.examples)).sum::<f64>();
        // A budget for more than every example of the usual number of plans is for more plans.
        let full = ask.pool.map_or(0, |pool| (all / f64::from(pool)) as usize);
        let most = most.min(ARMS.max(full));
        let least = OPENING.min(ask.pool.unwrap_or(OPENING));
        arms = (1..=most).rev().find(|&arms| cost(arms, 0, least, ask.pool) <= all).unwrap_or(1);
        examples = share(arms, 0, all, ask.pool);
    }
    let drawn = if arms > usual.len() { subset(arms) } else { usual };
    let taken: HashSet<&Plan> = state.arms.iter().map(|a| a.plan).collect();
    let lacking = arms.saturating_sub(state.arms.len());
    let fresh: Vec<Plan> = drawn.into_iter().filter(|p| !taken.contains(p)).take(lacking).collect();
    // The first trial has set how many examples each gets.
    let set = ask.archive.trials.iter().find(|t| t.origin.method == NAME).and_then(|t| t.span).map(|s| s.count);
    (!fresh.is_empty()).then(|| (fresh, set.unwrap_or(examples)))
}

/// What is left to spend, in examples; `None` where no limit is known.
fn left(ask: &Ask<'_>, state: &State<'_>, plans: &[Plan]) -> Option<f64> {
    let paid = ask.prices.zip(ask.remaining).map(|(prices, left)| {
        let price: f64 = plans.iter().map(|p| prices.price(p, PROBE) / f64::from(PROBE)).sum();
        let each = price / plans.len().max(1) as f64;
        if each > 0.0 { (left / each).min(1e12) } else { 1e12 }
    });
    let usual = ask.settings.examples.or(ask.pool);
    let counted = ask.settings.trials.zip(usual).map(|(trials, examples)| {
        let spent: f64 = state.arms.iter().map(|a| f64::from(a.examples)).sum();
        (f64::from(trials) * f64::from(examples) - spent).max(0.0)
    });
    match (paid, counted) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Examples that halving takes from here: `arms` plans with `done` examples each get `add` more, the better half twice
/// as many, and so on, none more than the pool has.
fn cost(arms: usize, done: u32, add: u32, pool: Option<u32>) -> f64 {
    let (mut arms, mut done, mut add, mut total) = (arms, done, add, 0.0);
    loop {
        let now = pool.map_or(add, |pool| add.min(pool.saturating_sub(done)));
        total += arms as f64 * f64::from(now);
        if arms <= 2 || now == 0 {
            return total;
        }
        (arms, done, add) = (arms.div_ceil(2), done + now, add.saturating_mul(2));
    }
}

/// The most examples that each of `arms` plans can get now so that halving comes to its end; at least 1.
fn share(arms: usize, done: u32, left: f64, pool: Option<u32>) -> u32 {
    let (mut low, mut high) = (1u32, pool.unwrap_or(1 << 24).max(2));
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if cost(arms, done, middle, pool) <= left {
            low = middle;
        } else {
            high = middle;
        }
    }
    if cost(arms, done, high, pool) <= left { high } else { low }
}

/// The most plans that can be halved down to one within so many trials.
fn arms_within(trials: usize) -> usize {
    let needed = |mut arms: usize| {
        let mut total = arms;
        while arms > 2 {
            arms = arms.div_ceil(2);
            total += arms;
        }
        total
    };
    (1..=trials.min(1 << 20)).rev().find(|&arms| needed(arms) <= trials).unwrap_or(1)
}
