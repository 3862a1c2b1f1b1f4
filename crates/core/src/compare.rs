//! Comparing two plans on the same examples: the difference, how surprising it would be if there were none, and how many
//! examples would tell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estimate::{Estimate, needed};

/// A paired comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The mean of `a - b` over the examples.
    pub difference: Estimate,
    /// The two-sided p-value of no difference. It agrees with the interval: below 0.05 where that leaves 0 out.
    pub p: f64,
    /// Examples (clusters, where there are any) with which a true difference of this size would be found four times in five (two-sided 5% test); `None`
    /// where the difference is 0 or nothing varies.
    pub examples_needed: Option<u64>,
}

/// What a comparison comes to. `a` is the plan that is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Significantly better.
    Better,
    /// Significantly worse.
    Worse,
    /// Neither; and worse by the margin or more can be excluded.
    NotWorse,
    /// Neither, and worse by the margin or more cannot be excluded.
    NotDistinguishable,
}

impl Comparison {
    /// Compares scores of the same examples in the same order, of which those with the same cluster are alike. `None` when
    /// there are none or the lengths differ.
    pub fn paired(a: &[f64], b: &[f64], clusters: Option<&[u64]>) -> Option<Self> {
        let tested = match clusters {
            Some(clusters) => Estimate::clustered_test(a, b, clusters),
            None => Estimate::paired_test(a, b),
        };
        let (difference, p) = tested.filter(|(d, _)| d.n > 0)?;
        Some(Comparison { difference, p, examples_needed: examples_needed(&difference) })
    }

    /// The finding with a non-inferiority margin, a loss of the score that does not matter, which must have been fixed
    /// before the scores were seen. `adjusted_p` is [`Comparison::p`], after [`holm`] where there were several
    /// comparisons. Not worse means that the two-sided 95% interval excludes a loss of the margin.
    pub fn finding(&self, adjusted_p: f64, margin: f64) -> Finding {
        match adjusted_p < 0.05 {
            true if self.difference.mean > 0.0 => Finding::Better,
            true => Finding::Worse,
            false if self.difference.low > -margin => Finding::NotWorse,
            false => Finding::NotDistinguishable,
        }
    }
}

/// Whether a plan can be told to be not worse than another by a margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotWorse {
    /// The one-sided p-value of its being worse by the margin or more. It agrees with the two-sided 95% interval: below
    /// [`NotWorse::LEVEL`] where that leaves the margin out.
    pub p: f64,
    /// Examples (clusters, where there are any) with which that would be shown four times in five if both were equally
    /// good; `None` with a margin of 0, which takes more than any.
    pub examples_needed: Option<u64>,
}

impl NotWorse {
    /// The level of the one-sided p-value.
    pub const LEVEL: f64 = 0.025;

    /// Of `b` beside `a` on the same examples in the same order. `None` when there are none or the lengths differ.
    pub fn of(b: &[f64], a: &[f64], clusters: Option<&[u64]>, margin: f64) -> Option<Self> {
        let (p, needed) = match clusters {
            Some(clusters) => Estimate::clustered_below(a, b, clusters, margin),
            None => Estimate::paired_below(a, b, margin),
        }?;
        let examples_needed = (1.0..1e15).contains(&needed).then_some(needed as u64);
        Some(NotWorse { p, examples_needed })
    }
}

/// Adjusts p-values of several comparisons so that the chance of any false finding stays below the level (Holm 1979): in
/// the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(p[i] * (p.len() - rank) as f64).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// (z(.975) + z(.8))² sd² / d².
fn examples_needed(difference: &Estimate) -> Option<u64> {
    let deviation = difference.se * f64::from(difference.n).sqrt();
    let needed = needed(deviation, difference.mean);
    (needed.is_finite() && deviation > 0.0).then(|| needed.max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scores(ones: usize, of: usize) -> Vec<f64> {
        (0..of).map(|i| f64::from(u8::from(i < ones))).collect()
    }

    #[test]
    fn a_difference_that_shows_and_one_that_does_not() {
        let clear = Comparison::paired(&scores(90, 100), &scores(60, 100), None).unwrap();
        assert_eq!(clear.finding(clear.p, 0.02), Finding::Better);
        assert!(clear.p < 1e-6 && clear.examples_needed.unwrap() < 40, "{clear:?}");
        let small = Comparison::paired(&scores(61, 100), &scores(60, 100), None).unwrap();
        assert_eq!(small.finding(small.p, 0.01), Finding::NotDistinguishable);
        assert_eq!(small.finding(small.p, 0.05), Finding::NotWorse);
        assert!(small.examples_needed.unwrap() > 500, "{small:?}");
    }

    #[test]
    fn a_powerless_comparison_excludes_nothing() {
        let few = Comparison::paired(&[1.0, 0.0, 1.0], &[1.0, 0.0, 1.0], None).unwrap();
        assert_eq!((few.examples_needed, few.finding(few.p, 0.1)), (None, Finding::NotDistinguishable));
        assert_eq!(Comparison::paired(&[], &[], None), None);
        assert_eq!(Comparison::paired(&[1.0], &[], None), None);
    }

    #[test]
    fn examples_needed_by_hand() {
        // 30 of 100 pairs differ, all one way: d = .3, sd² = .3 - .09 = .21 (times 100 / 99): 2.8016² x .2121 / .09 = 18.5.
        let clear = Comparison::paired(&scores(90, 100), &scores(60, 100), None).unwrap();
        assert_eq!(clear.examples_needed, Some(19));
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.6]);
        for (got, want) in adjusted.iter().zip([0.09, 0.04, 0.09, 0.6]) {
            assert!((got - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn a_cheaper_plan_is_not_worse_only_where_the_examples_can_tell() {
        let same = scores(24, 40);
        let few = NotWorse::of(&same, &same, None, 0.02).unwrap();
        // One of 42 pairs differs, as half an example each way: sd² = 1 / 42 = .0238, so 2.8016² x .0238 / .0004 = 467.2.
        assert!(few.p > 0.025 && few.examples_needed == Some(468), "{few:?}");
        let many: Vec<f64> = same.iter().cycle().take(3_000).copied().collect();
        assert!(NotWorse::of(&many, &many, None, 0.02).unwrap().p < 0.001);
        let worse: Vec<f64> = scores(21, 40).iter().cycle().take(3_000).copied().collect();
        assert!(NotWorse::of(&worse, &many, None, 0.02).unwrap().p > 0.9);
        assert_eq!(NotWorse::of(&same, &same, None, 0.0).unwrap().examples_needed, None);
        assert_eq!(NotWorse::of(&[], &[], None, 0.1), None);
    }

    proptest! {
        #[test]
        fn not_being_worse_agrees_with_the_interval(
            pairs in prop::collection::vec((any::<bool>(), any::<bool>()), 1..80), margin in 0.01..0.5f64, grouped: bool
        ) {
            let a: Vec<f64> = pairs.iter().map(|p| f64::from(u8::from(p.0))).collect();
            let b: Vec<f64> = pairs.iter().map(|p| f64::from(u8::from(p.1))).collect();
            let groups: Vec<u64> = (0..pairs.len() as u64).map(|i| i / 3).collect();
            let clusters = grouped.then_some(&groups[..]);
            let difference = Comparison::paired(&a, &b, clusters).unwrap().difference;
            let shown = NotWorse::of(&b, &a, clusters, margin).unwrap().p < NotWorse::LEVEL;
            // An interval is cut at what can be, and holds its mean.
            prop_assert!(difference.high < margin || !shown || difference.mean >= margin);
            prop_assert!(shown || difference.high >= margin - 1e-9);
        }

        #[test]
        fn holm_keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0..=1.0f64, 1..12)) {
            let adjusted = holm(&p);
            for i in 0..p.len() {
                prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
