//! Joint draws: what the true scores of many plans may be together.

use std::collections::HashMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::cholesky::{Cholesky, dot};
use super::{Fit, Joint, MEAN_VARIANCE, Surrogate};

impl Surrogate {
    /// `count` draws of the true scores of `plans` from the belief: each kernel gives as many as its weight is worth.
    /// Differences within a draw are as uncertain as the trials leave them. Takes time cubic in the number of plans.
    pub(crate) fn draws(&self, plans: &[Vec<usize>], count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
        // The same plan twice has one true score.
        let mut distinct: Vec<&[usize]> = Vec::new();
        let mut places: HashMap<&[usize], usize> = HashMap::new();
        let at: Vec<usize> = plans
            .iter()
            .map(|plan| {
                *places.entry(plan).or_insert_with(|| {
                    distinct.push(plan);
                    distinct.len() - 1
                })
            })
            .collect();
        let mut draws = Vec::with_capacity(count);
        let mut due = 0.0;
        for fit in &self.fits {
            due += fit.weight * count as f64;
            let wanted = (due.round() as usize).min(count).saturating_sub(draws.len());
            if wanted == 0 {
                continue;
            }
            let (means, factor) = self.under(fit, &distinct);
            for _ in 0..wanted {
                let normals: Vec<f64> = distinct.iter().map(|_| normal(rng)).collect();
                let values: Vec<f64> = factor.times(&normals).iter().zip(&means).map(|(d, m)| m + d).collect();
                draws.push(at.iter().map(|&i| values[i]).collect());
            }
        }
        draws
    }

    /// Under one kernel the means of the plans' true scores, and a factor of their covariance.
    fn under(&self, fit: &Fit, plans: &[&[usize]]) -> (Vec<f64>, Cholesky) {
        let projections: Vec<Vec<f64>> = plans.iter().map(|p| self.project(fit, p)).collect();
        let means = projections.iter().map(|v| self.centre + dot(v, &fit.scores)).collect();
        let mut factor = Cholesky::default();
        for (i, (plan, mine)) in plans.iter().zip(&projections).enumerate() {
            let with = |(other, theirs): (&&[usize], &Vec<f64>)| {
                MEAN_VARIANCE + fit.kernel.covariance(plan, other) - dot(mine, theirs)
            };
            let row: Vec<f64> = plans[..i].iter().zip(&projections).map(with).collect();
            factor.push(&row, with((plan, mine)));
        }
        (means, factor)
    }
}

impl Joint {
    /// What the true scores of the plans may be together: one draw. Takes time cubic in the number of plans.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let n = self.plans.len();
        let mut factor = Cholesky::default();
        for i in 0..n {
            factor.push(&self.covariance[i * n..i * n + i], self.covariance[i * n + i]);
        }
        let normals: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
        factor.times(&normals).iter().zip(&self.means).map(|(d, mean)| mean + d).collect()
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
