//! What is drawn of a study: never more points than a plot can show.

use std::collections::HashMap;

use agenttts_core::{Estimate, Explanation, Guideline, Plan, ScalingCurve};
use agenttts_engine::{Fate, MOST_EXPLAINED, PlanLine, Said, TrialIndex, TrialLine};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::query::{Path, Query};
use super::view::DashboardState;

/// Points of a plot at the most.
const MOST: usize = 1_200;

/// Columns and rows of the raster on which plans that lie together are drawn as one.
const RASTER: (usize, usize) = (40, 30);

/// Rounds of a page of the timeline.
const ROUNDS: usize = 50;

/// How a search went.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Progress {
    /// Whether all trials are in it; if not, ask again.
    complete: bool,
    /// Trials measured.
    measured: usize,
    /// Some or all measured trials, by number.
    trials: Vec<TrialPoint>,
    /// The plan that led, from a trial on.
    leads: Vec<LeadPoint>,
}

#[derive(Serialize, JsonSchema)]
struct TrialPoint {
    trial: u32,
    round: u32,
    mean: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize, JsonSchema)]
struct LeadPoint {
    since: u32,
    /// The plan's first trial.
    trial: u32,
    mean: f64,
    low: f64,
    high: f64,
    cost: f64,
}

pub(super) async fn progress(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
) -> Result<Json<Progress>, Fault> {
    Ok(Json(state.look(study, |view| Ok(view.index(progress_of)?)).await?))
}

fn progress_of(index: &TrialIndex) -> Progress {
    let measured: Vec<&TrialLine> = index.lines.iter().filter(|l| l.fate == Fate::Measured).collect();
    let point = |line: &TrialLine| {
        let Estimate { mean, low, high, .. } = line.objective;
        TrialPoint { trial: line.number, round: line.round, mean, low, high }
    };
    let leads = thinned(&index.leads, MOST).into_iter().map(|lead| {
        let Estimate { mean, low, high, .. } = lead.objective;
        let trial = index.plans[lead.plan as usize].trials.first().copied().unwrap_or(0);
        LeadPoint { since: lead.since, trial, mean, low, high, cost: lead.cost }
    });
    Progress {
        complete: index.is_complete,
        measured: measured.len(),
        leads: leads.collect(),
        trials: thinned(&measured, MOST).into_iter().map(point).collect(),
    }
}

/// Plans by cost and quality.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Plans {
    /// Whether all is in it; if not, ask again.
    complete: bool,
    /// Measured plans.
    measured: usize,
    /// The plans that no other beats in both, cheapest first.
    front: Vec<PlanPoint>,
    /// Whether the front goes by what is believed of the plans, or by their own means.
    is_believed: bool,
    /// Other plans: all, or one for each place of a raster.
    others: Vec<PlanPoint>,
    /// The first trial of the recommended plan, or of the leading one before the end.
    chosen: Option<u32>,
    /// Whether that plan is recommended.
    is_recommended: bool,
}

#[derive(Serialize, JsonSchema)]
struct PlanPoint {
    /// Its first trial.
    trial: u32,
    plan: Plan,
    objective: Estimate,
    cost: Estimate,
    /// Plans that are drawn as this one.
    stands_for: usize,
}

pub(super) async fn plans(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
) -> Result<Json<Plans>, Fault> {
    let plans = state.look(study, |view| {
        let said = view.summary(None)?;
        let (front, recommended) = match &said {
            Said::Summary(summary) => (Some(summary.pareto.clone()), summary.recommended.clone()),
            Said::Soon | Said::TooMuch => (None, view.outline()?.0.recommended),
        };
        Ok(view.index(|index| {
            let mut plans = plans_of(index, front, recommended.as_ref().map(|r| r.trial));
            plans.is_recommended = recommended.is_some();
            plans.complete = index.is_complete && !matches!(said, Said::Soon);
            plans
        })?)
    });
    Ok(Json(plans.await?))
}

fn plans_of(index: &TrialIndex, believed: Option<Vec<u32>>, chosen: Option<u32>) -> Plans {
    let measured: Vec<&PlanLine> = index.measured().collect();
    let first = |plan: &PlanLine| plan.first_trial().unwrap_or(0);
    let leading = || index.leads.last().map(|lead| first(&index.plans[lead.plan as usize]));
    // A plan may be recommended by a later one of its trials.
    let chosen =
        chosen.and_then(|n| measured.iter().find(|p| p.trials.contains(&n))).map(|p| first(p)).or_else(leading);
    let is_believed = believed.is_some();
    let front: Vec<&PlanLine> = match believed {
        Some(trials) => index.plans_of(&trials),
        None => index.front(),
    };
    let point = |plan: &PlanLine, stands_for| PlanPoint {
        trial: first(plan),
        plan: plan.plan.clone(),
        objective: plan.objective,
        cost: plan.cost,
        stands_for,
    };
    let is_special = |plan: &PlanLine| chosen == Some(first(plan)) || front.iter().any(|f| first(f) == first(plan));
    let rest: Vec<&PlanLine> = measured.iter().copied().filter(|p| !is_special(p)).collect();
    let mut others: Vec<PlanPoint> =
        if rest.len() <= MOST { rest.iter().map(|p| point(p, 1)).collect() } else { rastered(&rest, &point) };
    // The chosen plan is drawn in any case.
    let lone = measured.iter().filter(|p| chosen == Some(first(p)) && !front.iter().any(|f| first(f) == first(p)));
    others.extend(lone.map(|p| point(p, 1)));
    Plans {
        complete: index.is_complete,
        measured: measured.len(),
        front: front.iter().map(|p| point(p, 1)).collect(),
        is_believed,
        others,
        chosen,
        is_recommended: false,
    }
}

/// One plan, the first, for each place of a raster over cost (logarithmic) and quality.
fn rastered(plans: &[&PlanLine], point: &dyn Fn(&PlanLine, usize) -> PlanPoint) -> Vec<PlanPoint> {
    let at = |p: &PlanLine| (p.cost.mean.max(f64::MIN_POSITIVE).ln(), p.objective.mean);
    let range = |of: &dyn Fn((f64, f64)) -> f64| {
        let all = plans.iter().map(|p| of(at(p)));
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let place = |x: f64, (low, high): (f64, f64), cells: usize| {
        let share = if high > low { (x - low) / (high - low) } else { 0.0 };
        ((share * cells as f64) as usize).min(cells - 1)
    };
    let (costs, scores) = (range(&|p| p.0), range(&|p| p.1));
    let mut cells: HashMap<(usize, usize), (&PlanLine, usize)> = HashMap::new();
    for &plan in plans {
        let (cost, score) = at(plan);
        let cell = (place(cost, costs, RASTER.0), place(score, scores, RASTER.1));
        cells.entry(cell).or_insert((plan, 0)).1 += 1;
    }
    let mut drawn: Vec<PlanPoint> = cells.into_values().map(|(plan, count)| point(plan, count)).collect();
    drawn.sort_by_key(|p| p.trial);
    drawn
}

/// What the trials tell of stages: scaling, preference, interplay.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Insights {
    /// Whether they are worked out; if not, ask again.
    complete: bool,
    /// Why there is nothing, where there is nothing.
    missing: Option<String>,
    curves: Vec<ScalingCurve>,
    explanation: Option<Explanation>,
}

pub(super) async fn insights(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
) -> Result<Json<Insights>, Fault> {
    let insights = state.look(study, |view| {
        let nothing = |missing| Insights { complete: true, missing, curves: Vec::new(), explanation: None };
        Ok(match view.summary(None)? {
            Said::Summary(summary) => {
                Insights { curves: summary.curves.clone(), explanation: summary.explanation.clone(), ..nothing(None) }
            }
            Said::Soon => Insights { complete: false, ..nothing(None) },
            Said::TooMuch => nothing(Some(format!(
                "This study has more than {MOST_EXPLAINED} measured plans: explaining them takes too long for a page. \
                 `agenttts show {} --why` does it.",
                view.name()
            ))),
        })
    });
    Ok(Json(insights.await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "TimelineFrom")]
#[serde(default)]
pub(crate) struct From {
    offset: usize,
}

/// Rounds of proposals, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Timeline {
    /// Whether all trials are in it; if not, ask again.
    complete: bool,
    /// Rounds in all.
    total: usize,
    rounds: Vec<Round>,
}

/// A round: the guidelines that steered it, and what became of its trials.
#[derive(Serialize, JsonSchema)]
struct Round {
    round: u32,
    /// Those that were written after the round before.
    guidelines: Vec<Guideline>,
    first: u32,
    last: u32,
    trials: usize,
    measured: usize,
    /// The best trial by its own mean.
    best: Option<Best>,
    /// The plan that led when the round began, and when it had ended.
    led: [Option<f64>; 2],
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BestTrial")]
struct Best {
    trial: u32,
    plan: Plan,
    objective: Estimate,
}

pub(super) async fn guidelines(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Query(from): Query<From>,
) -> Result<Json<Timeline>, Fault> {
    let timeline = state.look(study, move |view| {
        let guidelines = view.store().guidelines(view.looked().id())?;
        Ok(view.index(|index| timeline_of(index, &guidelines, from.offset))?)
    });
    Ok(Json(timeline.await?))
}

fn timeline_of(index: &TrialIndex, guidelines: &[Guideline], offset: usize) -> Timeline {
    let rounds: Vec<&[TrialLine]> = index.lines.chunk_by(|a, b| a.round == b.round).collect();
    let shown = rounds.iter().rev().skip(offset).take(ROUNDS).filter_map(|lines| {
        let (first, last) = (lines.first()?, lines.last()?);
        let measured = lines.iter().filter(|l| l.fate == Fate::Measured);
        let best = measured.clone().max_by(|a, b| a.objective.mean.total_cmp(&b.objective.mean));
        let led_after = |number: u32| {
            let until = index.leads.partition_point(|lead| lead.since <= number);
            until.checked_sub(1).map(|i| index.leads[i].objective.mean)
        };
        Some(Round {
            round: first.round,
            guidelines: steering(guidelines, first.round),
            first: first.number,
            last: last.number,
            trials: lines.len(),
            measured: measured.count(),
            best: best.map(|l| Best {
                trial: l.number,
                plan: index.plans[l.plan as usize].plan.clone(),
                objective: l.objective,
            }),
            led: [led_after(first.number.saturating_sub(1)), led_after(last.number)],
        })
    });
    let last = rounds.last().and_then(|lines| lines.last());
    // Guidelines of which no trial was proposed yet.
    let next = last.filter(|_| offset == 0).and_then(|last| {
        let guidelines = steering(guidelines, last.round + 1);
        let led = index.leads.last().map(|lead| lead.objective.mean);
        let (first, last, round) = (last.number + 1, last.number, last.round + 1);
        (!guidelines.is_empty()).then_some(Round {
            round,
            guidelines,
            first,
            last,
            trials: 0,
            measured: 0,
            best: None,
            led: [led, led],
        })
    });
    Timeline { complete: index.is_complete, total: rounds.len(), rounds: next.into_iter().chain(shown).collect() }
}

fn steering(guidelines: &[Guideline], round: u32) -> Vec<Guideline> {
    guidelines.iter().filter(|g| g.round + 1 == round).cloned().collect()
}

/// At most `most` of the points of a series, evenly spread, the first and the last among them.
fn thinned<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most || most < 2 {
        return all.to_vec();
    }
    let step = (all.len() - 1) as f64 / (most - 1) as f64;
    (0..most).map(|i| all[(i as f64 * step).round() as usize]).collect()
}
