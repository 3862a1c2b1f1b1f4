//! What scores of a judge are worth, from the examples that have a label as well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estimate::Estimate;

/// A judge's scores held against labels, all in `0..=1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Examples with a label.
    pub labelled: u32,
    /// Examples with a judged score and no label.
    pub unlabelled: u32,
    /// The share of labelled examples at which judge and label are on the same side of one half.
    pub agreement: Estimate,
    /// Agreement beyond chance, both cut at one half (Cohen 1960): 1 is perfect, 0 is chance. `None` where chance alone
    /// agrees always.
    pub kappa: Option<f64>,
    /// Pearson's correlation of judge and label. `None` where either is always the same.
    pub correlation: Option<f64>,
    /// Judge minus label, paired: above 0 the judge is lenient.
    pub bias: Estimate,
    /// The mean of all judged scores, as if they were labels.
    pub judged: Estimate,
    /// The mean that labels would have over all examples: the labels there are, helped by the judge as far as it
    /// goes along with them. Prediction-powered inference with a tuned weight (Angelopoulos, Duchi and Zrnic 2023,
    /// arXiv 2311.01453, equations 3 and 9), with the interval of [`Estimate::of_scores`] in place of the normal one.
    pub corrected: Estimate,
    /// How much the judge counts in `corrected`, from 0 (useless) to 1.
    pub weight: f64,
}

impl Calibration {
    /// The fewest labelled examples that say anything.
    pub const LEAST: usize = 5;

    /// From the judged score of every example and the label of those that have one. `None` with fewer than
    /// [`Calibration::LEAST`] labels, or when the lengths differ.
    pub fn of(judged: &[f64], labels: &[Option<f64>]) -> Option<Self> {
        if judged.len() != labels.len() {
            return None;
        }
        let pairs: Vec<(f64, f64)> = judged.iter().zip(labels).filter_map(|(j, l)| Some((*j, (*l)?))).collect();
        if pairs.len() < Calibration::LEAST {
            return None;
        }
        let (by_judge, by_label): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let others: Vec<f64> = judged.iter().zip(labels).filter_map(|(j, l)| l.is_none().then_some(*j)).collect();
        let same: Vec<f64> = pairs.iter().map(|(j, l)| f64::from(u8::from((*j >= 0.5) == (*l >= 0.5)))).collect();
        let (corrected, weight) = corrected(&by_judge, &by_label, &others);
        Some(Calibration {
            labelled: pairs.len() as u32,
            unlabelled: others.len() as u32,
            agreement: Estimate::of_scores(&same),
            kappa: kappa(&pairs),
            correlation: correlation(&by_judge, &by_label),
            bias: Estimate::of_paired_difference(&by_judge, &by_label)?,
            judged: Estimate::of_scores(judged),
            corrected,
            weight,
        })
    }
}

fn kappa(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let share = |of: &dyn Fn(&(f64, f64)) -> bool| pairs.iter().filter(|p| of(p)).count() as f64 / n;
    let (judge, label) = (share(&|p| p.0 >= 0.5), share(&|p| p.1 >= 0.5));
    let chance = judge * label + (1.0 - judge) * (1.0 - label);
    (chance < 1.0).then(|| (share(&|p| (p.0 >= 0.5) == (p.1 >= 0.5)) - chance) / (1.0 - chance))
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (x, y) = (Estimate::of_values(a), Estimate::of_values(b));
    let together: f64 = a.iter().zip(b).map(|(a, b)| (a - x.mean) * (b - y.mean)).sum();
    let n = a.len() as f64;
    let apart = x.se * y.se * n * (n - 1.0);
    (apart > 0.0).then(|| (together / apart).clamp(-1.0, 1.0))
}

/// The labels' mean over all examples, and the judge's weight in it.
fn corrected(judge: &[f64], label: &[f64], others: &[f64]) -> (Estimate, f64) {
    if others.is_empty() {
        return (Estimate::of_scores(label), 0.0);
    }
    let (n, m) = (label.len() as f64, others.len() as f64);
    let (all, labelled) = (Estimate::of_values(label), Estimate::of_values(judge));
    let covariance =
        judge.iter().zip(label).map(|(j, l)| (j - labelled.mean) * (l - all.mean)).sum::<f64>() / (n - 1.0);
    let everybody: Vec<f64> = judge.iter().chain(others).copied().collect();
    let spread = variance(&everybody) * (1.0 + n / m);
    let weight = if spread > 0.0 { (covariance / spread).clamp(0.0, 1.0) } else { 0.0 };
    let rest: Vec<f64> = judge.iter().zip(label).map(|(j, l)| l - weight * j).collect();
    let rest = Estimate::of_values(&rest);
    let unlabelled = Estimate::of_values(others);
    let mean = (rest.mean + weight * unlabelled.mean).clamp(0.0, 1.0);
    let from_judge = if others.len() > 1 { unlabelled.se } else { variance(&everybody).sqrt() };
    let se = (rest.se.powi(2) + (weight * from_judge).powi(2)).sqrt();
    // The labels' own interval, which is right for proportions near the ends too, as much narrower as the judge makes the
    // error smaller. Labels and judge that always agree are no certainty: then the interval is the labels'.
    let alone = Estimate::of_scores(label);
    let ratio = if rest.se == 0.0 { 1.0 } else { se / all.se };
    let low = (mean - (alone.mean - alone.low) * ratio).max(0.0);
    let high = (mean + (alone.high - alone.mean) * ratio).min(1.0);
    (Estimate { mean, low, high, se, n: label.len() as u32 }, weight)
}

fn variance(values: &[f64]) -> f64 {
    let e = Estimate::of_values(values);
    if e.n > 1 { e.se * e.se * f64::from(e.n) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Examples with a true score; a judge that is right `right` of the time and otherwise lenient.
    fn world(rng: &mut ChaCha8Rng, n: usize, share: f64, right: f64) -> (Vec<f64>, Vec<f64>) {
        let truth: Vec<f64> = (0..n).map(|_| f64::from(u8::from(rng.random::<f64>() < share))).collect();
        let judged = truth.iter().map(|t| if rng.random::<f64>() < right { *t } else { 1.0 }).collect();
        (judged, truth)
    }

    fn first(n: usize, truth: &[f64]) -> Vec<Option<f64>> {
        truth.iter().enumerate().map(|(i, t)| (i < n).then_some(*t)).collect()
    }

    #[test]
    fn a_lenient_judge_by_hand() {
        // Of ten labelled answers five are right; the judge passes these and two of the wrong ones.
        let truth = [1., 1., 1., 1., 1., 0., 0., 0., 0., 0.];
        let judged = [1., 1., 1., 1., 1., 1., 1., 0., 0., 0.];
        let c = Calibration::of(&judged, &first(10, &truth)).unwrap();
        assert!((c.agreement.mean - 0.8).abs() < 1e-12 && (c.bias.mean - 0.2).abs() < 1e-12);
        // Chance: .7 * .5 + .3 * .5 = .5, so (.8 - .5) / .5.
        assert!((c.kappa.unwrap() - 0.6).abs() < 1e-12);
        // Sums of products about the means: 1.5, 2.1 and 2.5, so 1.5 / sqrt(2.1 * 2.5).
        assert!((c.correlation.unwrap() - 0.654_653_67).abs() < 1e-6);
        assert_eq!(c.corrected.mean, 0.5, "with all labels there the judge adds nothing");
    }

    #[test]
    fn the_correction_takes_the_bias_out_and_keeps_its_coverage() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (share, runs) = (0.5, 600);
        let (mut held, mut naive, mut width, mut alone) = (0, 0, 0.0, 0.0);
        for _ in 0..runs {
            let (judged, truth) = world(&mut rng, 240, share, 0.8);
            let c = Calibration::of(&judged, &first(60, &truth)).unwrap();
            let labels = Estimate::of_scores(&truth[..60]);
            held += u32::from(c.corrected.low <= share && share <= c.corrected.high);
            naive += u32::from(c.judged.low <= share && share <= c.judged.high);
            width += c.corrected.high - c.corrected.low;
            alone += labels.high - labels.low;
        }
        assert!(f64::from(held) / f64::from(runs) > 0.92, "{held} of {runs}");
        assert!(naive < runs / 4, "a judge's own interval misses the truth: {naive}");
        assert!(width < 0.85 * alone, "the judge is worth labels: {width} against {alone}");
    }

    #[test]
    fn near_the_ends_the_coverage_holds_and_agreeing_labels_are_no_certainty() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (share, runs) = (0.92, 600);
        let mut held = 0;
        for _ in 0..runs {
            let (judged, truth) = world(&mut rng, 120, share, 0.8);
            let c = Calibration::of(&judged, &first(30, &truth)).unwrap();
            held += u32::from(c.corrected.low <= share && share <= c.corrected.high);
        }
        assert!(f64::from(held) / f64::from(runs) > 0.92, "{held} of {runs}");
        let judged: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 10 != 0))).collect();
        let c = Calibration::of(&judged, &first(30, &[1.0; 100])).unwrap();
        let alone = Estimate::of_scores(&[1.0; 30]);
        assert_eq!((c.corrected.low, c.corrected.high), (alone.low, alone.high));
    }

    #[test]
    fn a_judge_by_coin_is_given_no_weight() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let truth: Vec<f64> = (0..400).map(|_| f64::from(rng.random_range(0..2u8))).collect();
        let judged: Vec<f64> = (0..400).map(|_| f64::from(rng.random_range(0..2u8))).collect();
        let c = Calibration::of(&judged, &first(200, &truth)).unwrap();
        assert!(c.weight < 0.15 && c.kappa.unwrap().abs() < 0.2, "{c:?}");
    }

    #[test]
    fn few_labels_say_nothing() {
        assert_eq!(Calibration::of(&[1.0; 9], &first(4, &[1.0; 9])), None);
        assert_eq!(Calibration::of(&[1.0; 9], &[]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_judged_the_ends_are_in_order(
            examples in prop::collection::vec((0.0..=1.0f64, prop::option::of(0.0..=1.0f64)), 0..60),
        ) {
            let (judged, labels): (Vec<f64>, Vec<Option<f64>>) = examples.into_iter().unzip();
            if let Some(c) = Calibration::of(&judged, &labels) {
                prop_assert!(0.0 <= c.corrected.low && c.corrected.low <= c.corrected.mean);
                prop_assert!(c.corrected.mean <= c.corrected.high && c.corrected.high <= 1.0);
                prop_assert!((0.0..=1.0).contains(&c.weight) && c.corrected.se.is_finite());
            }
        }
    }
}
