//! The plans that came next.

use agenttts_core::{Choice, Rival, Space};

use super::belief::of_normal;
use crate::surrogate::{Pool, Surrogate};

/// How many are told of.
const RIVALS: usize = 3;

/// The measured plans, those within the budget first, then by estimate.
pub(super) fn ranked(space: &Space, surrogate: &Surrogate) -> Vec<Vec<usize>> {
    let plans: Vec<Vec<usize>> = surrogate.observations.iter().map(|o| o.options.clone()).collect();
    let beliefs = Pool::new(surrogate, plans);
    let mut order: Vec<(bool, f64, &Vec<usize>)> =
        beliefs.plans.iter().enumerate().map(|(i, p)| (space.fits(p), beliefs.belief(i).mean, p)).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    order.into_iter().map(|(_, _, p)| p.clone()).collect()
}

/// The measured plans within the budget that come nearest to `won`.
pub(super) fn rivals(space: &Space, surrogate: &Surrogate, won: &[usize]) -> Vec<Rival> {
    let others = ranked(space, surrogate).into_iter().filter(|p| p != won && space.fits(p));
    let rival = |plan: Vec<usize>| {
        let own = surrogate.observations.iter().find(|o| o.options == plan)?;
        let stages = space.stages().iter().zip(won.iter().zip(&plan));
        let differs =
            stages.flat_map(|(s, (&w, &p))| differences(&s.stage.name, &s.options[w].choice, &s.options[p].choice));
        Some(Rival {
            trial: *own.trials.first()?,
            ahead: of_normal(surrogate.difference(won, &plan)),
            differs: differs.collect(),
            plan: space.plan(&plan),
        })
    };
    others.take(RIVALS).filter_map(rival).collect()
}

fn differences(stage: &str, won: &Choice, other: &Choice) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |what: &str, other: String, won: String| {
        if other != won {
            words.push(format!("{stage} {what} {other} instead of {won}"));
        }
    };
    say("model", other.model.clone(), won.model.clone());
    say("samples", other.samples.to_string(), won.samples.to_string());
    if other.samples > 1 && won.samples > 1 {
        say("aggregator", other.aggregator.to_string(), won.aggregator.to_string());
    }
    say("temperature", other.temperature.to_string(), won.temperature.to_string());
    words
}
