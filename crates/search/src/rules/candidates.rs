//! The plans that the three insights suggest from what is known, each with the rule that suggests it.

use std::collections::HashSet;

use agenttts_core::{Cost, Plan, PricedStage, Space};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;
use crate::draw::uniform_plans;

/// Neighbouring counts of the log grid differ by at least this factor.
const GRID_FACTOR: f64 = 1.25;

/// Random plans among the candidates of a round.
const RANDOM: usize = 200;

/// The most candidates of a round: huge pools are thinned at random.
const MOST: usize = 3000;

/// The rule that suggested a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Insight 1: another model for a stage, at equal cost or equal samples.
    Model(usize),
    /// Insight 2: another number of samples for a stage.
    Samples(usize),
    /// Insight 3: another upstream choice, with the samples of a later stage tuned anew.
    Retune { upstream: usize, downstream: usize },
    /// Insight 3: the budget moved between two stages.
    Reallocate { from: usize, to: usize },
    /// Another aggregator or temperature.
    Setting(usize),
    /// Stages of two good plans put together.
    Crossover,
    /// One stage of a good plan drawn anew.
    Mutation,
    /// Any plan.
    Random,
    /// A good plan on fresh draws.
    Replicate,
}

/// A plan that a rule suggests.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) options: Vec<usize>,
    pub(crate) rule: Rule,
    /// The good plan that it was made from.
    pub(crate) parent: Option<Vec<usize>>,
}

/// Collects candidates: feasible, not taken, each once, under the first rule that suggests it.
struct Collector<'a> {
    space: &'a Space,
    taken: &'a HashSet<Plan>,
    found: HashSet<Vec<usize>>,
    list: Vec<Candidate>,
}

impl Collector<'_> {
    fn add(&mut self, options: Vec<usize>, rule: Rule, parent: Option<&[usize]>) {
        if cost(self.space, &options) > self.space.budget() || self.found.contains(&options) {
            return;
        }
        if self.taken.contains(&self.space.plan(&options)) {
            return;
        }
        self.found.insert(options.clone());
        self.list.push(Candidate { options, rule, parent: parent.map(<[usize]>::to_vec) });
    }
}

/// Everything that the rules suggest around the good plans `elites` (best first), and random plans to explore with.
pub(crate) fn candidates(
    space: &Space,
    elites: &[Vec<usize>],
    taken: &HashSet<Plan>,
    insights: Insights,
    rng: &mut ChaCha8Rng,
) -> Vec<Candidate> {
    let mut c = Collector { space, taken, found: HashSet::new(), list: Vec::new() };
    for elite in elites {
        if insights.samples {
            samples(&mut c, elite);
        }
        if insights.models {
            models(&mut c, elite);
        }
        if insights.interplay {
            interplay(&mut c, elite);
        }
        settings(&mut c, elite);
    }
    for (i, a) in elites.iter().enumerate() {
        for b in &elites[i + 1..] {
            crossovers(&mut c, a, b);
        }
        for _ in 0..20 {
            let mut options = a.clone();
            let stage = rng.random_range(0..options.len());
            options[stage] = rng.random_range(0..space.stages()[stage].options.len());
            c.add(options, Rule::Mutation, Some(a));
        }
    }
    for plan in uniform_plans(space, taken, RANDOM, rng) {
        if let Some(options) = space.indices(&plan) {
            c.add(options, Rule::Random, None);
        }
    }
    if c.list.len() > MOST {
        c.list.shuffle(rng);
        c.list.truncate(MOST);
    }
    c.list
}

/// Insight 2: for each stage, the counts of a log grid with the rest of the plan kept.
fn samples(c: &mut Collector<'_>, elite: &[usize]) {
    for (s, stage) in c.space.stages().iter().enumerate() {
        for option in same_but_samples(stage, elite[s]) {
            c.add(with(elite, s, option), Rule::Samples(s), Some(elite));
        }
    }
}

/// Insight 1: for each stage, every other model: with as many samples, with one, and with what the stage costs now.
fn models(c: &mut Collector<'_>, elite: &[usize]) {
    for (s, stage) in c.space.stages().iter().enumerate() {
        let now = &stage.options[elite[s]];
        let rest = c.space.budget() - (cost(c.space, elite) - now.cost);
        for model in 0..stage.stage.models.len() {
            if model == now.model {
                continue;
            }
            let alike = alike(stage, elite[s], model);
            let nearest = alike.iter().min_by_key(|&&o| stage.options[o].choice.samples.abs_diff(now.choice.samples));
            let ceilings = [Some(now.cost), Some(rest)].map(|ceiling| {
                let fitting = alike.iter().filter(|&&o| Some(stage.options[o].cost) <= ceiling);
                fitting.max_by_key(|&&o| stage.options[o].cost)
            });
            for &option in [alike.first(), nearest].into_iter().chain(ceilings).flatten() {
                c.add(with(elite, s, option), Rule::Model(s), Some(elite));
            }
        }
    }
}

/// Insight 3: a different choice upstream with every count downstream; and the budget put into one stage at the
/// expense of another.
fn interplay(c: &mut Collector<'_>, elite: &[usize]) {
    let stages = c.space.stages();
    for up in 0..stages.len() {
        for down in up + 1..stages.len() {
            for option in one_per_model(&stages[up], elite[up]) {
                for below in same_but_samples(&stages[down], elite[down]) {
                    let options = with(&with(elite, up, option), down, below);
                    let rule = Rule::Retune { upstream: up, downstream: down };
                    c.add(options, rule, Some(elite));
                }
            }
        }
    }
    for to in 0..stages.len() {
        for from in 0..stages.len() {
            if from == to {
                continue;
            }
            for less in coarse(&stages[from]) {
                if stages[from].options[less].cost >= stages[from].options[elite[from]].cost {
                    continue;
                }
                let reduced = with(elite, from, less);
                let rest = c.space.budget() - (cost(c.space, &reduced) - stages[to].options[reduced[to]].cost);
                for model in 0..stages[to].stage.models.len() {
                    let fitting = alike(&stages[to], elite[to], model)
                        .into_iter()
                        .filter(|&o| stages[to].options[o].cost <= rest)
                        .max_by_key(|&o| stages[to].options[o].cost);
                    if let Some(more) = fitting {
                        c.add(with(&reduced, to, more), Rule::Reallocate { from, to }, Some(elite));
                    }
                }
            }
        }
    }
}

/// For each stage, the same model and samples with other aggregators and temperatures.
fn settings(c: &mut Collector<'_>, elite: &[usize]) {
    for (s, stage) in c.space.stages().iter().enumerate() {
        let now = &stage.options[elite[s]];
        for (o, option) in stage.options.iter().enumerate() {
            let same = option.model == now.model && option.choice.samples == now.choice.samples;
            if same && o != elite[s] {
                c.add(with(elite, s, o), Rule::Setting(s), Some(elite));
            }
        }
    }
}

/// Every mixture of two plans for up to three stages; for more, those that take one stage or all but one.
fn crossovers(c: &mut Collector<'_>, a: &[usize], b: &[usize]) {
    for s in 0..a.len() {
        c.add(with(a, s, b[s]), Rule::Crossover, Some(a));
        c.add(with(b, s, a[s]), Rule::Crossover, Some(a));
    }
}

/// What the plan costs, given as option indices; more than any budget where it is not of the space.
pub(crate) fn cost(space: &Space, options: &[usize]) -> Cost {
    space.cost(options).unwrap_or(Cost(i128::MAX / 4))
}

fn with(options: &[usize], stage: usize, option: usize) -> Vec<usize> {
    let mut changed = options.to_vec();
    changed[stage] = option;
    changed
}

/// The options of `model` with the aggregator and temperature of `like`, thinned to the log grid, fewest samples first.
pub(crate) fn alike(stage: &PricedStage, like: usize, model: usize) -> Vec<usize> {
    let like = &stage.options[like].choice;
    let defaults = (stage.stage.aggregators.first(), stage.stage.temperatures.first());
    let aggregator = if like.samples > 1 { Some(&like.aggregator) } else { defaults.0 };
    let pick = |temperature| -> Vec<usize> {
        (0..stage.options.len())
            .filter(|&i| {
                let o = &stage.options[i];
                o.model == model
                    && o.choice.temperature == temperature
                    && (o.choice.samples == 1 || Some(&o.choice.aggregator) == aggregator)
            })
            .collect()
    };
    thin(stage, pick(like.temperature))
}

/// The same choice with the other counts of the log grid.
fn same_but_samples(stage: &PricedStage, option: usize) -> Vec<usize> {
    alike(stage, option, stage.options[option].model)
}

/// Each model once: with the samples nearest to the present ones, and with the fewest.
fn one_per_model(stage: &PricedStage, now: usize) -> Vec<usize> {
    let samples = stage.options[now].choice.samples;
    (0..stage.stage.models.len())
        .flat_map(|model| {
            let alike = alike(stage, now, model);
            let near = alike.iter().copied().min_by_key(|&o| stage.options[o].choice.samples.abs_diff(samples));
            alike.first().copied().into_iter().chain(near)
        })
        .filter(|&o| o != now)
        .collect()
}

/// Each model with its defaults, at the fewest samples and at about four counts up to the most.
fn coarse(stage: &PricedStage) -> Vec<usize> {
    (0..stage.stage.models.len())
        .flat_map(|model| {
            let Some(first) = stage.single(model) else {
                return Vec::new();
            };
            let Some(at) = stage.options.iter().position(|o| &o.choice == first) else {
                return Vec::new();
            };
            let all = alike(stage, at, model);
            let step = all.len().div_ceil(5).max(1);
            all.into_iter().step_by(step).collect()
        })
        .collect()
}

/// Keeps counts that differ by at least the grid's factor, and the largest.
fn thin(stage: &PricedStage, options: Vec<usize>) -> Vec<usize> {
    let mut sorted = options;
    sorted.sort_by_key(|&o| stage.options[o].choice.samples);
    let last = sorted.last().copied();
    let mut kept: Vec<usize> = Vec::new();
    for o in sorted {
        let far = kept.last().is_none_or(|&k| {
            f64::from(stage.options[o].choice.samples) >= f64::from(stage.options[k].choice.samples) * GRID_FACTOR
        });
        if far || Some(o) == last {
            kept.push(o);
        }
    }
    kept
}
