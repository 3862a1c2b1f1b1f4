//! Repair of plans that someone (usually a language model) proposed wrongly.

use crate::cost::Cost;
use crate::plan::{Choice, Plan};
use crate::request::Temperature;
use crate::space::{PricedStage, Space, StageOption, WantedChoice};
use crate::text::nearest;

/// See [`Space::repair`].
pub(crate) fn repair(space: &Space, wanted: &[WantedChoice]) -> (Plan, Vec<String>) {
    let mut notes = Vec::new();
    let mut options: Vec<usize> =
        space.stages().iter().enumerate().map(|(i, stage)| snap(stage, wanted.get(i), &mut notes)).collect();
    let before: Vec<usize> = options.clone();
    shrink_to_budget(space, &mut options);
    if !space.fits(&options) {
        options = nearest_listed(space, &options);
    }
    for (stage, (&old, &new)) in space.stages().iter().zip(before.iter().zip(&options)) {
        if old != new {
            let (old, new) = (&stage.options[old].choice, &stage.options[new].choice);
            notes.push(format!("{}: {old} is over the budget, {new} fits", stage.stage.name));
        }
    }
    (space.plan(&options), notes)
}

/// The option of the stage nearest to what was wanted.
fn snap(stage: &PricedStage, wanted: Option<&WantedChoice>, notes: &mut Vec<String>) -> usize {
    let name = &stage.stage.name;
    let Some(wanted) = wanted else {
        let model = *stage.by_size.last().unwrap_or(&0);
        notes.push(format!("{name}: no choice was given, took {} x1", stage.model_name(model)));
        return position(stage, stage.single(model));
    };
    let pool: Vec<&str> = stage.stage.models.iter().map(|m| m.name.as_str()).collect();
    let model = pool.iter().position(|m| *m == wanted.model).unwrap_or_else(|| {
        let near = nearest(&wanted.model, &pool).and_then(|n| pool.iter().position(|m| *m == n)).unwrap_or(0);
        notes.push(format!("{name}: there is no model {:?}, took {}", wanted.model, pool[near]));
        near
    });
    let temperature = wanted.temperature.map_or(stage.stage.temperatures[0], |t| {
        let near = nearest_temperature(&stage.stage.temperatures, t);
        if Temperature::new(t) != Some(near) {
            notes.push(format!("{name}: temperature {t} is not offered, took {near}"));
        }
        near
    });
    let aggregator = wanted.aggregator.filter(|a| stage.stage.aggregators.contains(a)).unwrap_or_else(|| {
        if let Some(a) = wanted.aggregator {
            notes.push(format!("{name}: aggregator {a} is not offered, took {}", stage.stage.aggregators[0]));
        }
        stage.stage.aggregators[0]
    });
    let fits = |o: &StageOption| {
        o.model == model
            && o.choice.temperature == temperature
            && (o.choice.aggregator == aggregator || o.choice.samples == 1)
    };
    let distance = |o: &StageOption| {
        if wanted.samples.is_finite() {
            (f64::from(o.choice.samples) - wanted.samples).abs()
        } else {
            f64::from(o.choice.samples)
        }
    };
    let found = (0..stage.options.len())
        .filter(|&i| fits(&stage.options[i]))
        .min_by(|&a, &b| distance(&stage.options[a]).total_cmp(&distance(&stage.options[b])));
    let found = found.unwrap_or_else(|| position(stage, stage.single(model)));
    let samples = stage.options[found].choice.samples;
    if f64::from(samples) != wanted.samples {
        notes.push(format!("{name}: {} samples are not offered, took {samples}", wanted.samples));
    }
    found
}

/// The feasible plan that differs in the fewest stages, and among these in the fewest models and then samples: in a
/// space whose plans are listed, stages that fit one by one need not fit together.
fn nearest_listed(space: &Space, wanted: &[usize]) -> Vec<usize> {
    let distance = |options: &Vec<usize>| {
        let each = options.iter().zip(wanted).zip(space.stages()).map(|((&a, &b), s)| {
            let (x, y) = (&s.options[a], &s.options[b]);
            (usize::from(a != b), usize::from(x.model != y.model), x.choice.samples.abs_diff(y.choice.samples))
        });
        each.fold((0, 0, 0), |t, d| (t.0 + d.0, t.1 + d.1, t.2 + d.2))
    };
    space.feasible_indices().min_by_key(distance).unwrap_or_else(|| wanted.to_vec())
}

fn nearest_temperature(offered: &[Temperature], wanted: f64) -> Temperature {
    let distance = |t: &Temperature| {
        if wanted.is_finite() { (t.get() - wanted).abs() } else { 0.0 }
    };
    offered.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(Temperature::GREEDY)
}

fn position(stage: &PricedStage, choice: Option<&Choice>) -> usize {
    choice.and_then(|c| stage.options.iter().position(|o| &o.choice == c)).unwrap_or(0)
}

/// Takes samples, then size, from the most expensive stage that can still become cheaper, until the plan fits. The
/// cheapest plan of a space always fits, so this ends.
fn shrink_to_budget(space: &Space, options: &mut [usize]) {
    let stages = space.stages();
    let cost = |options: &[usize]| -> Cost { options.iter().zip(stages).map(|(&o, s)| s.options[o].cost).sum() };
    while cost(options) > space.budget() && !space.fits(options) {
        let excess = cost(options) - space.budget();
        let mut by_cost: Vec<usize> = (0..stages.len()).collect();
        by_cost.sort_by_key(|&i| std::cmp::Reverse((stages[i].options[options[i]].cost, i)));
        let step = by_cost.iter().find_map(|&i| Some((i, cheaper(&stages[i], options[i], excess)?)));
        match step {
            Some((i, option)) => options[i] = option,
            None => return,
        }
    }
}

/// The option to step down to: the most samples of the same model that save `excess`; else its fewest samples; else
/// the next smaller model at the dearest that is still cheaper.
fn cheaper(stage: &PricedStage, from: usize, excess: Cost) -> Option<usize> {
    let now = &stage.options[from];
    let same =
        |o: &StageOption| o.model == now.model && o.choice.temperature == now.choice.temperature && o.cost < now.cost;
    let cheapest_same =
        (0..stage.options.len()).filter(|&i| same(&stage.options[i])).min_by_key(|&i| stage.options[i].cost);
    let enough = (0..stage.options.len())
        .filter(|&i| same(&stage.options[i]) && now.cost - stage.options[i].cost >= excess)
        .max_by_key(|&i| stage.options[i].cost);
    enough.or(cheapest_same).or_else(|| {
        let rank = stage.by_size.iter().position(|&m| m == now.model)?;
        (0..stage.options.len())
            .filter(|&i| {
                let o = &stage.options[i];
                o.cost < now.cost && stage.by_size[..rank].contains(&o.model)
            })
            .max_by_key(|&i| (stage.options[i].cost, std::cmp::Reverse(i)))
    })
}
