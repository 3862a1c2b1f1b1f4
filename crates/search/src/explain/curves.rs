//! Fitted scaling curves: the objective along the samples of one stage.

use std::collections::BTreeSet;

use agenttts_core::{Archive, Credible, FittedCurve, FittedPoint, Peak, Space};
use rand_chacha::ChaCha8Rng;

use super::DRAWS;
use super::belief::{WORTHWHILE, clearly_worthwhile, of_normal, quantile};
use super::design::{option_near, spaced};
use crate::surrogate::{Pool, Surrogate};

/// Counts at which a curve is drawn.
const COUNTS: usize = 24;

/// A curve for every stage and model, smallest first, the other stages as in `plan`.
pub(super) fn curves(
    space: &Space,
    archive: &Archive,
    surrogate: &Surrogate,
    plan: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<FittedCurve> {
    let mut curves = Vec::new();
    for (stage, priced) in space.stages().iter().enumerate() {
        for &model in &priced.by_size {
            let name = priced.model_name(model);
            let tried: BTreeSet<u32> = archive
                .measured()
                .filter_map(|(t, _)| t.plan.choices.get(stage).filter(|c| c.model == name).map(|c| c.samples))
                .collect();
            let line = Line::new(space, plan, stage, model, COUNTS, &tried);
            let beliefs = Pool::new(surrogate, line.plans.clone());
            let points = line
                .counts
                .iter()
                .zip(&line.plans)
                .enumerate()
                .map(|(i, (&samples, plan))| FittedPoint {
                    samples,
                    score: within_unit(of_normal(beliefs.belief(i))),
                    within_budget: space.fits(plan),
                })
                .collect();
            let mut curve = FittedCurve {
                stage: priced.stage.name.clone(),
                model: name.to_owned(),
                points,
                peak: line.peak(space, surrogate, rng),
                enough: None,
                falls: false,
                tried: tried.into_iter().collect(),
            };
            if let Some(peak) = curve.peak {
                let at = |samples: u32| line.counts.iter().position(|&c| c == samples).unwrap_or(0);
                let worse = |samples: u32| {
                    let difference = surrogate.difference(&line.plans[at(peak.samples)], &line.plans[at(samples)]);
                    clearly_worthwhile(difference)
                };
                let fitting = || curve.points.iter().filter(|p| p.within_budget).map(|p| p.samples);
                curve.enough = fitting().find(|&s| s >= peak.samples || !worse(s));
                curve.falls = fitting().next_back().is_some_and(|s| s > peak.samples && worse(s));
            }
            curves.push(curve);
        }
    }
    curves
}

/// The objective is a score from 0 to 1, which the surrogate does not know.
fn within_unit(score: Credible) -> Credible {
    let of = |x: f64| x.clamp(0.0, 1.0);
    Credible { mean: of(score.mean), low: of(score.low), high: of(score.high) }
}

/// A plan with other counts of one model in one stage.
pub(super) struct Line {
    pub(super) counts: Vec<u32>,
    pub(super) plans: Vec<Vec<usize>>,
}

impl Line {
    /// At most `most` counts, and those of `also` that the stage permits.
    pub(super) fn new(
        space: &Space,
        plan: &[usize],
        stage: usize,
        model: usize,
        most: usize,
        also: &BTreeSet<u32>,
    ) -> Self {
        let priced = &space.stages()[stage];
        let own = &priced.options[plan[stage]].choice;
        // One sample has no aggregator worth keeping.
        let usual = priced.stage.aggregators.first().copied().unwrap_or(own.aggregator);
        let aggregator = if own.samples > 1 { own.aggregator } else { usual };
        let mut wanted: BTreeSet<u32> = spaced(&priced.stage.samples, most).into_iter().collect();
        wanted.extend(also);
        wanted.insert(own.samples);
        let mut line = Line { counts: Vec::new(), plans: Vec::new() };
        for count in wanted {
            let Some(option) = option_near(priced, model, count, aggregator, own.temperature) else { continue };
            if priced.options[option].choice.samples == count {
                let mut changed = plan.to_vec();
                changed[stage] = option;
                line.counts.push(count);
                line.plans.push(changed);
            }
        }
        line
    }

    /// Where the objective is highest within the budget; `None` where nothing fits.
    pub(super) fn peak(&self, space: &Space, surrogate: &Surrogate, rng: &mut ChaCha8Rng) -> Option<Peak> {
        let fitting: Vec<usize> = (0..self.plans.len()).filter(|&i| space.fits(&self.plans[i])).collect();
        let plans: Vec<Vec<usize>> = fitting.iter().map(|&i| self.plans[i].clone()).collect();
        let beliefs = Pool::new(surrogate, plans.clone());
        // The fewest samples among equals.
        let highest =
            (0..plans.len()).rev().max_by(|&a, &b| beliefs.belief(a).mean.total_cmp(&beliefs.belief(b).mean))?;
        let (mut first, mut last): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for draw in surrogate.draws(&plans, DRAWS, rng) {
            let most = draw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let high: Vec<usize> = (0..draw.len()).filter(|&i| draw[i] >= most - WORTHWHILE).collect();
            first.extend(high.first().map(|&i| self.counts[fitting[i]]));
            last.extend(high.last().map(|&i| self.counts[fitting[i]]));
        }
        first.sort_unstable();
        last.sort_unstable();
        let samples = self.counts[fitting[highest]];
        if first.is_empty() {
            return Some(Peak { samples, low: samples, high: samples });
        }
        Some(Peak { samples, low: quantile(&first, 0.025).min(samples), high: quantile(&last, 0.975).max(samples) })
    }
}
