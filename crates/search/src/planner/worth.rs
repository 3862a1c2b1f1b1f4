//! What a trial is worth: the knowledge gradient for correlated beliefs.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use crate::surrogate::Joint;

/// How much higher the highest mean of all plans is expected to be after plan `i` was measured once more with noise of
/// variance `noise` (Frazier, Powell and Dayanik 2009): every mean moves along a line whose slope is its covariance with
/// the plan, and the expectation is that of the upper envelope of these lines under a normal outcome.
pub(crate) fn gradient(joint: &Joint, i: usize, noise: f64) -> f64 {
    let n = joint.plans.len();
    let row = &joint.covariance[i * n..(i + 1) * n];
    let scale = (row[i].max(1e-12) + noise).sqrt();
    let mut lines: Vec<(f64, f64)> = joint.means.iter().zip(row).map(|(&mean, &c)| (c / scale, mean)).collect();
    let top = joint.means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let steepest = lines.iter().map(|l| l.0.abs()).fold(0.0, f64::max);
    // Lines that no outcome within five standard deviations brings to the top.
    lines.retain(|l| l.1 + 5.0 * (l.0.abs() + steepest) >= top);
    expected_rise(lines)
}

/// E[max over (slope, mean) of mean + slope Z] - max mean, for a standard normal Z.
fn expected_rise(mut lines: Vec<(f64, f64)>) -> f64 {
    lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    lines.dedup_by(|later, kept| later.0 == kept.0);
    // The upper envelope: slope, mean, and the outcome from which on the line is on top.
    let mut envelope: Vec<(f64, f64, f64)> = Vec::with_capacity(lines.len());
    for (slope, mean) in lines {
        let mut from = f64::NEG_INFINITY;
        while let Some(&(s, m, since)) = envelope.last() {
            from = (m - mean) / (slope - s);
            if from > since {
                break;
            }
            envelope.pop();
            from = f64::NEG_INFINITY;
        }
        envelope.push((slope, mean, from));
    }
    let normal = Normal::standard();
    let rise = |w: &[(f64, f64, f64)]| {
        let z = w[1].2.abs();
        (w[1].0 - w[0].0) * (normal.pdf(z) - z * normal.cdf(-z))
    };
    envelope.windows(2).map(rise).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_cannot_rise_and_two_do_as_by_hand() {
        assert_eq!(expected_rise(vec![(0.3, 0.5)]), 0.0);
        // max(Z, 0) has the mean 1 / sqrt(2 pi).
        assert!((expected_rise(vec![(0.0, 0.0), (1.0, 0.0)]) - 0.398_942_28).abs() < 1e-6);
        // A plan far below can hardly come to the top.
        assert!(expected_rise(vec![(0.0, 0.0), (1.0, -6.0)]) < 1e-8);
    }

    #[test]
    fn more_uncertainty_is_worth_more() {
        let rise = |sd: f64| expected_rise(vec![(0.0, 0.7), (sd, 0.6)]);
        assert!(rise(0.05) < rise(0.1) && rise(0.1) < rise(0.2));
    }
}
