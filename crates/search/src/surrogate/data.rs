//! What the trials say: one pooled score per plan, with the variance of its noise.

use std::collections::BTreeMap;

use agenttts_core::{Archive, Measurement, Space, Span, Trial};

use super::cholesky::dot;

/// A measured plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// The plan as option indices.
    pub(crate) options: Vec<usize>,
    /// Mean objective over all its trials' examples, less the difficulty of these examples.
    pub(crate) mean: f64,
    /// Variance of that mean's noise.
    pub(crate) noise: f64,
    /// Examples behind it.
    pub(crate) n: u32,
    /// Its trials' numbers, in order.
    pub(crate) trials: Vec<u32>,
}

/// The least variance of one example's score.
const LEAST_VARIANCE: f64 = 1e-3;

/// The variance of one example's score where trials do not tell: the most that scores in 0..=1 can have.
const UNKNOWN_VARIANCE: f64 = 0.25;

/// The weight of [`UNKNOWN_VARIANCE`] against what all trials together show, in examples.
const UNSEEN_EXAMPLES: f64 = 5.0;

/// Examples that the overall mean counts for in the variance of a plan.
const SHRINK: f64 = 8.0;

/// The weight of "replicates are independent", in pairs of replicates.
const PRIOR_PAIRS: f64 = 2.0;

/// The measured plans of the space, and how noisy their scores are.
pub(crate) struct Data {
    /// In order of their first trial. Trials of plans outside the space are left out.
    pub(crate) observations: Vec<Observation>,
    /// The share of a trial's noise that stays when the same plan is tried again on the same examples with fresh
    /// draws: 0 where replicates are independent, 1 where they only repeat themselves. 0 until there are replicates.
    pub(crate) lasting: f64,
    /// The variance of one example's score about its plan's mean, over all trials.
    pub(crate) example_variance: f64,
}

/// A trial with the examples that it ran on.
struct Run<'a> {
    trial: &'a Trial,
    measured: &'a Measurement,
    n: f64,
    /// What each example scored above its plan's mean and its own difficulty.
    residuals: Vec<f64>,
}

impl Run<'_> {
    fn first(&self) -> u32 {
        self.trial.span.map_or(0, |s: Span| s.first)
    }
}

/// Pools the measured trials by plan.
pub(crate) fn data(space: &Space, archive: &Archive) -> Data {
    let mut runs: Vec<Run<'_>> = archive
        .measured()
        .filter(|(_, m)| m.objective.n > 0 && m.objective.mean.is_finite())
        .map(|(trial, measured)| Run { trial, measured, n: f64::from(measured.objective.n), residuals: Vec::new() })
        .collect();
    let mut by_plan: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        if let Some(options) = space.indices(&run.trial.plan) {
            by_plan.entry(options).or_default().push(i);
        }
    }
    let difficulty = difficulty(&mut runs, &by_plan);
    let lasting = lasting(by_plan.values(), &runs);
    let total: f64 = runs.iter().map(|r| r.n).sum();
    let overall = runs.iter().map(|r| r.measured.objective.mean * r.n).sum::<f64>() / total.max(1.0);
    let squares: f64 = runs.iter().map(|r| dot(&r.residuals, &r.residuals)).sum();
    let freedom: f64 = runs.iter().map(|r| r.residuals.len() as f64).sum::<f64>() - by_plan.len() as f64;
    let example_variance = (squares + UNKNOWN_VARIANCE * UNSEEN_EXAMPLES) / (freedom.max(0.0) + UNSEEN_EXAMPLES);
    let shrunk = |mean: f64, n: f64| (mean * n + overall * SHRINK) / (n + SHRINK);
    let usual = runs.iter().map(|r| r.n * spread(shrunk(r.measured.objective.mean, r.n))).sum::<f64>() / total.max(1.0);
    let mut observations: Vec<Observation> = by_plan
        .into_iter()
        .map(|(options, of)| {
            let n: f64 = of.iter().map(|&i| runs[i].n).sum();
            let raw = of.iter().map(|&i| runs[i].measured.objective.mean * runs[i].n).sum::<f64>() / n;
            let hard: f64 = of.iter().map(|&i| difficulty.of(&runs[i]) * runs[i].n).sum::<f64>() / n;
            let most = of.iter().map(|&i| runs[i].n).fold(1.0, f64::max);
            let variance = example_variance * spread(shrunk(raw, n)) / usual.max(1e-3);
            Observation {
                options,
                mean: raw - hard,
                noise: variance.max(LEAST_VARIANCE) * (lasting / most + (1.0 - lasting) / n),
                n: n as u32,
                trials: of.iter().map(|&i| runs[i].trial.number).collect(),
            }
        })
        .collect();
    observations.sort_by_key(|o| o.trials.first().copied());
    Data { observations, lasting, example_variance }
}

/// The variance of a zero-one score with this mean; the variance of other scores is taken to go in proportion.
fn spread(mean: f64) -> f64 {
    (mean * (1.0 - mean)).clamp(0.02, 0.25)
}

/// How much each example is easier than the average one; all 0 where examples differ no more than their noise, as
/// where trials share none.
struct Difficulty(Vec<f64>);

impl Difficulty {
    /// The mean over the examples of a trial.
    fn of(&self, run: &Run<'_>) -> f64 {
        let count = run.measured.scores.len();
        let first = run.first() as usize;
        let all = (first..first + count).map(|e| self.0.get(e).copied().unwrap_or(0.0)).sum::<f64>();
        if count > 0 { all / count as f64 } else { 0.0 }
    }
}

/// Estimates the examples' difficulties from all trials that have them, shrunk by how much more they differ than noise
/// alone would let them (empirical Bayes), and leaves what remains in the trials' residuals.
fn difficulty(runs: &mut [Run<'_>], by_plan: &BTreeMap<Vec<usize>, Vec<usize>>) -> Difficulty {
    for of in by_plan.values() {
        let n: f64 = of.iter().map(|&i| runs[i].n).sum();
        let mean = of.iter().map(|&i| runs[i].measured.objective.mean * runs[i].n).sum::<f64>() / n;
        for &i in of {
            runs[i].residuals = runs[i].measured.scores.iter().map(|s| s - mean).collect();
        }
    }
    let longest = runs.iter().map(|r| r.first() as usize + r.residuals.len()).max().unwrap_or(0);
    let (mut sums, mut counts) = (vec![0.0; longest], vec![0.0; longest]);
    for run in runs.iter() {
        for (e, r) in run.residuals.iter().enumerate() {
            sums[run.first() as usize + e] += r;
            counts[run.first() as usize + e] += 1.0;
        }
    }
    let scores: f64 = counts.iter().sum();
    let noise = runs.iter().map(|r| dot(&r.residuals, &r.residuals)).sum::<f64>() / scores.max(1.0);
    let shared = || sums.iter().zip(&counts).filter(|(_, c)| **c >= 4.0);
    let examples = shared().count() as f64;
    let excess = shared().map(|(s, c)| (s / c).powi(2) - noise / c).sum::<f64>() / examples.max(1.0);
    // So much excess would be chance, were examples all alike: a difference of squares varies by about √(2/m).
    let chance =
        shared().map(|(_, c)| noise / c).sum::<f64>() / examples.max(1.0) * 2.0 * (2.0 / examples.max(1.0)).sqrt();
    if examples < 3.0 || excess <= chance {
        return Difficulty(Vec::new());
    }
    let found: Vec<f64> = sums
        .iter()
        .zip(&counts)
        .map(|(s, c)| if *c > 0.0 { s / c * excess / (excess + noise / c) } else { 0.0 })
        .collect();
    for run in runs.iter_mut() {
        let first = run.first() as usize;
        for (e, r) in run.residuals.iter_mut().enumerate() {
            *r -= found[first + e];
        }
    }
    Difficulty(found)
}

/// The correlation of replicates' residuals, shrunk towards 0.
fn lasting<'a>(groups: impl Iterator<Item = &'a Vec<usize>>, runs: &[Run<'_>]) -> f64 {
    let (mut together, mut alone, mut pairs) = (0.0, 0.0, 0.0);
    for group in groups {
        for (k, &i) in group.iter().enumerate() {
            for &j in &group[k + 1..] {
                let (a, b) = (&runs[i].residuals, &runs[j].residuals);
                // Only fresh draws of the same examples can repeat themselves.
                if runs[i].trial.span == runs[j].trial.span && a.len() == b.len() && a.len() > 1 {
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
