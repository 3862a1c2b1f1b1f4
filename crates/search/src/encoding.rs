//! Plans as parameters that depend on each other: per stage a model, a temperature and an aggregator, and the number
//! of samples given these. So a model with few affordable counts has as good a chance as one with many.

use std::collections::{HashMap, HashSet};

use agenttts_core::{Plan, Space};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::draw::uniform_plans;

/// Tries to draw a plan within the budget before giving up.
const TRIES: usize = 200;

/// One option of a stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    pub(crate) model: usize,
    pub(crate) temperature: usize,
    pub(crate) aggregator: usize,
    /// Natural logarithm of the number of samples.
    pub(crate) log: f64,
    /// The stretch of the logarithm that this count stands for; 0 for an option that no feasible plan has.
    pub(crate) width: f64,
    /// The options that differ in samples only have one group.
    pub(crate) group: usize,
}

/// The options of one stage.
pub(crate) struct StageCode {
    pub(crate) codes: Vec<Code>,
    /// How many models, temperatures and aggregators occur in feasible plans.
    pub(crate) choices: [usize; 3],
    /// The lowest and highest logarithm of each group.
    pub(crate) ranges: Vec<(f64, f64)>,
}

/// All stages.
pub(crate) struct Encoding {
    pub(crate) stages: Vec<StageCode>,
}

impl Encoding {
    pub(crate) fn of(space: &Space) -> Self {
        let reachable = reachable(space);
        let stages = space.stages().iter().zip(&reachable).map(|(stage, reachable)| {
            let mut groups: HashMap<(usize, usize, usize), usize> = HashMap::new();
            let mut codes: Vec<Code> = Vec::new();
            for option in &stage.options {
                let c = &option.choice;
                let temperature = stage.stage.temperatures.iter().position(|t| *t == c.temperature).unwrap_or(0);
                let aggregator = stage.stage.aggregators.iter().position(|a| *a == c.aggregator).unwrap_or(0);
                let next = groups.len();
                let group = *groups.entry((option.model, temperature, aggregator)).or_insert(next);
                let log = f64::from(c.samples).ln();
                codes.push(Code { model: option.model, temperature, aggregator, log, width: 0.0, group });
            }
            let mut ranges = vec![(0.0, 0.0); groups.len()];
            for (group, range) in ranges.iter_mut().enumerate() {
                let mut mine: Vec<usize> =
                    (0..codes.len()).filter(|&o| codes[o].group == group && reachable[o]).collect();
                mine.sort_by(|&a, &b| codes[a].log.total_cmp(&codes[b].log));
                *range = widths(&mut codes, &mine);
            }
            let count = |of: fn(&Code) -> usize| {
                let mut seen: Vec<usize> = codes.iter().filter(|c| c.width > 0.0).map(of).collect();
                seen.sort_unstable();
                seen.dedup();
                seen.len().max(1)
            };
            let choices = [count(|c| c.model), count(|c| c.temperature), count(|c| c.aggregator)];
            StageCode { codes, choices, ranges }
        });
        Encoding { stages: stages.collect() }
    }

    /// For each stage the chance of each option: uniform over models, temperatures and aggregators, and over the
    /// logarithm of the samples given these.
    pub(crate) fn prior(&self) -> Vec<Vec<f64>> {
        let stages = self.stages.iter().map(|stage| {
            let share = |c: &Code| {
                let (low, high) = stage.ranges[c.group];
                if high > low { c.width / (high - low) } else { 0.0 }
            };
            let mut weights: Vec<f64> = stage.codes.iter().map(share).collect();
            normalise(&mut weights);
            weights
        });
        stages.collect()
    }

    /// Up to `count` feasible plans that are not taken, drawn from the prior, without repetition; with the same random
    /// numbers the first of more are the same. Fewer only when no others are left.
    pub(crate) fn plans(&self, space: &Space, taken: &HashSet<Plan>, count: usize, rng: &mut ChaCha8Rng) -> Vec<Plan> {
        let prior = self.prior();
        let mut found: Vec<Plan> = Vec::new();
        let mut seen = taken.clone();
        while found.len() < count {
            let new = |o: &[usize]| !seen.contains(&space.plan(o));
            let plan = match draw(space, &prior, new, rng) {
                Some(options) => Some(space.plan(&options)),
                None => uniform_plans(space, &seen, 1, rng).pop(),
            };
            let Some(plan) = plan else {
                break;
            };
            seen.insert(plan.clone());
            found.push(plan);
        }
        found
    }
}

/// A plan within the budget that `wanted` accepts, drawn from the weights of each stage's options; `None` when it is
/// not found soon.
pub(crate) fn draw(
    space: &Space,
    weights: &[Vec<f64>],
    wanted: impl Fn(&[usize]) -> bool,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<usize>> {
    for _ in 0..TRIES {
        let options: Vec<usize> = weights.iter().map(|w| pick(w, rng)).collect();
        if space.fits(&options) && wanted(&options) {
            return Some(options);
        }
    }
    None
}

/// An index drawn by weights that sum to 1.
pub(crate) fn pick(weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut at: f64 = rng.random();
    let mut last = 0;
    for (i, &w) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        last = i;
        at -= w;
        if at < 0.0 {
            break;
        }
    }
    last
}

pub(crate) fn normalise(weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter_mut().for_each(|w| *w /= total);
    }
}

/// Gives each option its stretch of the logarithm, midway to its neighbours, and returns the range of them all.
/// Consecutive whole numbers get the half below and above, as where integers are rounded from a continuous range.
fn widths(codes: &mut [Code], sorted: &[usize]) -> (f64, f64) {
    let Some((&first, &last)) = sorted.first().zip(sorted.last()) else {
        return (0.0, 0.0);
    };
    let samples: Vec<f64> = sorted.iter().map(|&o| codes[o].log.exp().round()).collect();
    let middle = |a: f64, b: f64| if b - a < 1.5 { ((a + b) / 2.0).ln() } else { (a.ln() + b.ln()) / 2.0 };
    let mut edges: Vec<f64> = samples.windows(2).map(|w| middle(w[0], w[1])).collect();
    let below = edges.first().map_or((samples[0] - 0.5).ln(), |e| 2.0 * codes[first].log - e);
    let above = edges.last().map_or((samples[0] + 0.5).ln(), |e| 2.0 * codes[last].log - e);
    edges.insert(0, below);
    edges.push(above);
    for (i, &o) in sorted.iter().enumerate() {
        codes[o].width = edges[i + 1] - edges[i];
    }
    (below, above)
}

/// For each stage, whether a feasible plan has each option.
fn reachable(space: &Space) -> Vec<Vec<bool>> {
    let mut seen: Vec<Vec<bool>> = space.stages().iter().map(|s| vec![false; s.options.len()]).collect();
    if space.is_listed() {
        for options in space.feasible_indices() {
            for (seen, o) in seen.iter_mut().zip(options) {
                seen[o] = true;
            }
        }
        return seen;
    }
    if let Some(cheapest) = space.indices(&space.cheapest()) {
        for (s, seen) in seen.iter_mut().enumerate() {
            let mut options = cheapest.clone();
            for (o, seen) in seen.iter_mut().enumerate() {
                options[s] = o;
                *seen = space.fits(&options);
            }
        }
    }
    seen
}
