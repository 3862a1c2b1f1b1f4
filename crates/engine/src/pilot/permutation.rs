//! Paired tests by flipping signs, and Holm's correction for their number.
//!
//! If a difference is as likely to come out one way as the other, the sign of each example's difference carries no
//! information, so the differences are compared with themselves under all (or many random) flips. Several differences of
//! one example are flipped together, which keeps their correlation: the largest of their statistics has an exact reference
//! (Westfall and Young 1993).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Flips tried where there are too many to try all.
const FLIPS: usize = 4_999;

/// All flips are tried up to that many examples that differ at all.
const ALL_UP_TO: usize = 12;

/// Whether the mean of any of these differences is above 0; each holds one value for every example. The p-value allows for
/// their number.
pub(super) fn any_above(differences: &[Vec<f64>], seed: u64) -> f64 {
    flipped(differences, seed, |sum| sum)
}

/// Whether the mean of these differences is not 0.
pub(super) fn differs(differences: &[f64], seed: u64) -> f64 {
    flipped(&[differences.to_vec()], seed, f64::abs)
}

/// Holm's step-down correction (1979): adjusted p-values, in the order given.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        least = least.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = least;
    }
    adjusted
}

fn flipped(differences: &[Vec<f64>], seed: u64, side: fn(f64) -> f64) -> f64 {
    // One row for every example, scaled so that the columns' statistics are comparable.
    let scale: Vec<f64> = differences.iter().map(|d| d.iter().map(|v| v * v).sum::<f64>().sqrt()).collect();
    let examples = differences.iter().map(Vec::len).max().unwrap_or(0);
    let row = |e: usize| -> Vec<f64> {
        let scaled = |(d, s): (&Vec<f64>, &f64)| if *s > 0.0 { d[e] / s } else { 0.0 };
        differences.iter().zip(&scale).map(scaled).collect()
    };
    let rows: Vec<Vec<f64>> = (0..examples).map(row).filter(|r| r.iter().any(|v| *v != 0.0)).collect();
    let mut sums = vec![0.0; differences.len()];
    let mut statistic = |flips: &mut dyn FnMut(usize) -> bool| -> f64 {
        sums.fill(0.0);
        for (e, row) in rows.iter().enumerate() {
            let sign = if flips(e) { -1.0 } else { 1.0 };
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += sign * v);
        }
        sums.iter().copied().map(side).fold(f64::NEG_INFINITY, f64::max)
    };
    let observed = statistic(&mut |_| false);
    let reached = |value: f64| value >= observed - 1e-9;
    if rows.is_empty() {
        return 1.0;
    }
    if rows.len() <= ALL_UP_TO {
        let all = 1u32 << rows.len();
        let count = (0..all).filter(|bits| reached(statistic(&mut |e| bits >> e & 1 == 1))).count();
        return count as f64 / f64::from(all);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut word: u64 = 0;
    let mut flip = |e: usize| {
        if e.is_multiple_of(64) {
            word = rng.random();
        }
        word >> (e % 64) & 1 == 1
    };
    let count = (0..FLIPS).filter(|_| reached(statistic(&mut flip))).count();
    (count + 1) as f64 / (FLIPS + 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_differences_are_counted_exactly() {
        // Five examples better, none worse: one of 32 flips is as good.
        let better = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        assert_eq!(any_above(&[better.to_vec()], 1), 1.0 / 32.0);
        assert_eq!(differs(&better, 1), 2.0 / 32.0);
        assert_eq!(differs(&[0.0; 9], 1), 1.0);
        assert_eq!(any_above(&[vec![-1.0; 4]], 1), 1.0);
    }

    #[test]
    fn looking_at_several_differences_is_paid_for() {
        let noise: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let real: Vec<f64> = (0..40).map(|i| if i % 4 == 0 { -1.0 } else { 1.0 }).collect();
        let (alone, among) = (any_above(std::slice::from_ref(&real), 3), any_above(&[noise.clone(), real, noise], 3));
        assert!(alone < 0.01 && among > alone, "{alone:?} {among:?}");
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        assert_eq!(adjusted.iter().map(|p| (p * 1000.0).round() as u32).collect::<Vec<_>>(), [30, 60, 60, 20]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn without_a_difference_one_test_in_twenty_is_wrong() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let false_alarms = (0..200).filter(|&seed| {
            let columns: Vec<Vec<f64>> =
                (0..3).map(|_| (0..25).map(|_| rng.random_range(-1..=1) as f64).collect()).collect();
            any_above(&columns, seed) <= 0.05
        });
        let share = false_alarms.count() as f64 / 200.0;
        assert!(share < 0.1, "{share}");
    }

    proptest! {
        #[test]
        fn adjusted_values_are_no_smaller_and_keep_their_order(p in prop::collection::vec(0.0..=1.0f64, 1..12)) {
            let adjusted = holm(&p);
            for i in 0..p.len() {
                prop_assert!(adjusted[i] >= p[i] - 1e-12 && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j] + 1e-12);
                }
            }
        }
    }
}
