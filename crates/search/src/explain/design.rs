//! The choices that explain scores, and the plans at which the surrogate is asked.

use std::collections::HashSet;

use agenttts_core::{Aggregator, Factor, Part, PricedStage, Space, Temperature};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::draw::uniform_plans;

/// Grids of at most this many plans are used whole, larger ones by a sample of this size: joint draws take time cubic
/// in it.
const POINTS: usize = 384;

/// Grids of at most this many plans are listed to see which fit the budget, larger ones sampled.
const LISTED: usize = 20_000;

/// With fewer fitting plans of the grid the whole space is looked at.
const FEW: usize = 30;

/// Levels that are rarer than this among the feasible plans are left out.
const RARE: f64 = 2e-3;

/// The parts of a stage, in the order of their dimensions.
const PARTS: [Part; 4] = [Part::Model, Part::Samples, Part::Aggregator, Part::Temperature];

/// Every part of every stage with some of its levels: all models, aggregators and temperatures, and a few counts of
/// samples, about equally far apart in their logarithm.
pub(super) struct Grid {
    stages: Vec<StageGrid>,
}

struct StageGrid {
    name: String,
    models: Vec<String>,
    samples: Vec<u32>,
    aggregators: Vec<Aggregator>,
    temperatures: Vec<Temperature>,
    /// The option of every combination, the temperature counting fastest.
    options: Vec<usize>,
}

impl Grid {
    pub(super) fn new(space: &Space) -> Self {
        let counts = match space.stages().len() {
            1 => 8,
            2 => 6,
            3 => 4,
            _ => 3,
        };
        let stages = space.stages().iter().map(|priced| {
            let stage = &priced.stage;
            let mut grid = StageGrid {
                name: stage.name.clone(),
                models: stage.models.iter().map(|m| m.name.clone()).collect(),
                samples: spaced(&stage.samples, counts),
                aggregators: stage.aggregators.clone(),
                temperatures: stage.temperatures.clone(),
                options: Vec::new(),
            };
            for model in 0..grid.models.len() {
                for &samples in &grid.samples {
                    for &aggregator in &grid.aggregators {
                        for &temperature in &grid.temperatures {
                            let option = option_near(priced, model, samples, aggregator, temperature);
                            grid.options.push(option.unwrap_or(0));
                        }
                    }
                }
            }
            grid
        });
        Grid { stages: stages.collect() }
    }

    /// Levels of each dimension: four a stage.
    fn sizes(&self) -> Vec<usize> {
        let of = |s: &StageGrid| [s.models.len(), s.samples.len(), s.aggregators.len(), s.temperatures.len()];
        self.stages.iter().flat_map(of).collect()
    }

    /// The plan of one level of every dimension, as option indices.
    fn plan(&self, levels: &[usize]) -> Vec<usize> {
        let option = |(stage, l): (&StageGrid, &[usize])| {
            let at = (l[0] * stage.samples.len() + l[1]) * stage.aggregators.len() + l[2];
            stage.options[at * stage.temperatures.len() + l[3]]
        };
        self.stages.iter().zip(levels.chunks(PARTS.len())).map(option).collect()
    }

    /// The levels nearest to a plan.
    fn levels(&self, space: &Space, plan: &[usize]) -> Vec<usize> {
        let mut levels = Vec::with_capacity(plan.len() * PARTS.len());
        for ((stage, priced), &option) in self.stages.iter().zip(space.stages()).zip(plan) {
            let option = &priced.options[option];
            let choice = &option.choice;
            let distance = |s: u32| (f64::from(s).ln() - f64::from(choice.samples).ln()).abs();
            let samples = (0..stage.samples.len())
                .min_by(|&a, &b| distance(stage.samples[a]).total_cmp(&distance(stage.samples[b])));
            levels.push(option.model);
            levels.push(samples.unwrap_or(0));
            levels.push(stage.aggregators.iter().position(|a| *a == choice.aggregator).unwrap_or(0));
            levels.push(stage.temperatures.iter().position(|t| *t == choice.temperature).unwrap_or(0));
        }
        levels
    }

    fn words(&self, dimension: usize, level: usize) -> String {
        let stage = &self.stages[dimension / PARTS.len()];
        match PARTS[dimension % PARTS.len()] {
            Part::Model => stage.models[level].clone(),
            Part::Samples if stage.samples[level] == 1 => "1 sample".to_owned(),
            Part::Samples => format!("{} samples", stage.samples[level]),
            Part::Aggregator => stage.aggregators[level].name().to_owned(),
            Part::Temperature => format!("T={}", stage.temperatures[level]),
        }
    }
}

/// At most `most` of the ascending counts, the first and the last among them, about evenly spaced in their logarithm.
pub(super) fn spaced(counts: &[u32], most: usize) -> Vec<u32> {
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return Vec::new() };
    if counts.len() <= most {
        return counts.to_vec();
    }
    let (low, high) = (f64::from(first).ln(), f64::from(last).ln());
    let mut chosen: Vec<u32> = (0..most)
        .filter_map(|i| {
            let wanted = low + (high - low) * i as f64 / (most - 1) as f64;
            let off = |c: &&u32| (f64::from(**c).ln() - wanted).abs();
            counts.iter().min_by(|a, b| off(a).total_cmp(&off(b))).copied()
        })
        .collect();
    chosen.dedup();
    chosen
}

/// The option that is or replaces this combination: one sample is its own aggregate, and greedy samples are all alike,
/// so not every combination has an option of its own.
pub(super) fn option_near(
    priced: &PricedStage,
    model: usize,
    samples: u32,
    aggregator: Aggregator,
    temperature: Temperature,
) -> Option<usize> {
    let mine = |&i: &usize| priced.options[i].model == model && priced.options[i].choice.temperature == temperature;
    (0..priced.options.len()).filter(mine).min_by_key(|&i| {
        let choice = &priced.options[i].choice;
        (choice.samples.abs_diff(samples), choice.aggregator != aggregator)
    })
}

/// A choice with its levels.
pub(super) struct Levels {
    pub(super) factor: Factor,
    /// The stage that it belongs to.
    pub(super) stage: usize,
    /// The levels in words.
    pub(super) words: Vec<String>,
    /// How frequent each is among the feasible plans; they sum to 1.
    pub(super) weights: Vec<f64>,
}

/// Plans in which the choices are independent.
pub(super) struct Design {
    /// The choices that have more than one level.
    pub(super) factors: Vec<Levels>,
    /// For each plan the level of every factor.
    pub(super) points: Vec<Vec<usize>>,
    /// The plans as option indices.
    pub(super) plans: Vec<Vec<usize>>,
    /// What each plan counts; they sum to 1.
    pub(super) weights: Vec<f64>,
    /// Whether all combinations are there, rather than a sample of them.
    pub(super) whole: bool,
}

/// What is done with a dimension of the grid.
enum Dimension {
    /// It is a factor, with these levels and weights.
    Free(Vec<(usize, f64)>),
    /// It has one level.
    Fixed(usize),
    /// The number of samples follows from the stage's model.
    Follows(Vec<usize>),
}

impl Design {
    pub(super) fn new(space: &Space, grid: &Grid, rng: &mut ChaCha8Rng) -> Self {
        let sizes = grid.sizes();
        let dimensions = dimensions(&feasible(space, grid, &sizes, rng), &sizes);
        let free: Vec<usize> = (0..sizes.len()).filter(|&d| matches!(dimensions[d], Dimension::Free(_))).collect();
        let kept = |d: usize| match &dimensions[d] {
            Dimension::Free(levels) => levels.as_slice(),
            _ => &[],
        };
        let factors: Vec<Levels> = free
            .iter()
            .map(|&d| Levels {
                factor: Factor { stage: grid.stages[d / PARTS.len()].name.clone(), part: PARTS[d % PARTS.len()] },
                stage: d / PARTS.len(),
                words: kept(d).iter().map(|&(level, _)| grid.words(d, level)).collect(),
                weights: kept(d).iter().map(|&(_, weight)| weight).collect(),
            })
            .collect();
        let combinations = factors.iter().try_fold(1usize, |n, f| n.checked_mul(f.words.len()));
        let whole = combinations.is_some_and(|n| n <= POINTS);
        let points = if whole { all_points(&factors) } else { balanced_points(&factors, rng) };
        let mut weights: Vec<f64> = points
            .iter()
            .map(|p| if whole { p.iter().zip(&factors).map(|(&l, f)| f.weights[l]).product() } else { 1.0 })
            .collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        let plan = |point: &Vec<usize>| {
            let mut levels = vec![0; sizes.len()];
            for (&d, &level) in free.iter().zip(point) {
                levels[d] = kept(d)[level].0;
            }
            for d in 0..sizes.len() {
                match &dimensions[d] {
                    Dimension::Fixed(level) => levels[d] = *level,
                    Dimension::Follows(of_model) => levels[d] = of_model[levels[d - 1]],
                    Dimension::Free(_) => {}
                }
            }
            grid.plan(&levels)
        };
        let plans = points.iter().map(plan).collect();
        Design { factors, points, plans, weights, whole }
    }

    /// The factor of one part of a stage.
    pub(super) fn factor(&self, stage: usize, part: Part) -> Option<usize> {
        self.factors.iter().position(|f| f.stage == stage && f.factor.part == part)
    }
}

/// Plans of the grid within the budget, as levels.
fn feasible(space: &Space, grid: &Grid, sizes: &[usize], rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let count = sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).filter(|&n| n <= LISTED);
    let mut found: Vec<Vec<usize>> = (0..count.unwrap_or(LISTED))
        .map(|number| match count {
            Some(_) => {
                let mut rest = number;
                let digit = |&size: &usize| {
                    let level = rest % size;
                    rest /= size;
                    level
                };
                sizes.iter().map(digit).collect()
            }
            None => sizes.iter().map(|&s| rng.random_range(0..s)).collect(),
        })
        .filter(|levels: &Vec<usize>| space.fits(&grid.plan(levels)))
        .collect();
    if found.len() < FEW {
        let plans = uniform_plans(space, &HashSet::new(), 2_000, rng);
        found.extend(plans.iter().filter_map(|p| Some(grid.levels(space, &space.indices(p)?))));
    }
    found
}

fn dimensions(feasible: &[Vec<usize>], sizes: &[usize]) -> Vec<Dimension> {
    let of = |d: usize| {
        let mut counts = vec![0usize; sizes[d]];
        feasible.iter().for_each(|levels| counts[levels[d]] += 1);
        let share = |c: usize| c as f64 / feasible.len().max(1) as f64;
        let kept: Vec<(usize, f64)> =
            counts.iter().enumerate().map(|(l, &c)| (l, share(c))).filter(|(_, w)| *w > RARE).collect();
        match kept.as_slice() {
            [] => Dimension::Fixed(0),
            [(only, _)] => Dimension::Fixed(*only),
            _ => {
                let total: f64 = kept.iter().map(|(_, w)| w).sum();
                Dimension::Free(kept.into_iter().map(|(l, w)| (l, w / total)).collect())
            }
        }
    };
    let mut all: Vec<Dimension> = (0..sizes.len()).map(of).collect();
    for d in (0..sizes.len()).filter(|d| PARTS[d % PARTS.len()] == Part::Samples) {
        if let Some(of_model) = follows(feasible, d, sizes[d - 1])
            && matches!(all[d], Dimension::Free(_))
        {
            all[d] = Dimension::Follows(of_model);
        }
    }
    all
}

/// The number of samples of each model, where every model has only one.
fn follows(feasible: &[Vec<usize>], samples: usize, models: usize) -> Option<Vec<usize>> {
    let mut only: Vec<Option<usize>> = vec![None; models];
    for levels in feasible {
        let seen = &mut only[levels[samples - 1]];
        if *seen.get_or_insert(levels[samples]) != levels[samples] {
            return None;
        }
    }
    Some(only.into_iter().map(|s| s.unwrap_or(0)).collect())
}

fn all_points(factors: &[Levels]) -> Vec<Vec<usize>> {
    factors.iter().fold(vec![Vec::new()], |points, factor| {
        let extend = |point: &Vec<usize>| {
            let longer = |level| point.iter().copied().chain([level]).collect::<Vec<usize>>();
            (0..factor.words.len()).map(longer).collect::<Vec<_>>()
        };
        points.iter().flat_map(extend).collect()
    })
}

/// A sample in which every level of a factor is as frequent as its weight says, to within one point.
fn balanced_points(factors: &[Levels], rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let columns: Vec<Vec<usize>> = factors
        .iter()
        .map(|factor| {
            let mut column = Vec::with_capacity(POINTS);
            let mut due = 0.0;
            for (level, weight) in factor.weights.iter().enumerate() {
                due += weight * POINTS as f64;
                let until = (due.round() as usize).clamp(column.len(), POINTS);
                column.resize(until, level);
            }
            column.resize(POINTS, factor.weights.len() - 1);
            column.shuffle(rng);
            column
        })
        .collect();
    (0..POINTS).map(|i| columns.iter().map(|c| c[i]).collect()).collect()
}
