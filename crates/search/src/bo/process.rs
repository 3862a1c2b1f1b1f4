//! A Gaussian process over plans, fitted by its marginal likelihood.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::encoding::Encoding;
use crate::surrogate::Belief;
use crate::surrogate::cholesky::{Cholesky, dot};
use crate::tried::Tried;

/// Parameters of the kernel that are tried in a fit.
const TRIES: usize = 300;

/// Plans that the parameters are fitted to, spread over the archive where it has more: the time of a fit grows with
/// their cube, and so many tell the parameters well. Beliefs come from all plans.
const FITTED: usize = 120;

/// The least noise, as a share of the variance of the scores.
const LEAST_NOISE: f64 = 1e-4;

/// What the kernel sees of an option: model, temperature and aggregator, and the scaled logarithm of the samples.
type Point = ([usize; 3], f64);

/// A process conditioned on scores.
pub(crate) struct Process {
    /// The features of every option of every stage.
    points: Vec<Vec<Point>>,
    theta: Theta,
    /// The plans that were measured.
    plans: Vec<Vec<usize>>,
    /// Mean and standard deviation of the scores, which the process sees standardised.
    centre: f64,
    scale: f64,
    factor: Cholesky,
    /// `L⁻¹ y`.
    scores: Vec<f64>,
}

/// Parameters of the kernel, as logarithms.
#[derive(Clone, Debug)]
struct Theta {
    variance: f64,
    noise: f64,
    /// For each stage the weights (inverse squared lengths) of model, temperature, aggregator and samples.
    weights: Vec<[f64; 4]>,
}

impl Process {
    /// Fits the process. The random numbers choose which parameters are tried.
    pub(crate) fn fit(encoding: &Encoding, seen: &[Tried], rng: &mut ChaCha8Rng) -> Self {
        let points: Vec<Vec<Point>> = encoding
            .stages
            .iter()
            .map(|stage| {
                let highest = stage.codes.iter().map(|c| c.log).fold(0.0, f64::max).max(1e-9);
                stage.codes.iter().map(|c| ([c.model, c.temperature, c.aggregator], c.log / highest)).collect()
            })
            .collect();
        let n = seen.len().max(1) as f64;
        let centre = seen.iter().map(|t| t.mean).sum::<f64>() / n;
        let variance = seen.iter().map(|t| (t.mean - centre).powi(2)).sum::<f64>() / n;
        let scale = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        let usual = seen.iter().map(|t| f64::from(t.examples)).sum::<f64>() / n;
        let data = Data {
            points: &points,
            plans: seen.iter().map(|t| t.options.as_slice()).collect(),
            scores: seen.iter().map(|t| (t.mean - centre) / scale).collect(),
            noise: seen.iter().map(|t| usual / f64::from(t.examples.max(1))).collect(),
        };
        let theta = data.thinned(FITTED).best_theta(rng);
        let (_, factor, scores) = data.condition(&theta);
        let plans = seen.iter().map(|t| t.options.clone()).collect();
        Process { theta, plans, centre, scale, factor, scores, points }
    }

    /// What is believed of one plan.
    pub(crate) fn belief(&self, options: &[usize]) -> Belief {
        let v = self.project(options);
        self.belief_of(dot(&v, &self.scores), self.theta.variance.exp() - dot(&v, &v))
    }

    fn belief_of(&self, mean: f64, variance: f64) -> Belief {
        Belief { mean: self.centre + self.scale * mean, sd: self.scale * variance.max(0.0).sqrt() }
    }

    fn project(&self, options: &[usize]) -> Vec<f64> {
        let k: Vec<f64> = self.plans.iter().map(|p| self.covariance(options, p)).collect();
        self.factor.solve(&k)
    }

    fn covariance(&self, a: &[usize], b: &[usize]) -> f64 {
        self.theta.natural().covariance(&self.points, a, b)
    }
}

/// Candidates whose beliefs become surer as some of them are taken as measured at what is expected of them.
pub(crate) struct Candidates<'a> {
    process: &'a Process,
    /// The candidates as option indices.
    pub(crate) plans: Vec<Vec<usize>>,
    /// `L⁻¹ k`, the mean and the variance of each.
    states: Vec<(Vec<f64>, f64, f64)>,
    /// The plans that were taken as measured.
    assumed: Vec<Vec<usize>>,
    factor: Cholesky,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(process: &'a Process, plans: Vec<Vec<usize>>) -> Self {
        let natural = process.theta.natural();
        let states = plans.iter().map(|options| {
            let k: Vec<f64> = process.plans.iter().map(|p| natural.covariance(&process.points, options, p)).collect();
            let v = process.factor.solve(&k);
            let (mean, variance) = (dot(&v, &process.scores), natural.variance - dot(&v, &v));
            (v, mean, variance)
        });
        let states = states.collect();
        Candidates { process, plans, states, assumed: Vec::new(), factor: process.factor.clone() }
    }

    pub(crate) fn belief(&self, candidate: usize) -> Belief {
        let (_, mean, variance) = self.states[candidate];
        self.process.belief_of(mean, variance)
    }

    /// Removes a candidate, taking it as measured.
    pub(crate) fn take(&mut self, candidate: usize) -> Vec<usize> {
        let options = self.plans.remove(candidate);
        self.states.remove(candidate);
        self.assume(&options);
        options
    }

    /// Takes a plan as measured at what is expected of it.
    pub(crate) fn assume(&mut self, options: &[usize]) {
        let natural = self.process.theta.natural();
        let points = &self.process.points;
        let k: Vec<f64> =
            self.process.plans.iter().chain(&self.assumed).map(|p| natural.covariance(points, options, p)).collect();
        let own = self.factor.solve(&k);
        let left = (natural.variance - dot(&own, &own)).max(0.0) + natural.noise;
        self.factor.push(&k, natural.variance + natural.noise);
        for ((v, _, variance), plan) in self.states.iter_mut().zip(&self.plans) {
            let entry = (natural.covariance(points, options, plan) - dot(v, &own)) / left.sqrt();
            v.push(entry);
            *variance -= entry * entry;
        }
        self.assumed.push(options.to_vec());
    }
}

/// The parameters themselves.
struct Natural {
    variance: f64,
    noise: f64,
    weights: Vec<[f64; 4]>,
}

impl Natural {
    /// Matérn 5/2.
    fn covariance(&self, points: &[Vec<Point>], a: &[usize], b: &[usize]) -> f64 {
        let mut square = 0.0;
        for (s, weights) in self.weights.iter().enumerate() {
            let (kinds, log) = points[s][a[s]];
            let (others, other) = points[s][b[s]];
            for i in 0..3 {
                if kinds[i] != others[i] {
                    square += weights[i];
                }
            }
            square += weights[3] * (log - other) * (log - other);
        }
        let r = (5.0 * square).sqrt();
        self.variance * (1.0 + r + r * r / 3.0) * (-r).exp()
    }
}

impl Theta {
    fn natural(&self) -> Natural {
        Natural {
            variance: self.variance.exp(),
            noise: self.noise.exp() + LEAST_NOISE,
            weights: self.weights.iter().map(|w| w.map(f64::exp)).collect(),
        }
    }

    /// The logarithm of the prior: weights near 1 within a factor of about 10, variance and noise near that of the
    /// standardised scores or below.
    fn log_prior(&self) -> f64 {
        let weights: f64 = self.weights.iter().flatten().map(|w| -0.1 * (w.exp() + (-w).exp())).sum();
        let variance = self.variance - self.variance.exp();
        let noise = 0.1 * self.noise - self.noise.exp();
        weights + variance + noise
    }

    fn draw(stages: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut within = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
        Theta {
            variance: within(-1.5, 0.7),
            noise: within(-4.0, 0.0),
            weights: (0..stages).map(|_| [0; 4].map(|_| within(-3.0, 3.0))).collect(),
        }
    }

    fn near(&self, step: f64, rng: &mut ChaCha8Rng) -> Self {
        let mut moved = |x: f64| x + step * (rng.random::<f64>() + rng.random::<f64>() + rng.random::<f64>() - 1.5);
        Theta {
            variance: moved(self.variance).clamp(-6.0, 4.0),
            noise: moved(self.noise).clamp(-9.0, 2.0),
            weights: self.weights.iter().map(|w| w.map(|x| moved(x).clamp(-6.0, 6.0))).collect(),
        }
    }
}

/// What the process is fitted to.
struct Data<'a> {
    points: &'a [Vec<Point>],
    plans: Vec<&'a [usize]>,
    /// Standardised.
    scores: Vec<f64>,
    /// Variance of the noise of each score, relative to the usual one.
    noise: Vec<f64>,
}

impl Data<'_> {
    /// At most `count` of the plans, evenly spread.
    fn thinned(&self, count: usize) -> Data<'_> {
        let n = self.plans.len();
        let kept: Vec<usize> = if n <= count { (0..n).collect() } else { (0..count).map(|i| i * n / count).collect() };
        Data {
            points: self.points,
            plans: kept.iter().map(|&i| self.plans[i]).collect(),
            scores: kept.iter().map(|&i| self.scores[i]).collect(),
            noise: kept.iter().map(|&i| self.noise[i]).collect(),
        }
    }

    /// The most probable of the parameters that are tried: a third drawn from the prior, the others by steps from the
    /// best so far, which grow after a success and shrink after a failure.
    fn best_theta(&self, rng: &mut ChaCha8Rng) -> Theta {
        let stages = self.points.len();
        let mut best = Theta { variance: 0.0, noise: -1.5, weights: vec![[0.0; 4]; stages] };
        let mut most = self.posterior(&best);
        let mut step = 1.0f64;
        for i in 0..TRIES {
            let from_prior = i < TRIES / 3;
            let theta = if from_prior { Theta::draw(stages, rng) } else { best.near(step, rng) };
            let found = self.posterior(&theta);
            if found > most {
                (best, most) = (theta, found);
                step = if from_prior { step } else { (step * 1.6).min(2.0) };
            } else if !from_prior {
                step = (step * 0.9).max(0.05);
            }
        }
        best
    }

    fn posterior(&self, theta: &Theta) -> f64 {
        self.condition(theta).0 + theta.log_prior()
    }

    /// The logarithm of the marginal likelihood (up to a constant), the factor of the covariance and `L⁻¹ y`.
    fn condition(&self, theta: &Theta) -> (f64, Cholesky, Vec<f64>) {
        let natural = theta.natural();
        let mut factor = Cholesky::default();
        for (i, plan) in self.plans.iter().enumerate() {
            let row: Vec<f64> = self.plans[..i].iter().map(|p| natural.covariance(self.points, plan, p)).collect();
            factor.push(&row, natural.variance + natural.noise * self.noise[i]);
        }
        let scores = factor.solve(&self.scores);
        (-0.5 * (dot(&scores, &scores) + factor.log_determinant()), factor, scores)
    }
}
