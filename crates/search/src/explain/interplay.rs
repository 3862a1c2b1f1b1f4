//! How the choice of an earlier stage moves what is best in a later one.

use std::collections::BTreeSet;

use agenttts_core::{Interplay, Part, Shift, Space};
use rand_chacha::ChaCha8Rng;

use super::belief::{of_draws, of_normal};
use super::curves::Line;
use super::design::{Design, option_near};
use super::importance::Shares;
use crate::surrogate::{Pool, Surrogate};

/// Counts that are compared for each model.
const COUNTS: usize = 16;

/// Every pair of stages, in running order.
pub(super) fn interplay(
    space: &Space,
    surrogate: &Surrogate,
    design: &Design,
    shares: &Shares,
    plan: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<Interplay> {
    let stages = space.stages();
    let mut all = Vec::new();
    for down in 1..stages.len() {
        for up in 0..down {
            let both = |f: &[usize; 2]| design.factors[f[0]].stage == up && design.factors[f[1]].stage == down;
            let pairs: Vec<_> = shares.details.iter().filter(|d| both(&d.factors)).collect();
            let draws = pairs.first().map_or(0, |p| p.shares.len());
            let share = of_draws((0..draws).map(|i| pairs.iter().map(|p| p.shares[i]).sum()).collect());
            let names = [&stages[up].stage.name, &stages[down].stage.name];
            let measurable = shares
                .pairs
                .iter()
                .any(|p| p.departure.is_measurable() && [&p.factors[0].stage, &p.factors[1].stage] == names);
            let models = [up, down].map(|s| design.factor(s, Part::Model));
            let departures = pairs.iter().find(|p| p.factors.map(Some) == models).map(|p| p.departures.clone());
            let kept = |f: Option<usize>| f.map_or(Vec::new(), |f| design.factors[f].words.clone());
            let shown = departures.is_some();
            let rows = stages[up].by_size.iter().filter_map(|&m| shift(space, surrogate, [up, down], m, plan, rng));
            all.push(Interplay {
                upstream: names[0].clone(),
                downstream: names[1].clone(),
                share,
                measurable,
                rows: rows.collect(),
                models: if shown { models.map(kept) } else { [Vec::new(), Vec::new()] },
                departures: departures.unwrap_or_default(),
            });
        }
    }
    all
}

/// What is best downstream when the stage upstream uses `model`; `None` where no count of it leaves room.
fn shift(
    space: &Space,
    surrogate: &Surrogate,
    [up, down]: [usize; 2],
    model: usize,
    plan: &[usize],
    rng: &mut ChaCha8Rng,
) -> Option<Shift> {
    let [upper, lower] = [up, down].map(|s| &space.stages()[s]);
    let (own, usual) = (&upper.options[plan[up]].choice, &lower.options[plan[down]].choice);
    // The recommended count, or the nearest at which anything downstream fits.
    let mut counts = upper.stage.samples.clone();
    counts.sort_by_key(|c| c.abs_diff(own.samples));
    let none = BTreeSet::new();
    let (samples, lines) = counts.into_iter().find_map(|count| {
        let mut moved = plan.to_vec();
        moved[up] = option_near(upper, model, count, own.aggregator, own.temperature)?;
        let line = |&m: &usize| (m, Line::new(space, &moved, down, m, COUNTS, &none));
        let lines: Vec<(usize, Line)> = lower.by_size.iter().map(line).collect();
        let fits = lines.iter().any(|(_, l)| l.plans.iter().any(|p| space.fits(p)));
        fits.then(|| (upper.options[moved[up]].choice.samples, lines))
    })?;
    let fitting: Vec<Vec<usize>> =
        lines.iter().flat_map(|(_, l)| &l.plans).filter(|p| space.fits(p)).cloned().collect();
    let beliefs = Pool::new(surrogate, fitting);
    let mean = |i: usize| beliefs.belief(i).mean;
    let best = (0..beliefs.plans.len()).rev().max_by(|&a, &b| mean(a).total_cmp(&mean(b)))?;
    let best = &beliefs.plans[best];
    let kept = lines.iter().find(|(m, _)| lower.model_name(*m) == usual.model).map(|(_, line)| line);
    let mut unmoved = best.clone();
    unmoved[down] = plan[down];
    let gain = (&unmoved != best && space.fits(&unmoved)).then(|| of_normal(surrogate.difference(best, &unmoved)));
    Some(Shift {
        model: upper.model_name(model).to_owned(),
        samples,
        best: lower.options[best[down]].choice.clone(),
        peak: kept.and_then(|line| line.peak(space, surrogate, rng)),
        gain,
    })
}
