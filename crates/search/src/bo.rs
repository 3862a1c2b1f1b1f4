//! Bayesian optimisation with a Gaussian process and expected improvement (Jones, Schonlau and Welch 1998), the
//! baseline of the AgentTTS paper.
//!
//! The kernel is Matérn 5/2 over one coordinate per stage for the logarithm of the samples, and one-hot coordinates for
//! models, temperatures and aggregators, each with a length of its own. Lengths, variance and noise are fitted by their
//! marginal likelihood with weak priors, anew in every round.

mod process;

use std::collections::HashSet;

use agenttts_core::{Plan, Space};
use rand_chacha::ChaCha8Rng;
use statrs::function::erf::erfc;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, rng};
use crate::encoding::Encoding;
use crate::observed::{recommendation, within_budget};
use crate::opening::Opening;
use crate::random::nothing_left;
use crate::recommend::Recommendation;
use crate::tried::{Tried, pending, tried};
use process::{Candidates, Process};

/// Bayesian optimisation.
pub(crate) struct Bo;

pub(crate) const NAME: &str = "bo";

/// Measured plans from which on the process is used.
const STARTUP: usize = 10;

/// Spaces with at most this many feasible plans are searched whole.
const LISTED: u128 = 20_000;

/// Random candidates in a larger space.
const RANDOM: usize = 2000;

/// Good plans whose neighbours are candidates in a larger space.
const CENTRES: usize = 5;

/// Candidates whose price is asked for before the best is proposed whatever it costs.
const PRICED: usize = 500;

impl Searcher for Bo {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        let opening = Opening::of(ask, NAME, Use::Bo, STARTUP);
        let Opening { encoding, tried: seen, taken, mut purse, mut rng } = match opening {
            Ok(opening) => opening,
            Err(step) => return step,
        };
        let space = ask.space;
        let process = Process::fit(&encoding, &seen, &mut rng);
        let means: Vec<f64> = seen.iter().map(|t| process.belief(&t.options).mean).collect();
        let incumbent = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let plans = plans(space, &encoding, &seen, &means, &taken, &mut rng);
        let mut candidates = Candidates::new(&process, plans);
        for open in pending(space, ask.archive) {
            candidates.assume(&open);
        }
        let mut proposals = Vec::new();
        while proposals.len() < ask.room() && !candidates.plans.is_empty() {
            let improvement: Vec<(f64, f64)> = (0..candidates.plans.len())
                .map(|i| {
                    let belief = candidates.belief(i);
                    let z = (belief.mean - incumbent) / belief.sd.max(1e-12);
                    (expected_improvement(z) * belief.sd, z)
                })
                .collect();
            let mut order: Vec<usize> = (0..improvement.len()).collect();
            let better = |&a: &usize, &b: &usize| {
                let ((x, y), (v, w)) = (improvement[a], improvement[b]);
                v.total_cmp(&x).then(w.total_cmp(&y)).then(a.cmp(&b))
            };
            if purse.is_limited() {
                order.sort_by(better);
            } else {
                order = order.into_iter().min_by(better).into_iter().collect();
            }
            let pays = |&&i: &&usize| purse.pay(&space.plan(&candidates.plans[i]), None);
            let chosen = order.iter().take(PRICED).find(pays).copied();
            let Some(chosen) = chosen.or(order.first().copied().filter(|_| proposals.is_empty())) else {
                break;
            };
            let belief = candidates.belief(chosen);
            let reason = format!(
                "expected to improve on {incumbent:.3} by {:.4} (estimate {:.3} ± {:.3})",
                improvement[chosen].0, belief.mean, belief.sd
            );
            let options = candidates.take(chosen);
            proposals.push(Proposal::new(space.plan(&options), NAME, reason));
        }
        if proposals.is_empty() {
            return nothing_left(ask);
        }
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        let seen = tried(ask.space, ask.archive);
        if seen.is_empty() {
            return None;
        }
        let mut rng = rng(ask.settings.seed, ask.round(), Use::Bo);
        let process = Process::fit(&Encoding::of(ask.space), &seen, &mut rng);
        let judged = seen.iter().map(|t| (within_budget(ask, t), process.belief(&t.options), t));
        let (_, belief, best) = judged.max_by(|(fits, a, x), (fitting, b, y)| {
            fits.cmp(fitting).then(a.mean.total_cmp(&b.mean)).then(y.trial.cmp(&x.trial))
        })?;
        let why = format!("highest posterior mean ({:.3} ± {:.3}) of the measured plans", belief.mean, belief.sd);
        Some(recommendation(ask, best, belief.mean, belief.sd, why))
    }
}

/// The plans among which the next is chosen: all that were not proposed before; in a large space random ones, and
/// those that differ in one stage from the best.
fn plans(
    space: &Space,
    encoding: &Encoding,
    seen: &[Tried],
    means: &[f64],
    taken: &HashSet<Plan>,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let known: HashSet<Vec<usize>> = taken.iter().filter_map(|p| space.indices(p)).collect();
    if space.feasible() <= LISTED {
        return space.feasible_indices().filter(|o| !known.contains(o)).collect();
    }
    let drawn = encoding.plans(space, taken, RANDOM, rng);
    let mut all: Vec<Vec<usize>> = drawn.iter().filter_map(|p| space.indices(p)).collect();
    let mut found: HashSet<Vec<usize>> = all.iter().cloned().collect();
    let mut best: Vec<usize> = (0..seen.len()).collect();
    best.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
    for &centre in best.iter().take(CENTRES) {
        for (s, stage) in space.stages().iter().enumerate() {
            let mut options = seen[centre].options.clone();
            for o in 0..stage.options.len() {
                options[s] = o;
                if space.fits(&options) && !known.contains(&options) && found.insert(options.clone()) {
                    all.push(options.clone());
                }
            }
        }
    }
    all
}

/// The expected improvement of a standard normal variable shifted by `z`: `z Φ(z) + φ(z)`.
fn expected_improvement(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let below = 0.5 * erfc(-z / std::f64::consts::SQRT_2);
    (z * below + density).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::expected_improvement;

    #[test]
    fn expected_improvement_by_hand() {
        assert!((expected_improvement(0.0) - 0.398_942_28).abs() < 1e-7, "the density of the normal at 0");
        assert!((expected_improvement(1.0) - 1.083_315_47).abs() < 1e-7, "Φ(1) + φ(1)");
        assert!((expected_improvement(9.0) - 9.0).abs() < 1e-9, "sure to improve by that much");
        assert!(expected_improvement(-9.0) < 1e-15);
    }
}
