//! What the trials say: one pooled score per plan, with the variance of its noise.

use std::collections::BTreeMap;

use agenttts_core::{Archive, Measurement, Space, Trial};

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

/// The least variance of one example's score.
const LEAST_VARIANCE: f64 = 1e-3;

/// The measured plans of the space in order of their first trial. Trials of other plans are left out.
pub(crate) fn observations(space: &Space, archive: &Archive) -> Vec<Observation> {
    let trials: Vec<(&Trial, &Measurement)> =
        archive.measured().filter(|(_, m)| m.objective.n > 0 && m.objective.mean.is_finite()).collect();
    let variances = variances(&trials);
    let mut by_plan: BTreeMap<Vec<usize>, Observation> = BTreeMap::new();
    for ((trial, measured), variance) in trials.into_iter().zip(variances) {
        let Some(options) = space.indices(&trial.plan) else {
            continue;
        };
        let (mean, n) = (measured.objective.mean, measured.objective.n);
        let noise = variance / f64::from(n);
        by_plan
            .entry(options.clone())
            .and_modify(|o| {
                let (a, b) = (1.0 / o.noise, 1.0 / noise);
                o.mean = (o.mean * a + mean * b) / (a + b);
                o.noise = 1.0 / (a + b);
                o.n += n;
                o.trials.push(trial.number);
            })
            .or_insert(Observation { options, mean, noise, n, trials: vec![trial.number] });
    }
    let mut all: Vec<Observation> = by_plan.into_values().collect();
    all.sort_by_key(|o| o.trials.first().copied());
    all
}

/// The variance of one example's score about its trial's mean, for each trial, shrunk towards all trials' average.
///
/// Where all trials ran on equally many examples, what an example scores above or below the average in all of them is
/// its difficulty: it moves all trials alike and tells nothing of their order, so it is taken out.
fn variances(trials: &[(&Trial, &Measurement)]) -> Vec<f64> {
    let count = trials.len() as f64;
    let Some(n) = trials.first().map(|(_, m)| m.scores.len()) else {
        return Vec::new();
    };
    let paired =
        trials.len() >= 4 && n > 1 && trials.iter().all(|(_, m)| m.scores.len() == n && m.objective.n as usize == n);
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
    let own: Vec<(f64, f64)> = trials
        .iter()
        .map(|(_, m)| {
            let examples = f64::from(m.objective.n);
            if m.scores.len() < 2 || !paired {
                let se = m.objective.se;
                let known = se.is_finite() && m.objective.n > 1;
                let variance = if known { se * se * examples } else { 0.25 };
                return (variance, examples - 1.0);
            }
            let squares: f64 = m.scores.iter().zip(&difficulty).map(|(s, d)| (s - m.objective.mean - d).powi(2)).sum();
            (freedom * squares / (examples - 1.0), examples - 1.0)
        })
        .collect();
    let weight: f64 = own.iter().map(|(_, w)| w).sum();
    let pooled = if weight > 0.0 { own.iter().map(|(v, w)| v * w).sum::<f64>() / weight } else { 0.25 };
    own.into_iter()
        .map(|(v, w)| ((v * w + pooled * PRIOR_EXAMPLES) / (w + PRIOR_EXAMPLES)).max(LEAST_VARIANCE))
        .collect()
}
