//! Shrunken estimates: a Gaussian process over the space that pools what related plans tell of each other.
//!
//! A trial on 50 zero-one examples has a standard error of about .07, so the luckiest of many trials is rarely the best
//! plan. Here every score is an observation with known noise, and a plan's estimate combines its own score with those
//! of plans that share models, have samples near its own, or differ in one stage only. How much each of these tells is
//! learned from the trials: several kernels are drawn as likely as the trials leave them, and averaged.

pub(crate) mod cholesky;
mod data;
mod draws;
mod kernel;
#[cfg(test)]
mod tests;

use agenttts_core::{Archive, Space};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;
use cholesky::{Cholesky, dot};
pub(crate) use data::Observation;
use kernel::{Features, Kernel, Theta};

/// Kernels that predictions average over.
const FITS: usize = 8;

/// A kernel with less of a share is left out where many plans are judged together.
const NEGLIGIBLE: f64 = 1e-2;

/// Kernels are compared on at most so many observations.
const PART: usize = 120;

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
    pub(crate) observations: Vec<Observation>,
    centre: f64,
    fits: Vec<Fit>,
    /// The noise that one more example is expected to have: its variance.
    pub(crate) example_variance: f64,
    /// The noise that one more trial is expected to have.
    noise: f64,
    /// The share of the noise that a replicate does not average out.
    pub(crate) lasting: f64,
}

/// One kernel conditioned on the observations.
struct Fit {
    kernel: Kernel,
    /// Share in the average.
    weight: f64,
    factor: Cholesky,
    /// `L⁻¹ (y - centre)`.
    scores: Vec<f64>,
}

impl Surrogate {
    /// Learns from the archive; the random numbers only choose which kernels are tried.
    pub(crate) fn new(space: &Space, archive: &Archive, insights: Insights, rng: &mut ChaCha8Rng) -> Self {
        let mut surrogate = Self::unfitted(space, archive);
        let features = Features::of(space);
        let n = surrogate.observations.len().clamp(1, PART);
        // A factorisation takes n³/6 multiplications; a large archive needs fewer tries, as it says more by itself.
        let tries = (200_000_000 / n.pow(3)).clamp(32, 64);
        let found = surrogate.search(&features, space.stages().len(), insights, tries, PART, rng);
        surrogate.fit(found, &features);
        surrogate
    }

    /// Learns from the archive with kernels that are known beforehand.
    pub(crate) fn knowing(space: &Space, archive: &Archive, family: &Family) -> Self {
        let mut surrogate = Self::unfitted(space, archive);
        surrogate.fit(family.0.clone(), &Features::of(space));
        surrogate
    }

    /// What the archive shows, without a kernel.
    fn unfitted(space: &Space, archive: &Archive) -> Self {
        let data::Data { observations, lasting, example_variance } = data::data(space, archive);
        let n = observations.len().max(1) as f64;
        let centre = observations.iter().map(|o| o.mean).sum::<f64>() / n;
        let noise = if observations.is_empty() {
            USUAL_NOISE
        } else {
            let single = |o: &Observation| o.noise * o.trials.len() as f64;
            observations.iter().map(single).sum::<f64>() / n
        };
        Surrogate { observations, centre, fits: Vec::new(), noise, lasting, example_variance }
    }

    /// Kernels as likely as the observations leave them, with their weights: the best of `tries` draws from the prior
    /// begins a chain (Metropolis and others 1953), of which the states of the last two thirds count. The best alone
    /// would be too sure of itself. They are compared on at most `most` observations.
    fn search(
        &self,
        features: &Features,
        stages: usize,
        insights: Insights,
        tries: usize,
        most: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(f64, Theta)> {
        let layout = Layout::of(&self.observations, stages);
        // Kernels are compared on a part of a large archive: the surest observations and an even spread of the others.
        let part: Vec<usize> = self.part(most);
        let evidence = |theta: &Theta| self.evidence(&Kernel::new(theta.clone(), features), &layout, &part).0;
        let drawn = (0..tries).map(|_| {
            let theta = Theta::draw(stages, insights, rng);
            (evidence(&theta), theta)
        });
        let Some(mut state) = drawn.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return Vec::new();
        };
        let (every, first) = ((tries / FITS).max(1), tries / 2);
        let mut kept: Vec<(f64, Theta)> = Vec::new();
        for step in 1..=first + every * FITS {
            let theta = state.1.near(insights, rng);
            let likely = evidence(&theta);
            if likely - state.0 > (1.0 - rng.random::<f64>()).ln() {
                state = (likely, theta);
            }
            if step > first && (step - first) % every == 0 {
                match kept.last_mut() {
                    Some((weight, last)) if *last == state.1 => *weight += 1.0,
                    _ => kept.push((1.0, state.1.clone())),
                }
            }
        }
        kept
    }

    /// Conditions kernels on all observations.
    fn fit(&mut self, found: Vec<(f64, Theta)>, features: &Features) {
        let layout = Layout::of(&self.observations, features.stages());
        let total: f64 = found.iter().map(|(weight, _)| weight).sum();
        let whole: Vec<usize> = (0..self.observations.len()).collect();
        let fits = found.into_iter().map(|(weight, theta)| {
            let kernel = Kernel::new(theta, features);
            let (_, factor, scores) = self.evidence(&kernel, &layout, &whole);
            Fit { kernel, weight: weight / total, factor, scores }
        });
        self.fits = fits.collect();
    }

    /// The observations that kernels are compared on, at most `most`.
    fn part(&self, most: usize) -> Vec<usize> {
        let n = self.observations.len();
        let mut order: Vec<usize> = (0..n).collect();
        if n > most {
            order.sort_by(|&a, &b| self.observations[a].noise.total_cmp(&self.observations[b].noise).then(a.cmp(&b)));
            let rest = order.split_off(most / 2);
            let step = rest.len() as f64 / (most - most / 2) as f64;
            order.extend((0..most - most / 2).map(|i| rest[(i as f64 * step) as usize]));
        }
        order
    }

    /// The logarithm of the kernel's evidence (up to a constant), with the factor and `L⁻¹ (y - centre)`.
    fn evidence(&self, kernel: &Kernel, layout: &Layout, part: &[usize]) -> (f64, Cholesky, Vec<f64>) {
        let tables: Vec<Vec<f64>> = layout.tables(kernel);
        let mut factor = Cholesky::default();
        let mut row = Vec::new();
        for (at, &i) in part.iter().enumerate() {
            let o = &self.observations[i];
            row.clear();
            row.extend(part[..at].iter().map(|&j| MEAN_VARIANCE + layout.covariance(kernel, &tables, i, j)));
            let own = MEAN_VARIANCE + layout.covariance(kernel, &tables, i, i);
            factor.push(&row, own + o.noise);
        }
        let centred: Vec<f64> = part.iter().map(|&i| self.observations[i].mean - self.centre).collect();
        let scores = factor.solve(&centred);
        let evidence = -0.5 * (dot(&scores, &scores) + factor.log_determinant());
        (evidence, factor, scores)
    }

    /// What is believed of one plan.
    pub(crate) fn belief(&self, options: &[usize]) -> Belief {
        Pool::new(self, vec![options.to_vec()]).belief(0)
    }

    /// The means that are believed of many plans.
    pub(crate) fn means(&self, plans: &[Vec<usize>]) -> Vec<f64> {
        let mut means = vec![0.0; plans.len()];
        for fit in &self.fits {
            let weights = fit.factor.solve_transposed(&fit.scores);
            for (mean, plan) in means.iter_mut().zip(plans) {
                let k = self.observations.iter().map(|o| MEAN_VARIANCE + fit.kernel.covariance(plan, &o.options));
                *mean += fit.weight * (self.centre + k.zip(&weights).map(|(k, w)| k * w).sum::<f64>());
            }
        }
        means
    }

    /// What is believed of many plans together.
    pub(crate) fn joint(&self, plans: Vec<Vec<usize>>) -> Joint {
        let n = plans.len();
        let mut means = vec![0.0; n];
        let mut covariance = vec![0.0; n * n];
        let mut of_fits: Vec<(f64, Vec<f64>)> = Vec::new();
        for fit in &self.fits {
            let share = fit.weight;
            if share < NEGLIGIBLE {
                continue;
            }
            let projections: Vec<Vec<f64>> = plans.iter().map(|p| self.project(fit, p)).collect();
            let mu: Vec<f64> = projections.iter().map(|v| self.centre + dot(v, &fit.scores)).collect();
            for i in 0..n {
                for j in 0..=i {
                    let prior = MEAN_VARIANCE + fit.kernel.covariance(&plans[i], &plans[j]);
                    covariance[i * n + j] += share * (prior - dot(&projections[i], &projections[j]));
                }
                means[i] += share * mu[i];
            }
            of_fits.push((share, mu));
        }
        for (weight, mu) in &of_fits {
            for i in 0..n {
                let d = mu[i] - means[i];
                for j in 0..=i {
                    covariance[i * n + j] += weight * d * (mu[j] - means[j]);
                }
            }
        }
        for i in 0..n {
            for j in 0..i {
                covariance[j * n + i] = covariance[i * n + j];
            }
        }
        Joint { plans, means, covariance }
    }

    /// The difference of two plans' true scores, and its standard deviation.
    pub(crate) fn difference(&self, a: &[usize], b: &[usize]) -> Belief {
        let joint = self.joint(vec![a.to_vec(), b.to_vec()]);
        let variance = joint.covariance[0] + joint.covariance[3] - 2.0 * joint.covariance[1];
        Belief { mean: joint.means[0] - joint.means[1], sd: variance.max(0.0).sqrt() }
    }

    /// `L⁻¹ k` of a plan.
    fn project(&self, fit: &Fit, options: &[usize]) -> Vec<f64> {
        let k: Vec<f64> =
            self.observations.iter().map(|o| MEAN_VARIANCE + fit.kernel.covariance(options, &o.options)).collect();
        fit.factor.solve(&k)
    }
}

/// Kernels, each with its weight.
pub(crate) struct Family(Vec<(f64, Theta)>);

impl Family {
    /// Tries of kernels for a family, and the plans that they are compared on: far more than a search can afford.
    const TRIES: usize = 300;
    const PLANS: usize = 300;

    /// The kernels under which the true scores of plans are least surprising.
    pub(crate) fn of(space: &Space, truth: impl Iterator<Item = (Vec<usize>, f64)>, rng: &mut ChaCha8Rng) -> Self {
        let exact = |(options, mean)| Observation { options, mean, noise: 1e-6, n: u32::MAX, trials: Vec::new() };
        let mut observations: Vec<Observation> = truth.map(exact).collect();
        observations.shuffle(rng);
        let centre = observations.iter().map(|o| o.mean).sum::<f64>() / observations.len().max(1) as f64;
        let known =
            Surrogate { observations, centre, fits: Vec::new(), noise: 0.0, lasting: 0.0, example_variance: 0.0 };
        let (features, stages) = (Features::of(space), space.stages().len());
        Family(known.search(&features, stages, Insights::ALL, Self::TRIES, Self::PLANS, rng))
    }
}

/// What is believed of several plans together: a normal distribution.
#[derive(Clone)]
pub(crate) struct Joint {
    /// The plans as option indices.
    pub(crate) plans: Vec<Vec<usize>>,
    pub(crate) means: Vec<f64>,
    /// Row by row.
    pub(crate) covariance: Vec<f64>,
}

impl Joint {
    /// The variance of a plan.
    pub(crate) fn variance(&self, i: usize) -> f64 {
        self.covariance[i * self.plans.len() + i].max(0.0)
    }

    /// Takes a plan as measured once more, with noise of that variance, at what is expected of it.
    pub(crate) fn assume(&mut self, i: usize, noise: f64) {
        let n = self.plans.len();
        let row: Vec<f64> = self.covariance[i * n..(i + 1) * n].to_vec();
        let total = row[i].max(0.0) + noise;
        for a in 0..n {
            let f = row[a] / total;
            for (c, r) in self.covariance[a * n..(a + 1) * n].iter_mut().zip(&row) {
                *c -= f * r;
            }
        }
    }
}

/// Which options the observations have, so that a kernel is evaluated once for each pair of options of a stage.
struct Layout {
    /// For each stage, the distinct options.
    options: Vec<Vec<usize>>,
    /// For each observation and stage, the place of its option among these.
    places: Vec<Vec<usize>>,
}

impl Layout {
    fn of(observations: &[Observation], stages: usize) -> Self {
        let mut options: Vec<Vec<usize>> = vec![Vec::new(); stages];
        let mut places = Vec::with_capacity(observations.len());
        for o in observations {
            let each = o.options.iter().zip(&mut options).map(|(&option, all)| {
                all.iter().position(|&x| x == option).unwrap_or_else(|| {
                    all.push(option);
                    all.len() - 1
                })
            });
            places.push(each.collect());
        }
        Layout { options, places }
    }

    fn tables(&self, kernel: &Kernel) -> Vec<Vec<f64>> {
        let stage = |(s, all): (usize, &Vec<usize>)| {
            all.iter().flat_map(|&a| all.iter().map(move |&b| kernel.alike(s, a, b))).collect()
        };
        self.options.iter().enumerate().map(stage).collect()
    }

    fn covariance(&self, kernel: &Kernel, tables: &[Vec<f64>], i: usize, j: usize) -> f64 {
        let (a, b) = (&self.places[i], &self.places[j]);
        let alike = tables.iter().enumerate().map(|(s, t)| t[a[s] * self.options[s].len() + b[s]]);
        kernel.combine(alike, i == j)
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
                            variance: MEAN_VARIANCE + fit.kernel.covariance(p, p) - dot(&projection, &projection),
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
                let prior = MEAN_VARIANCE + fit.kernel.covariance(plan, &self.plans[candidate]);
                let entry = (prior - dot(&state.projection, &projection)) / left;
                state.projection.push(entry);
                state.variance -= entry * entry;
            }
        }
    }
}
