//! The loop as the released code of AgentTTS runs it, with its faults, so that what each of them costs can be seen.
//!
//! A plan that costs more than the budget is dropped, others move to the nearest row of the table of plans, and those
//! that would move too far are dropped as well. The first guideline knows all insights, whichever are switched off.
//! Trials that scored 0 vanish, the others count with the best of their scores, and the best score wins.

use agenttts_core::{Archive, Guideline, PricedStage, Purpose, Space, Trial, TrialState};

use super::prompt::{self, Lens, View};
use super::reply::{self, Wanted};
use super::talk::{Settled, settle};
use super::unaided::nothing_new;
use super::{NAME, room, schema};
use crate::ask::{Ask, InitialRule, Proposal, Searcher, Settings, Step};
use crate::initial::opening;
use crate::recommend::Recommendation;

/// See the module.
pub(super) struct Released;

/// How far a plan may move, in samples of the stage's largest model.
const FARTHEST: f64 = 5.0;

impl Searcher for Released {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        let settings = Settings { initial: InitialRule::Released, ..ask.settings.clone() };
        let mut ask = *ask;
        ask.settings = &settings;
        if let Some(step) = opening(&ask, NAME).or_else(|| nothing_new(&ask)) {
            return step;
        }
        let remembered = remembered(ask.archive);
        let round = ask.round();
        let seen = Ask { archive: &remembered, ..ask };
        let settled = settle(
            &ask,
            Purpose::Summarise,
            || prompt::summarise(&seen, Lens::Leaking(settings.insights), View::All),
            || schema::guidelines(ask.space),
            reply::guideline,
        );
        let guideline = match settled {
            Settled::Open(question) => return question,
            Settled::Answered(text) => {
                Some(Guideline { round: round.saturating_sub(1), author: NAME.to_owned(), text })
            }
            Settled::GivenUp(_) => None,
        };
        let room = room(&ask);
        let usable = |text: &str, _| {
            let wanted = reply::released_plans(ask.space, text, room)?;
            let proposals: Vec<Proposal> = wanted.iter().filter_map(|w| snapped(ask.space, w)).collect();
            if proposals.is_empty() { Err("no plan is within the budget".to_owned()) } else { Ok(proposals) }
        };
        let settled = settle(
            &ask,
            Purpose::Propose,
            || prompt::propose(&seen, guideline.as_ref(), View::All, room),
            || schema::plans(ask.space, room),
            usable,
        );
        match settled {
            Settled::Open(question) => question,
            Settled::Answered(proposals) => Step::Propose { guidelines: guideline.into_iter().collect(), proposals },
            Settled::GivenUp(error) => Step::Finished(format!("the agent proposed nothing that can be tried: {error}")),
        }
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        luckiest(ask.space, ask.archive)
    }
}

/// The plan of the trial with the best score, however lucky it was; `None` when nothing was measured.
fn luckiest(space: &Space, archive: &Archive) -> Option<Recommendation> {
    let (trial, m) = archive.measured().filter(|(t, _)| space.is_feasible(&t.plan)).max_by(|(a, x), (b, y)| {
        let by_score = x.objective.mean.total_cmp(&y.objective.mean);
        by_score.then(b.nominal_cost.cmp(&a.nominal_cost)).then(b.number.cmp(&a.number))
    })?;
    Some(Recommendation {
        trial: trial.number,
        plan: trial.plan.clone(),
        mean: m.objective.mean,
        sd: m.objective.se,
        cost: space.cost_model().units(trial.nominal_cost),
        within_budget: true,
        why: format!("the best score of all trials ({:.3})", m.objective.mean),
    })
}

/// The archive as it is fed back: no trials that scored 0, and every trial of a plan with the best of the plan's scores.
fn remembered(archive: &Archive) -> Archive {
    let score = |t: &Trial| t.measurement().map_or(0.0, |m| m.objective.mean);
    let best = |t: &Trial| archive.trials.iter().filter(|o| o.plan == t.plan).map(score).fold(0.0, f64::max);
    let keep = |t: &&Trial| t.measurement().is_none_or(|m| m.objective.mean > 0.0);
    let flattered = |t: &Trial| {
        let mut flattered = t.clone();
        if let TrialState::Measured(m) = &mut flattered.state {
            m.objective.mean = best(t);
        }
        flattered
    };
    let trials = archive.trials.iter().filter(keep).map(flattered).collect();
    Archive { trials, ..archive.clone() }
}

/// The row of the table within the budget that has the models of the wanted plan and samples nearest to its. `None` where
/// the plan itself is over the budget, a model is unknown, or no row is near.
///
/// Distances are counted in samples of the stage's largest model as the released code converts them: one of these is
/// worth `4 · largest / size − 3` of a smaller model. So a 3B model beside a 70B one may move by 450 samples.
fn snapped(space: &Space, wanted: &Wanted) -> Option<Proposal> {
    let exact: Option<Vec<usize>> = space.stages().iter().zip(&wanted.choices).map(|(s, c)| row(s, c)).collect();
    if exact.as_deref().and_then(|options| space.cost(options)).is_some_and(|cost| cost > space.budget()) {
        return None;
    }
    let targets: Option<Vec<(usize, f64, f64)>> = space
        .stages()
        .iter()
        .zip(&wanted.choices)
        .map(|(s, c)| {
            let model = s.stage.models.iter().position(|m| m.name == c.model)?;
            Some((model, c.samples, exchange_rate(s, model)))
        })
        .collect();
    let targets = targets?;
    let distance = |options: &[usize]| -> Option<f64> {
        let each = options.iter().zip(space.stages()).zip(&targets).map(|((&o, s), &(model, samples, rate))| {
            let option = &s.options[o];
            (option.model == model).then(|| (f64::from(option.choice.samples) - samples).abs() / rate)
        });
        each.sum()
    };
    let rows = space.feasible_indices().filter_map(|options| Some((distance(&options)?, options)));
    let (moved, options) = rows.min_by(|a, b| a.0.total_cmp(&b.0))?;
    if moved > FARTHEST {
        return None;
    }
    let mut proposal = Proposal::new(space.plan(&options), NAME, "proposed by the agent");
    for ((&o, stage), choice) in options.iter().zip(space.stages()).zip(&wanted.choices) {
        let samples = stage.options[o].choice.samples;
        if f64::from(samples) != choice.samples {
            let moved = format!("{}: {} samples moved to the nearest row, {samples}", stage.stage.name, choice.samples);
            proposal.origin.repairs.push(moved);
        }
    }
    Some(proposal)
}

/// The option that is exactly what was wanted, with the stage's defaults for what was left open.
fn row(stage: &PricedStage, wanted: &agenttts_core::WantedChoice) -> Option<usize> {
    stage.options.iter().position(|o| {
        o.choice.model == wanted.model
            && f64::from(o.choice.samples) == wanted.samples
            && (o.choice.samples == 1 || wanted.aggregator.is_none_or(|a| a == o.choice.aggregator))
            && wanted.temperature.is_none_or(|t| t == o.choice.temperature.get())
    })
}

/// Samples of a model that the released code holds to be worth one of the stage's largest.
fn exchange_rate(stage: &PricedStage, model: usize) -> f64 {
    let Some(&largest) = stage.by_size.last() else { return 1.0 };
    let size = |m: usize| stage.stage.models[m].params.map(|p| p as f64);
    let ratio = size(largest).zip(size(model)).map_or(1.0, |(large, small)| large / small.max(1.0));
    (4.0 * ratio - 3.0).max(1.0)
}
