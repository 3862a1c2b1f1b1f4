//! What the trials say: one pooled score per plan, with the variance of its noise.

use std::collections::BTreeMap;

use agenttts_core::{Archive, Measurement, Space, Span, Trial};

use super::cholesky::dot;

/// A measured plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// The plan as option indices.
    pub(crate) options: Vec<usize>,
    /// Mean objective, replicates pooled.
    pub(crate) mean: f64,
    /// Variance of that mean's noise.
    pub(crate) noise: f64,
    /// Examples behind it.
    pub(crate) n: u32,
    /// Its trials' numbers, in order.
    pub(crate) trials: Vec<u32>,
}

/// The weight of the pooled variance against a trial's own, in examples: a mean near 0 or 1 has a small sample
/// variance by luck as well as by right.
const PRIOR_EXAMPLES: f64 = 20.0;

/// The weight of [`UNKNOWN_VARIANCE`] against what all trials together show, in examples.
const UNSEEN_EXAMPLES: f64 = 5.0;

/// The least variance of one example's score.
const LEAST_VARIANCE: f64 = 1e-3;

/// The variance of one example's score where a trial does not tell: the most that scores in 0..=1 can have.
const UNKNOWN_VARIANCE: f64 = 0.25;

/// The measured plans of the space, and how noisy their scores are.
pub(crate) struct Data {
    /// In order of their first trial. Trials of plans outside the space are left out.
    pub(crate) observations: Vec<Observation>,
    /// The share of a trial's noise that stays when the same plan is tried again on the same examples with fresh
    /// draws: 0 where replicates are independent, 1 where they only repeat themselves. 0 until there are replicates.
    pub(crate) lasting: f64,
}

/// The weight of "replicates are independent", in pairs of replicates.
const PRIOR_PAIRS: f64 = 2.0;

/// Pools the measured trials by plan.
pub(crate) fn data(space: &Space, archive: &Archive) -> Data {
    let trials: Vec<(&Trial, &Measurement)> =
        archive.measured().filter(|(_, m)| m.objective.n > 0 && m.objective.mean.is_finite()).collect();
    let noises = noises(&trials);
    let mut by_plan: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (i, (trial, _)) in trials.iter().enumerate() {
        if let Some(options) = space.indices(&trial.plan) {
            by_plan.entry(options).or_default().push(i);
        }
    }
    let lasting = lasting(by_plan.values(), &noises);
    let mut observations: Vec<Observation> = by_plan
        .into_iter()
        .map(|(options, of)| {
            let noise = |i: usize| noises[i].variance / f64::from(trials[i].1.objective.n);
            let precision: f64 = of.iter().map(|&i| 1.0 / noise(i)).sum();
            let weighted: f64 = of.iter().map(|&i| trials[i].1.objective.mean / noise(i)).sum();
            let least = of.iter().map(|&i| noise(i)).fold(f64::INFINITY, f64::min);
            Observation {
                options,
                mean: weighted / precision,
                noise: lasting * least + (1.0 - lasting) / precision,
                n: of.iter().map(|&i| trials[i].1.objective.n).sum(),
                trials: of.iter().map(|&i| trials[i].0.number).collect(),
            }
        })
        .collect();
    observations.sort_by_key(|o| o.trials.first().copied());
    Data { observations, lasting }
}

/// One trial's noise.
struct Noise {
    /// The variance of one example's score about the trial's mean, shrunk towards the average of all trials.
    variance: f64,
    /// What each example scored above the trial's mean and its own difficulty; empty where unknown.
    residuals: Vec<f64>,
    /// Which examples these are.
    span: Option<Span>,
}

/// The correlation of replicates' residuals, shrunk towards 0.
fn lasting<'a>(groups: impl Iterator<Item = &'a Vec<usize>>, noises: &[Noise]) -> f64 {
    let (mut together, mut alone, mut pairs) = (0.0, 0.0, 0.0);
    for group in groups {
        for (k, &i) in group.iter().enumerate() {
            for &j in &group[k + 1..] {
                let (a, b) = (&noises[i].residuals, &noises[j].residuals);
                // Only fresh draws of the same examples can repeat themselves.
                if noises[i].span == noises[j].span && a.len() == b.len() && a.len() > 1 {
                    together += dot(a, b);
                    alone += (dot(a, a) * dot(b, b)).sqrt();
                    pairs += 1.0;
                }
            }
        }
    }
    if alone <= 0.0 {
        return 0.0;
    }
    (together / alone * pairs / (pairs + PRIOR_PAIRS)).clamp(0.0, 1.0)
}

/// Where all trials ran on the same examples, what an example scores above or below the average in all of them is
/// its difficulty: it moves all trials alike and tells nothing of their order, so it is taken out of the noise.
fn noises(trials: &[(&Trial, &Measurement)]) -> Vec<Noise> {
    let count = trials.len() as f64;
    let Some((n, span)) = trials.first().map(|(t, m)| (m.scores.len(), t.span)) else {
        return Vec::new();
    };
    let same = |t: &Trial, m: &Measurement| t.span == span && m.scores.len() == n && m.objective.n as usize == n;
    let paired = trials.len() >= 4 && n > 1 && trials.iter().all(|(t, m)| same(t, m));
    let mut difficulty = vec![0.0; n];
    if paired {
        for (_, m) in trials {
            for (d, s) in difficulty.iter_mut().zip(&m.scores) {
                *d += (s - m.objective.mean) / count;
            }
        }
    }
    // The difficulties are themselves estimated from these trials.
    let freedom = if paired { count / (count - 1.0) } else { 1.0 };
    let own: Vec<(f64, f64, Vec<f64>)> = trials
        .iter()
        .map(|(_, m)| {
            let degrees = f64::from(m.objective.n) - 1.0;
            let residuals: Vec<f64> = m
                .scores
                .iter()
                .enumerate()
                .map(|(i, s)| s - m.objective.mean - if paired { difficulty[i] } else { 0.0 })
                .collect();
            if paired {
                let variance = freedom * dot(&residuals, &residuals) / degrees;
                return (variance, degrees, residuals);
            }
            let se = m.objective.se;
            let known = se.is_finite() && m.objective.n > 1;
            let variance = if known { se * se * f64::from(m.objective.n) } else { UNKNOWN_VARIANCE };
            (variance, degrees, residuals)
        })
        .collect();
    let weight: f64 = own.iter().map(|(_, w, _)| w).sum();
    // A few examples that agree in all trials do not show that there is no noise.
    let seen = own.iter().map(|(v, w, _)| v * w).sum::<f64>();
    let pooled = (seen + UNKNOWN_VARIANCE * UNSEEN_EXAMPLES) / (weight + UNSEEN_EXAMPLES);
    own.into_iter()
        .zip(trials)
        .map(|((v, w, residuals), (trial, _))| Noise {
            variance: ((v * w + pooled * PRIOR_EXAMPLES) / (w + PRIOR_EXAMPLES)).max(LEAST_VARIANCE),
            residuals,
            span: trial.span,
        })
        .collect()
}
