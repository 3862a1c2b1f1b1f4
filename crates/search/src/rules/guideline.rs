//! Guidelines in words, each sentence from what the archive shows and how surely.

use agenttts_core::{Guideline, PricedStage, Space};

use super::NAME;
use super::candidates::{alike, cost};
use super::elites;
use crate::ask::Ask;
use crate::surrogate::{Belief, Observation, Surrogate};
use crate::words;

/// Differences below this many standard deviations are called noise.
const CLEAR: f64 = 1.645;

/// A difference of scores that nobody would pay for.
const NEGLIGIBLE: f64 = 0.01;

/// What the insights that are switched on say of the trials so far; `None` when nothing was measured.
pub(crate) fn guideline(ask: &Ask<'_>, surrogate: &Surrogate) -> Option<Guideline> {
    let space = ask.space;
    let best = elites(space, surrogate).into_iter().next()?;
    let insights = ask.settings.insights;
    let mut sentences = vec![so_far(space, surrogate, &best)];
    for (s, stage) in space.stages().iter().enumerate() {
        if insights.models {
            sentences.extend(preference(stage, s, surrogate));
        }
        if insights.samples {
            sentences.extend(plateau(space, s, surrogate, &best));
        }
    }
    if insights.interplay {
        sentences.extend(interplay(space, surrogate, &best));
        sentences.push(split(space, &best));
    }
    sentences.extend(spread(surrogate));
    let round = ask.round().saturating_sub(1);
    Some(Guideline { round, author: NAME.to_owned(), text: sentences.join(" ") })
}

fn so_far(space: &Space, surrogate: &Surrogate, best: &[usize]) -> String {
    let belief = surrogate.belief(best);
    let n = examples(surrogate, best);
    format!("Best so far: {} (estimated {}, n={n}).", words::plan(space, &space.plan(best)), show(belief))
}

/// Insight 1: the two models of the stage whose best plans are best.
fn preference(stage: &PricedStage, s: usize, surrogate: &Surrogate) -> Option<String> {
    let mut of_models: Vec<(Belief, &[usize], usize)> = (0..stage.stage.models.len())
        .filter_map(|model| {
            let tried = surrogate.observations.iter().filter(|o| stage.options[o.options[s]].model == model);
            tried
                .map(|o| (surrogate.belief(&o.options), o.options.as_slice(), model))
                .max_by(|a, b| a.0.mean.total_cmp(&b.0.mean))
        })
        .collect();
    of_models.sort_by(|a, b| b.0.mean.total_cmp(&a.0.mean));
    let [(first, plan, model), (second, other, rival), ..] = of_models[..] else {
        return None;
    };
    let rank = |m: usize| stage.by_size.iter().position(|&x| x == m);
    let gap = surrogate.difference(plan, other);
    let advice = if gap.mean > CLEAR * gap.sd {
        format!("clearly ahead, prefer {}", stage.model_name(model))
    } else if stage.stage.samples.len() > 1 {
        let smaller = if rank(model) < rank(rival) { model } else { rival };
        format!("within noise, compare them further; {} leaves more for samples", stage.model_name(smaller))
    } else {
        "within noise, compare them further".to_owned()
    };
    Some(format!(
        "{}: {} reaches {} (n={}), {} {} (n={}): {advice}.",
        stage.stage.name,
        stage.model_name(model),
        show(first),
        examples(surrogate, plan),
        stage.model_name(rival),
        show(second),
        examples(surrogate, other),
    ))
}

/// Insight 2: where the estimated curve over samples of the best plan's choice peaks, and from where on it is flat.
fn plateau(space: &Space, s: usize, surrogate: &Surrogate, best: &[usize]) -> Option<String> {
    let stage = &space.stages()[s];
    let (peak, flat) = curve(space, s, surrogate, best)?;
    let count = |o: usize| stage.options[o].choice.samples;
    let model = stage.options[best[s]].model;
    let like = |o: &&Observation| stage.options[o.options[s]].model == model;
    let mut tried: Vec<u32> = surrogate.observations.iter().filter(like).map(|o| count(o.options[s])).collect();
    tried.sort_unstable();
    tried.dedup();
    let (name, model) = (&stage.stage.name, stage.model_name(model));
    if let [only] = tried[..] {
        let most = alike(stage, best[s], stage.options[best[s]].model).into_iter().map(count).max();
        let other = if Some(only) == most { "fewer" } else { "more" };
        return Some(format!("{name}: only {model} x{only} was tried so far, try {other} samples."));
    }
    let tried: Vec<String> = tried.iter().map(u32::to_string).collect();
    let mut text =
        format!("{name}: of {model} x{} were tried; the estimate is highest near x{}", tried.join(", x"), count(peak));
    if count(flat) < count(peak) {
        text.push_str(&format!(" and from x{} on within noise of that, so prefer the cheaper side", count(flat)));
    }
    text.push('.');
    Some(text)
}

/// The option with the highest estimate along the samples of a stage of the plan, and the one with the fewest samples
/// that is not clearly worse. `None` where there is only one count within the budget.
fn curve(space: &Space, s: usize, surrogate: &Surrogate, plan: &[usize]) -> Option<(usize, usize)> {
    let stage = &space.stages()[s];
    let at = |option: usize| {
        let mut p = plan.to_vec();
        p[s] = option;
        p
    };
    let points: Vec<usize> = alike(stage, plan[s], stage.options[plan[s]].model)
        .into_iter()
        .filter(|&o| cost(space, &at(o)) <= space.budget())
        .collect();
    if points.len() < 2 {
        return None;
    }
    let mean = |o: usize| surrogate.belief(&at(o)).mean;
    let peak = points.iter().copied().max_by(|&a, &b| mean(a).total_cmp(&mean(b)))?;
    let flat = points.into_iter().find(|&o| {
        let loss = surrogate.difference(&at(peak), &at(o));
        loss.mean < NEGLIGIBLE.max(0.5 * loss.sd)
    })?;
    Some((peak, flat.min(peak)))
}

/// Insight 3: whether another choice upstream moves the best number of samples downstream.
fn interplay(space: &Space, surrogate: &Surrogate, best: &[usize]) -> Vec<String> {
    let stages = space.stages();
    let mut sentences = Vec::new();
    for down in 1..stages.len() {
        let up = down - 1;
        let rival = surrogate
            .observations
            .iter()
            .filter(|o| stages[up].options[o.options[up]].model != stages[up].options[best[up]].model)
            .max_by(|a, b| surrogate.belief(&a.options).mean.total_cmp(&surrogate.belief(&b.options).mean));
        let Some(rival) = rival else { continue };
        let mut other = best.to_vec();
        other[up] = rival.options[up];
        let peaks = (curve(space, down, surrogate, best), curve(space, down, surrogate, &other));
        if let (Some((here, _)), Some((there, _))) = peaks {
            let name = |p: &[usize]| stages[up].options[p[up]].choice.model.clone();
            let count = |o: usize| stages[down].options[o].choice.samples;
            sentences.push(format!(
                "{}: best near x{} after {} at {}, near x{} after {}: re-tune it when {} changes.",
                stages[down].stage.name,
                count(here),
                name(best),
                stages[up].stage.name,
                count(there),
                name(&other),
                stages[up].stage.name,
            ));
        }
    }
    sentences
}

/// Insight 3: how the best plan divides the budget.
fn split(space: &Space, best: &[usize]) -> String {
    let model = space.cost_model();
    let parts: Vec<String> = best
        .iter()
        .zip(space.stages())
        .map(|(&o, s)| format!("{} {}", s.stage.name, model.display(s.options[o].cost)))
        .collect();
    let left = model.display(space.budget() - cost(space, best));
    format!(
        "Budget: the best plan spends {}, and {left} are left; try other splits, each stage first in turn.",
        parts.join(", ")
    )
}

/// Whether the scores differ by more than their noise.
fn spread(surrogate: &Surrogate) -> Option<String> {
    let n = surrogate.observations.len() as f64;
    if n < 4.0 {
        return None;
    }
    let mean = surrogate.observations.iter().map(|o| o.mean).sum::<f64>() / n;
    let variance = surrogate.observations.iter().map(|o| (o.mean - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let noise = surrogate.observations.iter().map(|o| o.noise).sum::<f64>() / n;
    (variance < 1.3 * noise)
        .then(|| "All scores so far differ by no more than noise: explore (crossover, mutation, random).".to_owned())
}

fn examples(surrogate: &Surrogate, plan: &[usize]) -> u32 {
    surrogate.observations.iter().find(|o| o.options == plan).map_or(0, |o| o.n)
}

fn show(belief: Belief) -> String {
    format!("{:.2} ± {:.2}", belief.mean, belief.sd)
}
