//! How much two plans tell of each other: the prior covariance of their scores.

use std::collections::BTreeSet;

use agenttts_core::{Aggregator, PricedStage, Space};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;

/// What the kernel sees of one option of a stage: places in the stage's tables.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Feature {
    model: usize,
    count: usize,
    aggregator: usize,
    temperature: usize,
}

/// One stage's options and what they differ in.
#[derive(Clone, Debug)]
struct StageFeatures {
    options: Vec<Feature>,
    /// Logarithm of the cost of one sample of each model, scaled to 0..=1 within the stage's pool.
    sizes: Vec<f64>,
    /// How much of their names each two models share, 0..=1.
    names: Vec<Vec<f64>>,
    /// Natural logarithms of the counts of samples.
    log_samples: Vec<f64>,
    aggregators: Vec<Aggregator>,
    temperatures: Vec<f64>,
}

/// The features of all options of all stages.
#[derive(Clone, Debug)]
pub(crate) struct Features(Vec<StageFeatures>);

impl Features {
    pub(crate) fn of(space: &Space) -> Self {
        Features(space.stages().iter().map(StageFeatures::of).collect())
    }

    pub(crate) fn stages(&self) -> usize {
        self.0.len()
    }
}

impl StageFeatures {
    fn of(stage: &PricedStage) -> Self {
        let place = |all: &[f64], x: f64| all.iter().position(|&y| y == x).unwrap_or(0);
        let counts: BTreeSet<u32> = stage.options.iter().map(|o| o.choice.samples).collect();
        let counts: Vec<u32> = counts.into_iter().collect();
        let temperatures: Vec<f64> = stage.stage.temperatures.iter().map(|t| t.get()).collect();
        let mut aggregators: Vec<Aggregator> = Vec::new();
        for o in &stage.options {
            if !aggregators.contains(&o.choice.aggregator) {
                aggregators.push(o.choice.aggregator);
            }
        }
        let options = stage
            .options
            .iter()
            .map(|o| Feature {
                model: o.model,
                count: counts.binary_search(&o.choice.samples).unwrap_or(0),
                aggregator: aggregators.iter().position(|a| *a == o.choice.aggregator).unwrap_or(0),
                temperature: place(&temperatures, o.choice.temperature.get()),
            })
            .collect();
        StageFeatures {
            options,
            sizes: sizes(stage),
            names: names(stage),
            log_samples: counts.iter().map(|&n| f64::from(n).ln()).collect(),
            aggregators,
            temperatures,
        }
    }
}

fn sizes(stage: &PricedStage) -> Vec<f64> {
    let cheapest = stage.single.iter().map(|c| c.0).min().unwrap_or(0);
    // Costs may be 0 or (in the paper's unit) negative: measured from just below the cheapest.
    let base = (cheapest.max(1)) as f64;
    let logs: Vec<f64> = stage.single.iter().map(|c| (((c.0 - cheapest) as f64 + base) / base).ln()).collect();
    let widest = logs.iter().copied().fold(0.0, f64::max).max(1e-12);
    logs.into_iter().map(|l| l / widest).collect()
}

/// The share of the parts of their names that two models have in common (Jaccard): families, versions, and the
/// members of a mixture.
fn names(stage: &PricedStage) -> Vec<Vec<f64>> {
    let split = |separators: &[char]| -> Vec<BTreeSet<String>> {
        let names = stage.stage.models.iter().map(|m| m.name.to_lowercase());
        names.map(|n| n.split(separators).filter(|p| !p.is_empty()).map(str::to_owned).collect()).collect()
    };
    let mut parts = split(&['|', '+', ',', '&', '@', ' ']);
    if parts.iter().all(|p| p.len() < 2) {
        parts = split(&['-', '/', ':', '_', '.', ' ']);
    }
    let share = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
        let both = a.intersection(b).count() as f64;
        both / ((a.len() + b.len()) as f64 - both).max(1.0)
    };
    parts.iter().map(|a| parts.iter().map(|b| if a == b { 1.0 } else { share(a, b) }).collect()).collect()
}

/// The least share of the variance that is a plan's own: any plan may stand out.
const OWN_LEAST: f64 = 0.02;

/// Parameters of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Theta {
    /// Standard deviation of scores over the space.
    scale: f64,
    /// Share of each stage in the main effects; they sum to 1.
    weights: Vec<f64>,
    /// Share of the variance that is interaction between stages.
    interaction: f64,
    /// Of the interaction, the share of pairs of stages; the rest is between all of them.
    pairwise: f64,
    /// How much models of like size are alike.
    size_alike: f64,
    /// How much models of like names are alike.
    name_alike: f64,
    /// The distance in log samples at which curves lose their memory.
    length: f64,
    /// Share of a stage's variance that the samples explain.
    samples_share: f64,
    /// Share of the variance that is the plan's own and tells nothing of others.
    own: f64,
}

impl Theta {
    /// A draw from the prior, which leaves open whether a plan's own share is small or nearly everything. Without insight 1 models of like size are not taken to be alike; without insight 3 the
    /// stages are taken to add up.
    pub(crate) fn draw(stages: usize, insights: Insights, rng: &mut ChaCha8Rng) -> Self {
        let mut unit = || rng.random::<f64>();
        let mut weights: Vec<f64> = (0..stages).map(|_| 0.1 - (1.0 - unit()).ln()).collect();
        normalise(&mut weights);
        Theta {
            scale: log_uniform(unit(), 0.04, 0.4),
            weights,
            interaction: if insights.interplay { unit() } else { 0.0 },
            pairwise: unit(),
            size_alike: if insights.models { 0.95 * unit() } else { 0.0 },
            name_alike: 0.95 * unit(),
            length: log_uniform(unit(), 0.5, 5.0),
            samples_share: 0.1 + 0.85 * unit(),
            own: if unit() < 0.5 { OWN_LEAST + 0.4 * unit() * unit() } else { OWN_LEAST + 0.85 * unit() },
        }
    }

    /// A draw near this one.
    pub(crate) fn near(&self, insights: Insights, rng: &mut ChaCha8Rng) -> Self {
        let mut step = || rng.random::<f64>() * 2.0 - 1.0;
        let mut weights: Vec<f64> = self.weights.iter().map(|w| (w * (0.6 * step()).exp()).max(0.01)).collect();
        normalise(&mut weights);
        let shift = |x: f64, by: f64, low: f64, high: f64| (x + by).clamp(low, high);
        Theta {
            scale: (self.scale * (0.4 * step()).exp()).clamp(0.04, 0.4),
            weights,
            interaction: if insights.interplay { shift(self.interaction, 0.25 * step(), 0.0, 1.0) } else { 0.0 },
            pairwise: shift(self.pairwise, 0.3 * step(), 0.0, 1.0),
            size_alike: if insights.models { shift(self.size_alike, 0.25 * step(), 0.0, 0.95) } else { 0.0 },
            name_alike: shift(self.name_alike, 0.25 * step(), 0.0, 0.95),
            length: (self.length * (0.5 * step()).exp()).clamp(0.5, 5.0),
            samples_share: shift(self.samples_share, 0.2 * step(), 0.1, 0.95),
            own: shift(self.own, 0.1 * step(), OWN_LEAST, 0.92),
        }
    }
}

/// A kernel with its tables: covariances cost a few look-ups.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) theta: Theta,
    stages: Vec<StageTables>,
}

#[derive(Clone, Debug)]
struct StageTables {
    options: Vec<Feature>,
    models: Vec<Vec<f64>>,
    samples: Vec<Vec<f64>>,
    aggregators: Vec<Vec<f64>>,
    temperatures: Vec<Vec<f64>>,
}

impl Kernel {
    pub(crate) fn new(theta: Theta, features: &Features) -> Self {
        let stages = features.0.iter().map(|f| StageTables::new(&theta, f)).collect();
        Kernel { theta, stages }
    }

    /// How alike two options of a stage are: 1 for the same.
    pub(crate) fn alike(&self, stage: usize, a: usize, b: usize) -> f64 {
        let t = &self.stages[stage];
        let (a, b) = (&t.options[a], &t.options[b]);
        t.models[a.model][b.model]
            * t.samples[a.count][b.count]
            * t.aggregators[a.aggregator][b.aggregator]
            * t.temperatures[a.temperature][b.temperature]
    }

    /// The covariance of two plans' scores, given as option indices.
    pub(crate) fn covariance(&self, a: &[usize], b: &[usize]) -> f64 {
        self.combine((0..self.stages.len()).map(|s| self.alike(s, a[s], b[s])), a == b)
    }

    /// The covariance of two plans whose stages are so much alike.
    pub(crate) fn combine(&self, alike: impl Iterator<Item = f64>, same: bool) -> f64 {
        let theta = &self.theta;
        let (mut sum, mut total, mut squares, mut product, mut n) = (0.0, 0.0, 0.0, 1.0, 0.0);
        for (weight, k) in theta.weights.iter().zip(alike) {
            sum += weight * k;
            total += k;
            squares += k * k;
            product *= k;
            n += 1.0;
        }
        let pairs = if n > 1.0 { (total * total - squares) / (n * (n - 1.0)) } else { product };
        let together = theta.pairwise * pairs + (1.0 - theta.pairwise) * product;
        let shared = (1.0 - theta.interaction) * sum + theta.interaction * together;
        theta.scale * theta.scale * ((1.0 - theta.own) * shared + if same { theta.own } else { 0.0 })
    }
}

impl StageTables {
    fn new(theta: &Theta, f: &StageFeatures) -> Self {
        let table = |n: usize, value: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
            (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { value(i, j) }).collect()).collect()
        };
        let models = table(f.sizes.len(), &|i, j| {
            let by_size = (-(f.sizes[i] - f.sizes[j]).powi(2) / (2.0 * 0.35 * 0.35)).exp();
            theta.size_alike * by_size + (1.0 - theta.size_alike) * theta.name_alike * f.names[i][j]
        });
        let samples = table(f.log_samples.len(), &|i, j| {
            let near = (-((f.log_samples[i] - f.log_samples[j]) / theta.length).powi(2) / 2.0).exp();
            1.0 - theta.samples_share + theta.samples_share * near
        });
        let aggregators = table(f.aggregators.len(), &|_, _| 0.7);
        let temperatures =
            table(f.temperatures.len(), &|i, j| (-(f.temperatures[i] - f.temperatures[j]).abs() / 1.5).exp());
        StageTables { options: f.options.clone(), models, samples, aggregators, temperatures }
    }
}

fn normalise(weights: &mut [f64]) {
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum.max(1e-12));
}

fn log_uniform(unit: f64, low: f64, high: f64) -> f64 {
    low * (high / low).powf(unit)
}
