//! Estimates from examples of which some share a source: what counts is the number of sources.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::estimate::{Estimate, needed, t95};

impl Estimate {
    /// The mean of values of which those with the same cluster are alike (questions about one document, say), with an
    /// interval that counts clusters rather than values: the cluster-robust variance of a mean (Liang and Zeger 1986) and
    /// Student's distribution with one degree of freedom less than there are clusters. `n` is the number of clusters.
    ///
    /// `None` when the lengths differ.
    pub fn of_clustered(values: &[f64], clusters: &[u64]) -> Option<Self> {
        if values.len() != clusters.len() {
            return None;
        }
        let mean = Estimate::of_values(values).mean;
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for (value, cluster) in values.iter().zip(clusters) {
            *sums.entry(*cluster).or_default() += value - mean;
        }
        let (count, groups) = (values.len() as f64, sums.len() as f64);
        if sums.len() < 2 {
            let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
            return Some(Estimate { mean, low, high, se: f64::INFINITY, n: sums.len() as u32 });
        }
        let se = (groups / (groups - 1.0) * sums.values().map(|s| s * s).sum::<f64>()).sqrt() / count;
        let half = t95(sums.len() as u32 - 1) * se;
        Some(Estimate { mean, low: mean - half, high: mean + half, se, n: sums.len() as u32 })
    }

    /// The same for scores in `0..=1`. Where all clusters agree, which is no certainty, what
    /// [`of_scores`](Estimate::of_scores) says of the clusters' means.
    pub fn of_clustered_scores(scores: &[f64], clusters: &[u64]) -> Option<Self> {
        let e = Estimate::of_clustered(scores, clusters)?;
        if !varies(&e) {
            return Some(Estimate::of_scores(&cluster_means(scores, clusters)));
        }
        Some(Estimate { low: e.low.max(0.0), high: e.high.min(1.0), ..e })
    }

    /// As [`paired_test`](Estimate::paired_test), counting clusters.
    pub(crate) fn clustered_test(a: &[f64], b: &[f64], clusters: &[u64]) -> Option<(Self, f64)> {
        if a.len() != b.len() {
            return None;
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
        let e = Estimate::of_clustered(&differences, clusters)?;
        if !varies(&e) {
            return Estimate::paired_test(&cluster_means(a, clusters), &cluster_means(b, clusters));
        }
        let p = StudentsT::new(0.0, 1.0, f64::from(e.n - 1)).map_or(1.0, |t| 2.0 * t.cdf(-(e.mean / e.se).abs()));
        Some((Estimate { low: e.low.max(-1.0), high: e.high.min(1.0), ..e }, p.min(1.0)))
    }
}

impl Estimate {
    /// As [`paired_below`](Estimate::paired_below), counting clusters.
    pub(crate) fn clustered_below(a: &[f64], b: &[f64], clusters: &[u64], margin: f64) -> Option<(f64, f64)> {
        if a.len() != b.len() {
            return None;
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
        let e = Estimate::of_clustered(&differences, clusters)?;
        if !varies(&e) {
            return Estimate::paired_below(&cluster_means(a, clusters), &cluster_means(b, clusters), margin);
        }
        let p = StudentsT::new(0.0, 1.0, f64::from(e.n - 1)).map_or(1.0, |t| t.cdf((e.mean - margin) / e.se));
        Some((p, needed(e.se * f64::from(e.n).sqrt(), margin)))
    }
}

fn varies(e: &Estimate) -> bool {
    e.se.is_finite() && e.se > 0.0
}

fn cluster_means(values: &[f64], clusters: &[u64]) -> Vec<f64> {
    let mut means: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let (sum, count) = means.entry(*cluster).or_default();
        *sum += value;
        *count += 1.0;
    }
    means.into_values().map(|(sum, count)| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_count_and_not_their_members() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i / 4 % 2 == 0))).collect();
        let clusters: Vec<u64> = (0..40).map(|i| i / 4).collect();
        let clustered = Estimate::of_clustered(&values, &clusters).unwrap();
        let as_ten = Estimate::of_values(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!((clustered.n, clustered.mean), (10, 0.5));
        assert!((clustered.se - as_ten.se).abs() < 1e-12 && (clustered.low - as_ten.low).abs() < 1e-12);
        let alone: Vec<u64> = (0..40).collect();
        let alone = Estimate::of_clustered(&values, &alone).unwrap();
        assert!((alone.se - Estimate::of_values(&values).se).abs() < 1e-12);
        assert_eq!(Estimate::of_clustered(&values, &[1]), None);
        assert_eq!(Estimate::of_clustered(&values, &[7; 40]).unwrap().high, f64::INFINITY);
    }

    #[test]
    fn clusters_that_agree_are_no_certainty() {
        let clusters: Vec<u64> = (0..20).map(|i| i / 2).collect();
        let all = Estimate::of_clustered_scores(&[1.0; 20], &clusters).unwrap();
        assert_eq!((all, all.n), (Estimate::of_scores(&[1.0; 10]), 10));
        let (same, p) = Estimate::clustered_test(&[1.0; 20], &[1.0; 20], &clusters).unwrap();
        assert!(same.low < -0.1 && same.high > 0.1 && p > 0.99, "{same} {p}");
        let one = Estimate::of_clustered_scores(&[1.0; 20], &[3; 20]).unwrap();
        assert!(one.low < 0.3, "one document says little: {one}");
    }

    #[test]
    fn a_win_on_few_documents_is_less_of_a_win() {
        let a: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i < 30))).collect();
        let b: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i < 20))).collect();
        let clusters: Vec<u64> = (0..40).map(|i| i / 10).collect();
        let (_, plain) = Estimate::paired_test(&a, &b).unwrap();
        let (difference, clustered) = Estimate::clustered_test(&a, &b, &clusters).unwrap();
        assert!(plain < 0.01 && clustered > 0.2, "{plain} {clustered}");
        assert_eq!(difference.excludes_zero(), clustered < 0.05);
    }
}
