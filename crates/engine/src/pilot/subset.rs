//! The score of `n` samples from more draws than that: the mean over subsets.
//!
//! Draws of one request are exchangeable, so every subset of `n` of them is as good as `n` fresh ones, and the mean over
//! all subsets is the estimate of least variance among the unbiased ones (Hoeffding 1948). Nothing is said of more samples
//! than there are draws.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// The most subsets that are looked at: all where there are no more than that, else as many random ones.
pub(super) const MOST: u32 = 200;

/// A mean over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SubsetMean {
    /// The mean score.
    pub(super) mean: f64,
    /// How many subsets it is of.
    pub(super) subsets: u32,
    /// Whether they are all subsets of that size.
    pub(super) exact: bool,
}

/// The mean score over subsets of `size` of the draws `0..draws`, each given in ascending order, as they were drawn.
/// Exact where there are at most `most` subsets, else of `most` random ones.
///
/// # Errors
/// `None` where there are fewer draws than that, and the first error of `score`.
pub(super) fn subset_mean<E>(
    draws: usize,
    size: usize,
    most: u32,
    seed: u64,
    mut score: impl FnMut(&[usize]) -> Result<f64, E>,
) -> Result<Option<SubsetMean>, E> {
    if size == 0 || size > draws {
        return Ok(None);
    }
    let mut sum = 0.0;
    if let Some(all) = count(draws, size).filter(|&all| all <= most) {
        let mut subset: Vec<usize> = (0..size).collect();
        loop {
            sum += score(&subset)?;
            // The next subset in lexicographic order: the last place that can move does.
            let Some(place) = (0..size).rev().find(|&i| subset[i] < draws - size + i) else { break };
            subset[place] += 1;
            for i in place + 1..size {
                subset[i] = subset[i - 1] + 1;
            }
        }
        return Ok(Some(SubsetMean { mean: sum / f64::from(all), subsets: all, exact: true }));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..most {
        let mut subset = index::sample(&mut rng, draws, size).into_vec();
        subset.sort_unstable();
        sum += score(&subset)?;
    }
    Ok(Some(SubsetMean { mean: sum / f64::from(most), subsets: most, exact: false }))
}

/// How many subsets of that size there are; `None` for more than a `u32` holds.
fn count(draws: usize, size: usize) -> Option<u32> {
    let mut count: u64 = 1;
    for i in 0..size.min(draws - size) {
        count = count.checked_mul((draws - i) as u64)? / (i as u64 + 1);
        if count > u64::from(u32::MAX) {
            return None;
        }
    }
    u32::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use agenttts_core::Aggregator;
    use agenttts_stage::{ParseFailure, aggregate};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The share of answers that are "a" when these samples vote.
    fn vote(samples: &[u8]) -> f64 {
        let parsed: Vec<Result<Value, ParseFailure>> = samples
            .iter()
            .map(|s| if *s == 2 { Err(ParseFailure::Empty) } else { Ok(json!(["a", "b"][*s as usize])) })
            .collect();
        aggregate(Aggregator::Vote, &parsed, &[]).map_or(0.0, |a| f64::from(u8::from(a.output == json!("a"))))
    }

    fn estimate(draws: &[u8], size: usize, most: u32) -> SubsetMean {
        let score = |subset: &[usize]| Ok::<_, Infallible>(vote(&subset.iter().map(|&i| draws[i]).collect::<Vec<_>>()));
        subset_mean(draws.len(), size, most, 5, score).unwrap().unwrap()
    }

    /// All sequences of `n` samples with their probabilities, where "a", "b" and unreadable ones have these.
    fn sequences(n: usize, p: [f64; 3]) -> Vec<(Vec<u8>, f64)> {
        (0..n).fold(vec![(vec![], 1.0)], |all, _| {
            let longer = |(s, q): &(Vec<u8>, f64)| {
                (0..3u8).map(|k| ([s.as_slice(), &[k]].concat(), q * p[k as usize])).collect::<Vec<_>>()
            };
            all.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn the_estimate_is_unbiased() {
        for p in [[0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.9, 0.1, 0.0]] {
            let all = sequences(6, p);
            for n in 1..=6 {
                let truth: f64 = sequences(n, p).iter().map(|(s, q)| q * vote(s)).sum();
                let expected: f64 = all.iter().map(|(s, q)| q * estimate(s, n, MOST).mean).sum();
                assert!((truth - expected).abs() < 1e-9, "n = {n}: {truth} {expected}");
                // A few random subsets in place of all are unbiased too, up to the luck of the choice.
                let few: f64 = all.iter().map(|(s, q)| q * estimate(s, n, 4).mean).sum();
                assert!((truth - few).abs() < 0.06, "n = {n}: {truth} {few}");
            }
        }
    }

    #[test]
    fn nothing_is_said_beyond_the_draws() {
        let none = |draws, size| subset_mean(draws, size, MOST, 1, |_| Ok::<_, Infallible>(1.0)).unwrap();
        assert_eq!((none(4, 5), none(0, 1), none(3, 0)), (None, None, None));
        assert_eq!(none(100, 50).unwrap().subsets, MOST);
    }

    proptest! {
        #[test]
        fn all_subsets_are_what_brute_force_finds(draws in prop::collection::vec(0u8..3, 1..9), size in 1usize..9) {
            prop_assume!(size <= draws.len());
            let chosen = (0u32..1 << draws.len()).filter(|bits| bits.count_ones() as usize == size);
            let scores: Vec<f64> = chosen
                .map(|bits| {
                    let kept = draws.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
                    vote(&kept.map(|(_, d)| *d).collect::<Vec<_>>())
                })
                .collect();
            let found = estimate(&draws, size, 1_000);
            prop_assert!(found.exact && found.subsets as usize == scores.len());
            prop_assert!((found.mean - scores.iter().sum::<f64>() / scores.len() as f64).abs() < 1e-9);
        }
    }
}
