//! Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate and grouped, in the form of Watanabe's
//! tutorial (arXiv 2304.11127) and of Optuna's sampler.
//!
//! The tried plans are split into the better ones and the rest. Each side becomes a density: models, temperatures and
//! aggregators of all stages together are a mixture of kernels, one around each plan, and the prior; the samples of a
//! stage given its model are such a mixture over the plans that share the model. Candidates are drawn from the density
//! of the better plans, and the one that is most likely under it compared to the density of the rest is tried next.

use std::collections::HashSet;

use agenttts_core::{Plan, Space};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::ask::{Ask, Proposal, Searcher, Step};
use crate::draw::{Use, uniform_plans};
use crate::encoding::{Code, Encoding, draw, normalise};
use crate::observed::best_observed;
use crate::opening::Opening;
use crate::random::nothing_left;
use crate::recommend::Recommendation;
use crate::tried::pending;

/// The tree-structured Parzen estimator.
pub(crate) struct Tpe;

pub(crate) const NAME: &str = "tpe";

/// Measured plans from which on the densities are used.
const STARTUP: usize = 10;

/// The most plans that count as good.
const MOST_GOOD: usize = 25;

/// Candidates drawn for each proposal.
const CANDIDATES: usize = 24;

/// Bandwidth of the samples' kernel for one observation, as a share of the range.
const BANDWIDTH: f64 = 0.2;

impl Searcher for Tpe {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        let opening = Opening::of(ask, NAME, Use::Tpe, STARTUP);
        let Opening { encoding, tried: mut seen, mut taken, mut purse, mut rng } = match opening {
            Ok(opening) => opening,
            Err(step) => return step,
        };
        let space = ask.space;
        seen.sort_by(|a, b| b.mean.total_cmp(&a.mean).then(a.trial.cmp(&b.trial)));
        let good = seen.len().div_ceil(10).min(MOST_GOOD);
        let options: Vec<Vec<usize>> = seen.into_iter().map(|t| t.options).collect();
        let (good, bad) = options.split_at(good);
        let best = Parzen::new(&encoding, good);
        // Plans under way, and those of this round, count as poor, so that a round does not repeat itself.
        let mut bad = bad.to_vec();
        bad.extend(pending(space, ask.archive));
        let mut proposals: Vec<Proposal> = Vec::new();
        while proposals.len() < ask.room() {
            let rest = Parzen::new(&encoding, &bad);
            let drawn = candidates(space, &best, &taken, CANDIDATES, &mut rng);
            let mut ranked: Vec<(f64, Vec<usize>)> =
                drawn.into_iter().map(|c| (best.log(&c) - rest.log(&c), c)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let affordable = ranked.iter().position(|(_, c)| purse.pay(&space.plan(c), None));
            let refused = (proposals.is_empty() && !ranked.is_empty()).then_some(0);
            let Some(at) = affordable.or(refused) else {
                break;
            };
            let (ratio, options) = ranked.swap_remove(at);
            let plan = space.plan(&options);
            let ratio = ratio.exp();
            let reason = format!("{ratio:.2} times as likely among the {} best plans as among the others", good.len());
            taken.insert(plan.clone());
            bad.push(options);
            proposals.push(Proposal::new(plan, NAME, reason));
        }
        if proposals.is_empty() {
            return nothing_left(ask);
        }
        Step::Propose { guidelines: Vec::new(), proposals }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        best_observed(ask)
    }
}

/// Up to `count` distinct feasible plans that are not taken, drawn from the density; others where the density hardly
/// gives any. None only when no others are left.
fn candidates(
    space: &Space,
    density: &Parzen,
    taken: &HashSet<Plan>,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for _ in 0..count {
        let kernel = &density.kernels[rng.random_range(0..density.kernels.len())];
        let new = |o: &[usize]| !found.iter().any(|f| f == o) && !taken.contains(&space.plan(o));
        found.extend(draw(space, kernel, new, rng));
    }
    if found.is_empty() {
        let plans = uniform_plans(space, taken, count, rng);
        found.extend(plans.iter().filter_map(|p| space.indices(p)));
    }
    found
}

/// A mixture of kernels of equal weight: one around each observation, and the prior.
struct Parzen {
    /// For each kernel, the probability of each option of each stage.
    kernels: Vec<Vec<Vec<f64>>>,
}

impl Parzen {
    fn new(encoding: &Encoding, observations: &[Vec<usize>]) -> Self {
        let given = samples(encoding, observations);
        let centres = observations.iter().map(|o| Some(o.as_slice())).chain([None]);
        let kernels = centres.map(|c| kernel(encoding, &given, observations.len(), c)).collect();
        Parzen { kernels }
    }

    /// The logarithm of the density at a plan.
    fn log(&self, options: &[usize]) -> f64 {
        let joint = |k: &Vec<Vec<f64>>| options.iter().zip(k).map(|(&o, weights)| weights[o]).product::<f64>();
        let total: f64 = self.kernels.iter().map(joint).sum();
        (total / self.kernels.len() as f64).max(f64::MIN_POSITIVE).ln()
    }
}

/// The kernel around one of `count` observations, or the prior: each categorical parameter keeps its value but for a
/// share of the prior's weight; the samples given these follow `given`.
fn kernel(encoding: &Encoding, given: &[Vec<f64>], count: usize, centre: Option<&[usize]>) -> Vec<Vec<f64>> {
    let base = 1.0 / (count as f64 + 1.0);
    let share = |same: bool, choices: usize| (base + f64::from(u8::from(same))) / (1.0 + base * choices as f64);
    let stages = encoding.stages.iter().zip(given).enumerate().map(|(s, (stage, given))| {
        let mine = centre.map(|c| &stage.codes[c[s]]);
        let weigh = |(c, given): (&Code, &f64)| match mine {
            None => *given,
            Some(mine) => {
                share(c.model == mine.model, stage.choices[0])
                    * share(c.temperature == mine.temperature, stage.choices[1])
                    * share(c.aggregator == mine.aggregator, stage.choices[2])
                    * given
            }
        };
        let mut weights: Vec<f64> = stage.codes.iter().zip(given).map(weigh).collect();
        normalise(&mut weights);
        weights
    });
    stages.collect()
}

/// For each stage the probability of each option among those that differ from it in samples only: a mixture of the
/// prior and normal kernels around the logarithm of the samples of the observations among them.
fn samples(encoding: &Encoding, all: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let stages = encoding.stages.iter().enumerate().map(|(s, stage)| {
        let mut sums = vec![0.0; stage.codes.len()];
        for (group, &(low, high)) in stage.ranges.iter().enumerate() {
            let range = (high - low).max(1e-9);
            let seen: Vec<f64> =
                all.iter().map(|o| &stage.codes[o[s]]).filter(|c| c.group == group).map(|c| c.log).collect();
            let n = seen.len() as f64;
            let least = range / (2.0 + n).min(100.0);
            let sigma = (BANDWIDTH * n.max(1.0).powf(-0.2) * range).clamp(least, range);
            let members: Vec<usize> = (0..stage.codes.len()).filter(|&o| stage.codes[o].group == group).collect();
            let mut add = |near: &dyn Fn(f64) -> f64| {
                let mut weights: Vec<f64> =
                    members.iter().map(|&o| stage.codes[o].width * near(stage.codes[o].log)).collect();
                normalise(&mut weights);
                for (&o, w) in members.iter().zip(weights) {
                    sums[o] += w / (n + 1.0);
                }
            };
            add(&|_| 1.0);
            for centre in seen {
                add(&|log| (-0.5 * ((log - centre) / sigma).powi(2)).exp());
            }
        }
        sums
    });
    stages.collect()
}
