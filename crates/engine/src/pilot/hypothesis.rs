//! Comparisons that wait for the others of their family, so that their number is paid for.

use agenttts_core::{Estimate, PilotTest};

use super::interval;
use super::permutation::holm;

/// The probability of one false alarm or more in a family of tests.
pub(super) const LEVEL: f64 = 0.05;

/// A comparison that was made.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    /// What is compared, in words.
    pub(super) what: String,
    /// The difference for every example, in `-reach..=reach`.
    pub(super) differences: Vec<f64>,
    /// 1 for a difference of scores, 2 for a difference of such differences.
    pub(super) reach: f64,
    /// Its p-value by itself.
    pub(super) p: f64,
    /// Whether it was asked of both sides: 1 or 2.
    pub(super) sides: f64,
}

impl Hypothesis {
    /// The difference with its interval.
    pub(super) fn estimate(&self) -> Estimate {
        let scaled: Vec<f64> = self.differences.iter().map(|d| d / self.reach).collect();
        let e = interval::of_differences(&scaled);
        let r = self.reach;
        Estimate { mean: e.mean * r, low: e.low * r, high: e.high * r, se: e.se * r, n: e.n }
    }
}

/// The tests of one family, corrected for their number by Holm's method.
pub(super) fn family(name: &str, all: &[Hypothesis], margin: f64) -> Vec<PilotTest> {
    let adjusted = holm(&all.iter().map(|h| h.p).collect::<Vec<_>>());
    let alpha = LEVEL / all.len().max(1) as f64;
    let test = |(h, adjusted): (&Hypothesis, f64)| {
        let shown = adjusted <= LEVEL;
        let scaled: Vec<f64> = h.differences.iter().map(|d| d / h.reach).collect();
        let needed = interval::needed(&scaled, margin / h.reach, alpha, h.sides);
        PilotTest {
            family: name.into(),
            what: h.what.clone(),
            difference: h.estimate(),
            p: h.p,
            adjusted,
            shown,
            needed: (!shown).then_some(needed),
        }
    };
    all.iter().zip(adjusted).map(test).collect()
}

/// `a - b` for every example.
pub(super) fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
