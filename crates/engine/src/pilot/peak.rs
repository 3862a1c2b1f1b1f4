//! Where a curve is highest, and how far that is known: the bootstrap over examples.

use agenttts_core::{Credible, Peak};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples of the examples.
const RESAMPLES: usize = 1_000;

/// The peak of a curve: the fewest samples with the highest mean, and the ends of its 95% bootstrap interval over
/// examples. `scores` holds one list over examples for every count; `None` without examples.
pub(super) fn peak(counts: &[u32], scores: &[Vec<f64>], seed: u64) -> Option<Peak> {
    let examples = scores.first().map_or(0, Vec::len);
    if examples == 0 {
        return None;
    }
    let mut found: Vec<u32> = Vec::with_capacity(RESAMPLES);
    resample(examples, seed, |chosen| found.push(counts[highest(scores, chosen)]));
    found.sort_unstable();
    let all: Vec<usize> = (0..examples).collect();
    let samples = counts[highest(scores, &all)];
    Some(Peak { samples, low: end(&found, 0.025).min(samples), high: end(&found, 0.975).max(samples) })
}

/// How many times the samples at the peak double from one curve to another, both over the same examples; `None` without
/// any.
pub(super) fn doublings(counts: &[u32], from: &[Vec<f64>], to: &[Vec<f64>], seed: u64) -> Option<Credible> {
    let examples = from.first().map_or(0, Vec::len);
    if examples == 0 {
        return None;
    }
    let moved = |chosen: &[usize]| {
        let at = |scores| f64::from(counts[highest(scores, chosen)]).log2();
        at(to) - at(from)
    };
    let mut found: Vec<f64> = Vec::with_capacity(RESAMPLES);
    resample(examples, seed, |chosen| found.push(moved(chosen)));
    found.sort_by(f64::total_cmp);
    let all: Vec<usize> = (0..examples).collect();
    let mean = moved(&all);
    Some(Credible { mean, low: end(&found, 0.025).min(mean), high: end(&found, 0.975).max(mean) })
}

/// The place of the highest mean over the chosen examples, the first of equals.
pub(super) fn highest(scores: &[Vec<f64>], chosen: &[usize]) -> usize {
    let total = |column: &Vec<f64>| chosen.iter().map(|&e| column[e]).sum::<f64>();
    let mut best = (f64::NEG_INFINITY, 0);
    for (i, column) in scores.iter().enumerate() {
        let sum = total(column);
        // Rounding alone makes no peak.
        if sum > best.0 + 1e-9 {
            best = (sum, i);
        }
    }
    best.1
}

fn resample(examples: usize, seed: u64, mut use_it: impl FnMut(&[usize])) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = vec![0; examples];
    for _ in 0..RESAMPLES {
        chosen.iter_mut().for_each(|c| *c = rng.random_range(0..examples));
        use_it(&chosen);
    }
}

/// A quantile of sorted values.
fn end<T: Copy>(sorted: &[T], share: f64) -> T {
    let at = (share * (sorted.len() - 1) as f64).round() as usize;
    sorted[at.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(means: &[f64], examples: usize) -> Vec<Vec<f64>> {
        // The same spread at every count: the peak is known as well as the means differ.
        let noise = |e: usize| (e % 5) as f64 * 0.02;
        means.iter().map(|m| (0..examples).map(|e| m + noise(e)).collect()).collect()
    }

    #[test]
    fn a_clear_peak_is_known_and_ties_go_to_the_fewest() {
        let counts = [1, 2, 4, 8];
        let p = peak(&counts, &curve(&[0.2, 0.5, 0.6, 0.4], 40), 1).unwrap();
        assert_eq!((p.samples, p.low, p.high), (4, 4, 4));
        assert_eq!(peak(&counts, &curve(&[0.2; 4], 40), 1).unwrap().samples, 1);
        let noisy: Vec<Vec<f64>> =
            (0..4).map(|k| (0..40).map(|e| f64::from((e * 7 + k * 13) % 5 < 2)).collect()).collect();
        let p = peak(&counts, &noisy, 1).unwrap();
        assert!(p.low < p.high, "{p:?}");
    }

    #[test]
    fn moves_are_counted_in_doublings() {
        let counts = [1, 2, 4, 8];
        let early = curve(&[0.2, 0.5, 0.4, 0.4], 30);
        let late = curve(&[0.1, 0.2, 0.3, 0.5], 30);
        let moved = doublings(&counts, &early, &late, 1).unwrap();
        assert_eq!((moved.mean, moved.low, moved.high), (2.0, 2.0, 2.0));
        assert_eq!(doublings(&counts, &late, &early, 1).unwrap().mean, -2.0);
    }
}
