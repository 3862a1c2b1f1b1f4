//! How much two plans tell of each other: the prior covariance of their scores.

use agenttts_core::{Aggregator, Space};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;

/// What the kernel sees of one option of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Feature {
    model: usize,
    /// Logarithm of the cost of one sample, scaled to 0..=1 within the stage's pool.
    size: f64,
    /// Natural logarithm of the number of samples.
    log_samples: f64,
    aggregator: Aggregator,
    temperature: f64,
}

/// The features of all options of all stages.
#[derive(Clone, Debug)]
pub(crate) struct Features(Vec<Vec<Feature>>);

impl Features {
    pub(crate) fn of(space: &Space) -> Self {
        let stages = space.stages().iter().map(|stage| {
            let cheapest = stage.single.iter().map(|c| c.0).min().unwrap_or(0);
            // Costs may be 0 or (in the paper's unit) negative: measured from just below the cheapest.
            let logs: Vec<f64> = stage
                .single
                .iter()
                .map(|c| {
                    let base = (cheapest.max(1)) as f64;
                    (((c.0 - cheapest) as f64 + base) / base).ln()
                })
                .collect();
            let widest = logs.iter().copied().fold(0.0, f64::max).max(1e-12);
            stage
                .options
                .iter()
                .map(|o| Feature {
                    model: o.model,
                    size: logs[o.model] / widest,
                    log_samples: f64::from(o.choice.samples).ln(),
                    aggregator: o.choice.aggregator,
                    temperature: o.choice.temperature.get(),
                })
                .collect()
        });
        Features(stages.collect())
    }
}

/// Parameters of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Theta {
    /// Standard deviation of scores over the space.
    pub(crate) scale: f64,
    /// Share of each stage in the main effects; they sum to 1.
    weights: Vec<f64>,
    /// Share of the variance that is interaction between stages.
    interaction: f64,
    /// How much models of like size are alike.
    size_alike: f64,
    /// The distance in log samples at which curves lose their memory.
    length: f64,
    /// Share of a stage's variance that the samples explain.
    samples_share: f64,
    /// Share of the variance that is the plan's own and tells nothing of others.
    own: f64,
}

impl Theta {
    /// A draw from the prior. Without insight 1 models of like size are not taken to be alike; without insight 3 the
    /// stages are taken to add up.
    pub(crate) fn draw(stages: usize, insights: Insights, rng: &mut ChaCha8Rng) -> Self {
        let mut unit = || rng.random::<f64>();
        let mut weights: Vec<f64> = (0..stages).map(|_| 0.1 - (1.0 - unit()).ln()).collect();
        normalise(&mut weights);
        Theta {
            scale: log_uniform(unit(), 0.04, 0.4),
            weights,
            interaction: if insights.interplay { unit() } else { 0.0 },
            size_alike: if insights.models { 0.95 * unit() } else { 0.0 },
            length: log_uniform(unit(), 0.5, 5.0),
            samples_share: 0.1 + 0.85 * unit(),
            own: 0.3 * unit() * unit(),
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
            size_alike: if insights.models { shift(self.size_alike, 0.25 * step(), 0.0, 0.95) } else { 0.0 },
            length: (self.length * (0.5 * step()).exp()).clamp(0.5, 5.0),
            samples_share: shift(self.samples_share, 0.2 * step(), 0.1, 0.95),
            own: shift(self.own, 0.05 * step(), 0.0, 0.3),
        }
    }

    /// The covariance of two plans' scores, given as option indices.
    pub(crate) fn covariance(&self, features: &Features, a: &[usize], b: &[usize]) -> f64 {
        let (mut sum, mut pairs_sum, mut squares, mut product, mut n) = (0.0, 0.0, 0.0, 1.0, 0.0);
        for (s, stage) in features.0.iter().enumerate() {
            let k = self.alike(&stage[a[s]], &stage[b[s]]);
            sum += self.weights[s] * k;
            pairs_sum += k;
            squares += k * k;
            product *= k;
            n += 1.0;
        }
        let pairs = if n > 1.0 { (pairs_sum * pairs_sum - squares) / (n * (n - 1.0)) } else { product };
        let same = if a == b { 1.0 } else { 0.0 };
        let shared = (1.0 - self.interaction) * sum + self.interaction * 0.5 * (pairs + product);
        self.scale * self.scale * ((1.0 - self.own) * shared + self.own * same)
    }

    /// How alike two options of a stage are: 1 for the same.
    fn alike(&self, a: &Feature, b: &Feature) -> f64 {
        let by_size = (-(a.size - b.size).powi(2) / (2.0 * 0.35 * 0.35)).exp();
        let model = if a.model == b.model { 1.0 } else { self.size_alike * by_size };
        let by_samples = (-((a.log_samples - b.log_samples) / self.length).powi(2) / 2.0).exp();
        let samples = 1.0 - self.samples_share + self.samples_share * by_samples;
        let aggregator = if a.aggregator == b.aggregator { 1.0 } else { 0.7 };
        let temperature = (-(a.temperature - b.temperature).abs() / 1.5).exp();
        model * samples * aggregator * temperature
    }
}

fn normalise(weights: &mut [f64]) {
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum.max(1e-12));
}

fn log_uniform(unit: f64, low: f64, high: f64) -> f64 {
    low * (high / low).powf(unit)
}
