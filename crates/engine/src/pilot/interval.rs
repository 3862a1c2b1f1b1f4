//! Intervals of means over examples, for values in 0 to 1 and for paired differences in -1 to 1.
//!
//! A value may be a mean over subsets of an example's draws. Draws of different examples are independent, so the spread
//! of the values over examples already holds both the examples' own differences and the luck of the finite draws (the
//! law of total variance); nothing is added for the latter.

use agenttts_core::Estimate;
use statrs::distribution::{ContinuousCDF, Normal};

/// Two-sided 95% quantile of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// The mean of scores in `0..=1` with a 95% interval: Agresti and Coull's (1998), which adds half of `z * z` examples at
/// 0 and as many at 1, carried over to scores between these. For zero-one scores it is theirs; for others it is never
/// certain because a few examples agree.
pub(super) fn of_scores(values: &[f64]) -> Estimate {
    let z2 = Z95 * Z95;
    bounded(values, &[(0.0, z2 / 2.0), (1.0, z2 / 2.0)], (0.0, 1.0))
}

/// The mean of paired differences in `-1..=1` with a 95% interval: Agresti and Min's (2005), which adds half an example
/// to each of the four ways in which a pair can come out, carried over to differences between these: what is added
/// differs as much as the largest difference that was seen, or by 1 where none was.
pub(super) fn of_differences(values: &[f64]) -> Estimate {
    let most = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    differences(values, if most > 0.0 { most } else { 1.0 })
}

fn differences(values: &[f64], added: f64) -> Estimate {
    bounded(values, &[(-added, 0.5), (0.0, 1.0), (added, 0.5)], (-1.0, 1.0))
}

/// The upper end of a one-sided interval of the mean of paired differences that is missed with probability `alpha`. It
/// allows for unseen examples that differ by 1, as saying that nothing more is to be gained needs more than few examples.
pub(super) fn upper(values: &[f64], alpha: f64) -> f64 {
    let e = differences(values, 1.0);
    let centre = values.iter().sum::<f64>() / (values.len() as f64 + 2.0);
    (centre + quantile(1.0 - alpha) * e.se).min(1.0)
}

/// About how many examples show a difference as large as the mean of `values`, or as `margin` if that is larger, with a
/// power of 0.8 in a test at the level `alpha`; of one side asks for means above 0 only. More than there are.
pub(super) fn needed(values: &[f64], margin: f64, alpha: f64, sides: f64) -> u32 {
    let n = values.len() as f64;
    let e = of_differences(values);
    let mean = if sides > 1.0 { e.mean.abs() } else { e.mean };
    // A difference that was not measured is imagined as that share of examples which differ by 1, or as noisier.
    let (size, deviation) = if mean >= margin {
        (mean, e.se * (n + 2.0).sqrt())
    } else {
        let seen = differences(values, 1.0).se * (n + 2.0).sqrt();
        (margin, seen.max((margin * (1.0 - margin)).sqrt()))
    };
    let reach = quantile(1.0 - alpha / sides) + quantile(0.8);
    // A test by signs needs a few examples that differ, however large the difference.
    let least = (1.0 / alpha).log2().ceil().max(n + 1.0);
    (reach * deviation / size).powi(2).ceil().max(least).min(1e9) as u32
}

/// About how many examples bound a difference of 0 by `margin` with probability 0.95, four times in five.
pub(super) fn needed_to_bound(values: &[f64], margin: f64, alpha: f64) -> u32 {
    let deviation = differences(values, 1.0).se * (values.len() as f64 + 2.0).sqrt();
    ((quantile(1.0 - alpha) + quantile(0.8)) * deviation / margin.max(1e-3)).powi(2).ceil().min(1e9) as u32
}

fn bounded(values: &[f64], added: &[(f64, f64)], (least, most): (f64, f64)) -> Estimate {
    let n = values.len() as f64;
    if values.is_empty() {
        return Estimate { mean: 0.0, low: least, high: most, se: f64::INFINITY, n: 0 };
    }
    let mean = values.iter().sum::<f64>() / n;
    let total = n + added.iter().map(|(_, w)| w).sum::<f64>();
    let first = (values.iter().sum::<f64>() + added.iter().map(|(v, w)| v * w).sum::<f64>()) / total;
    let second =
        (values.iter().map(|v| v * v).sum::<f64>() + added.iter().map(|(v, w)| v * v * w).sum::<f64>()) / total;
    let se = ((second - first * first).max(0.0) / total).sqrt();
    let (low, high) = ((first - Z95 * se).max(least).min(mean), (first + Z95 * se).min(most).max(mean));
    Estimate { mean, low, high, se, n: values.len() as u32 }
}

/// The quantile of the standard normal distribution.
fn quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(1e-12, 1.0 - 1e-12))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::subset::{MOST, subset_mean};
    use super::*;

    /// How good examples are: the chance of each to be answered right by one sample.
    const SKILLS: [f64; 5] = [0.05, 0.4, 0.6, 0.8, 1.0];

    /// Whether a vote is right; ties go to the earliest.
    fn vote(samples: &[bool]) -> f64 {
        let right = samples.iter().filter(|s| **s).count() * 2;
        f64::from(u8::from(right > samples.len() || right == samples.len() && samples[0]))
    }

    /// The chance of a vote of `n` to be right, by all ways in which it can come out.
    fn truth(skill: f64, n: u32) -> f64 {
        let way = |bits: u32| {
            let samples: Vec<bool> = (0..n).map(|i| bits >> i & 1 == 1).collect();
            let chance: f64 = samples.iter().map(|s| if *s { skill } else { 1.0 - skill }).product();
            chance * vote(&samples)
        };
        (0..1u32 << n).map(way).sum()
    }

    #[test]
    fn intervals_hold_the_truth_19_times_in_20_whatever_the_examples_and_the_draws() {
        const STUDIES: u32 = 300;
        let mean = |n: u32| SKILLS.iter().map(|s| truth(*s, n)).sum::<f64>() / SKILLS.len() as f64;
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (mut score, mut gain) = (0, 0);
        for study in 0..STUDIES {
            let mut columns = [vec![], vec![]];
            for example in 0..30u64 {
                let skill = SKILLS[rng.random_range(0..SKILLS.len())];
                let draws: Vec<bool> = (0..8).map(|_| rng.random_bool(skill)).collect();
                for (column, n) in columns.iter_mut().zip([1, 5]) {
                    let of = |subset: &[usize]| {
                        Ok::<_, Infallible>(vote(&subset.iter().map(|&i| draws[i]).collect::<Vec<_>>()))
                    };
                    column.push(subset_mean(8, n, MOST, u64::from(study) << 8 | example, of).unwrap().unwrap().mean);
                }
            }
            let covers = |e: Estimate, value: f64| u32::from(e.low <= value && value <= e.high);
            let gains: Vec<f64> = columns[1].iter().zip(&columns[0]).map(|(a, b)| a - b).collect();
            score += covers(of_scores(&columns[1]), mean(5));
            gain += covers(of_differences(&gains), mean(5) - mean(1));
        }
        for (what, found) in [("score", score), ("gain", gain)] {
            let share = f64::from(found) / f64::from(STUDIES);
            assert!(share > 0.92, "{what}: {share}");
        }
    }

    #[test]
    fn zero_one_scores_get_the_published_intervals() {
        let scores: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i < 35))).collect();
        let e = of_scores(&scores);
        // Agresti and Coull: (35 + 1.9207) / 53.8415 = .6857; half width 1.96 * sqrt(.6857 * .3143 / 53.8415).
        assert!((e.low - 0.5617).abs() < 1e-3 && (e.high - 0.8097).abs() < 1e-3, "{e}");
        let differences: Vec<f64> = (0..40)
            .map(|i| {
                if i < 12 {
                    1.0
                } else if i < 15 {
                    -1.0
                } else {
                    0.0
                }
            })
            .collect();
        let d = of_differences(&differences);
        assert!((d.low - 0.0392).abs() < 1e-3 && (d.high - 0.3894).abs() < 1e-3, "{d}");
    }

    #[test]
    fn agreement_is_no_certainty() {
        assert!(of_scores(&[1.0; 10]).low < 0.8);
        let alike: Vec<f64> = (0..40).map(|i| 0.02 * f64::from(i % 3)).collect();
        assert!(of_differences(&alike).low > 0.0 && upper(&alike, 0.05) > 0.05);
        assert!(of_differences(&[0.0; 40]).high > 0.04 && upper(&[0.0; 40], 0.05) > 0.03);
        assert!(upper(&[0.0; 400], 0.05) < 0.01);
    }

    #[test]
    fn more_examples_are_needed_for_smaller_differences() {
        let noisy: Vec<f64> = (0..60).map(|i| [1.0, 0.0, -1.0, 0.0, 1.0][i % 5]).collect();
        let (wide, narrow) = (needed(&noisy, 0.3, 0.05, 2.0), needed(&noisy, 0.05, 0.05, 2.0));
        assert!(wide < narrow && (60..200).contains(&narrow), "{wide} {narrow}");
        assert!(needed_to_bound(&noisy, 0.05, 0.05) > 1000);
        assert!(needed(&[1.0; 5], 0.05, 0.05, 1.0) >= 5);
        let worse: Vec<f64> = noisy.iter().map(|d| -d).collect();
        assert_eq!(needed(&worse, 0.05, 0.05, 2.0), narrow, "the sign does not count for two sides");
        assert!(needed(&worse, 0.05, 0.05, 1.0) > 10 * narrow, "a fall is no rise of that size");
    }
}
