//! Shrunken estimates: a Gaussian process over the space that pools what related plans tell of each other.
//!
//! A trial on 50 zero-one examples has a standard error of about .07, so the luckiest of many trials is rarely the best
//! plan. Here every score is an observation with known noise, and a plan's estimate combines its own score with those
//! of plans that share models, have samples near its own, or differ in one stage only. How much each of these tells is
//! learned from the trials: several kernels are drawn, weighted by their evidence, and averaged.

pub(crate) mod cholesky;
mod data;
mod joint;
mod kernel;
#[cfg(test)]
mod tests;

use agenttts_core::{Archive, Space};
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;
use cholesky::{Cholesky, dot};
pub(crate) use data::Observation;
use kernel::{Features, Theta};

/// Kernels that predictions average over.
const FITS: usize = 6;

/// Variance of the mean of all scores: practically unknown.
const MEAN_VARIANCE: f64 = 0.25;

/// Variance of the noise of a trial on 50 zero-one examples.
const USUAL_NOISE: f64 = 0.005;

/// What is believed of a plan's true score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: f64,
    pub(crate) sd: f64,
}

/// Beliefs about all plans of a space, given an archive.
pub(crate) struct Surrogate {
    features: Features,
    pub(crate) observations: Vec<Observation>,
    centre: f64,
    fits: Vec<Fit>,
    /// The noise that one more trial is expected to have.
    noise: f64,
    /// The share of the noise that a replicate does not average out.
    pub(crate) lasting: f64,
}

/// One kernel conditioned on the observations.
struct Fit {
    theta: Theta,
    /// Share in the average.
    weight: f64,
    factor: Cholesky,
    /// `L⁻¹ (y - centre)`.
    scores: Vec<f64>,
}

impl Surrogate {
    /// Learns from the archive; the random numbers only choose which kernels are tried.
    pub(crate) fn new(space: &Space, archive: &Archive, insights: Insights, rng: &mut ChaCha8Rng) -> Self {
        let data::Data { observations, lasting } = data::data(space, archive);
        let n = observations.len().max(1) as f64;
        let centre = observations.iter().map(|o| o.mean).sum::<f64>() / n;
        let noise = if observations.is_empty() {
            USUAL_NOISE
        } else {
            let single = |o: &Observation| o.noise * o.trials.len() as f64;
            observations.iter().map(single).sum::<f64>() / n
        };
        let mut surrogate =
            Surrogate { features: Features::of(space), observations, centre, fits: Vec::new(), noise, lasting };
        surrogate.learn(space.stages().len(), insights, rng);
        surrogate
    }

    /// Tries kernels: first from the prior, then near the best.
    fn learn(&mut self, stages: usize, insights: Insights, rng: &mut ChaCha8Rng) {
        let n = self.observations.len().max(1);
        // A factorisation takes n³/6 multiplications; a large archive needs fewer tries, as it says more by itself.
        let tries = (100_000_000 / n.pow(3)).clamp(16, 64);
        let mut found: Vec<(f64, Fit)> = Vec::new();
        let keep = |found: &mut Vec<(f64, Fit)>, scored: (f64, Fit)| {
            let at = found.partition_point(|(e, _)| *e >= scored.0);
            found.insert(at, scored);
            found.truncate(FITS);
        };
        for _ in 0..tries {
            let fit = self.fit(Theta::draw(stages, insights, rng));
            keep(&mut found, fit);
        }
        for i in 0..tries {
            let Some((_, best)) = found.get(i % 3) else {
                break;
            };
            let theta = best.theta.near(insights, rng);
            let fit = self.fit(theta);
            keep(&mut found, fit);
        }
        let top = found.first().map_or(0.0, |(e, _)| *e);
        let total: f64 = found.iter().map(|(e, _)| (e - top).exp()).sum();
        self.fits = found.into_iter().map(|(e, fit)| Fit { weight: (e - top).exp() / total, ..fit }).collect();
    }

    /// A kernel conditioned on the observations, with the logarithm of its evidence (up to a constant).
    fn fit(&self, theta: Theta) -> (f64, Fit) {
        let mut factor = Cholesky::default();
        for (i, o) in self.observations.iter().enumerate() {
            let row: Vec<f64> =
                self.observations[..i].iter().map(|p| self.covariance(&theta, &o.options, &p.options)).collect();
            let own = self.covariance(&theta, &o.options, &o.options);
            factor.push(&row, own + o.noise);
        }
        let centred: Vec<f64> = self.observations.iter().map(|o| o.mean - self.centre).collect();
        let scores = factor.solve(&centred);
        let evidence = -0.5 * (dot(&scores, &scores) + factor.log_determinant());
        let fit = Fit { theta, weight: 0.0, factor, scores };
        (evidence, fit)
    }

    fn covariance(&self, theta: &Theta, a: &[usize], b: &[usize]) -> f64 {
        MEAN_VARIANCE + theta.covariance(&self.features, a, b)
    }

    /// What is believed of one plan.
    pub(crate) fn belief(&self, options: &[usize]) -> Belief {
        Pool::new(self, vec![options.to_vec()]).belief(0)
    }

    /// The difference of two plans' true scores, and its standard deviation.
    pub(crate) fn difference(&self, a: &[usize], b: &[usize]) -> Belief {
        let (mut mean, mut square, mut variance) = (0.0, 0.0, 0.0);
        for fit in &self.fits {
            let (va, vb) = (self.project(fit, a), self.project(fit, b));
            let between = self.covariance(&fit.theta, a, b) - dot(&va, &vb);
            let own = |o: &[usize], v: &[f64]| self.covariance(&fit.theta, o, o) - dot(v, v);
            let d = dot(&va, &fit.scores) - dot(&vb, &fit.scores);
            mean += fit.weight * d;
            square += fit.weight * d * d;
            variance += fit.weight * (own(a, &va) + own(b, &vb) - 2.0 * between).max(0.0);
        }
        Belief { mean, sd: (variance + (square - mean * mean).max(0.0)).sqrt() }
    }

    /// `L⁻¹ k` of a plan.
    fn project(&self, fit: &Fit, options: &[usize]) -> Vec<f64> {
        let k: Vec<f64> = self.observations.iter().map(|o| self.covariance(&fit.theta, options, &o.options)).collect();
        fit.factor.solve(&k)
    }
}

/// Candidates whose beliefs are updated as some of them are chosen for the next batch.
pub(crate) struct Pool<'a> {
    surrogate: &'a Surrogate,
    /// The candidates as option indices.
    pub(crate) plans: Vec<Vec<usize>>,
    /// For each fit and candidate: `L⁻¹ k`, its mean and its variance.
    states: Vec<Vec<State>>,
}

struct State {
    projection: Vec<f64>,
    mean: f64,
    variance: f64,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(surrogate: &'a Surrogate, plans: Vec<Vec<usize>>) -> Self {
        let states = surrogate
            .fits
            .iter()
            .map(|fit| {
                plans
                    .iter()
                    .map(|p| {
                        let projection = surrogate.project(fit, p);
                        State {
                            mean: surrogate.centre + dot(&projection, &fit.scores),
                            variance: surrogate.covariance(&fit.theta, p, p) - dot(&projection, &projection),
                            projection,
                        }
                    })
                    .collect()
            })
            .collect();
        Pool { surrogate, plans, states }
    }

    pub(crate) fn belief(&self, candidate: usize) -> Belief {
        let (mut mean, mut square, mut variance) = (0.0, 0.0, 0.0);
        for (fit, states) in self.surrogate.fits.iter().zip(&self.states) {
            let s = &states[candidate];
            mean += fit.weight * s.mean;
            square += fit.weight * s.mean * s.mean;
            variance += fit.weight * s.variance.max(0.0);
        }
        Belief { mean, sd: (variance + (square - mean * mean).max(0.0)).sqrt() }
    }

    /// Takes the candidate as measured at what is expected of it: beliefs of plans like it become surer, so that the
    /// next of a batch is chosen elsewhere.
    pub(crate) fn assume(&mut self, candidate: usize) {
        let noise = self.surrogate.noise.max(1e-6);
        for (fit, states) in self.surrogate.fits.iter().zip(&mut self.states) {
            let chosen = &states[candidate];
            let left = (chosen.variance.max(0.0) + noise).sqrt();
            let projection = chosen.projection.clone();
            for (state, plan) in states.iter_mut().zip(&self.plans) {
                let prior = self.surrogate.covariance(&fit.theta, plan, &self.plans[candidate]);
                let entry = (prior - dot(&state.projection, &projection)) / left;
                state.projection.push(entry);
                state.variance -= entry * entry;
            }
        }
    }
}
