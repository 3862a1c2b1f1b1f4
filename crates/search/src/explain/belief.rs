//! From draws to intervals.

use agenttts_core::Credible;

use crate::surrogate::Belief;

/// Two-sided 95% quantile of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// One-sided 95% quantile.
const Z95_ONE_SIDED: f64 = 1.644_853_626_951_472_6;

/// The mean and the middle 95% of draws.
pub(super) fn of_draws(mut draws: Vec<f64>) -> Credible {
    if draws.is_empty() {
        return Credible::default();
    }
    draws.sort_by(f64::total_cmp);
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    Credible { mean, low: quantile(&draws, 0.025), high: quantile(&draws, 0.975) }
}

/// The same of a belief that is about normal.
pub(super) fn of_normal(belief: Belief) -> Credible {
    let Belief { mean, sd } = belief;
    Credible { mean, low: mean - Z95 * sd, high: mean + Z95 * sd }
}

/// What a difference of scores must exceed to be worth a sample. A smooth curve may be sure to rise by next to nothing.
pub(super) const WORTHWHILE: f64 = 0.01;

/// Whether a difference is worthwhile with 95%.
pub(super) fn clearly_worthwhile(difference: Belief) -> bool {
    difference.mean - WORTHWHILE > Z95_ONE_SIDED * difference.sd
}

/// The value below which the share `q` of the sorted values lies.
pub(super) fn quantile<T: Copy>(sorted: &[T], q: f64) -> T {
    let last = sorted.len() - 1;
    sorted[((last as f64 * q).round() as usize).min(last)]
}
