//! Trials: a page of them as wanted, one of them, and two of them compared.

use std::cmp::Ordering;
use std::collections::HashMap;

use agenttts_core::{Comparison, Estimate, Finding, Plan, Span, Trial, TrialState};
use agenttts_engine::{Fate, TrialIndex, TrialLine, View};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::query::{Path, Query};
use super::view::DashboardState;

/// Trials of a page at the most.
const MOST: usize = 500;

/// Trials of a page where nobody says how many.
const USUAL: usize = 100;

/// The examples at which two trials differ that a comparison lists.
const MOST_DIFFERENT: usize = 200;

/// Which trials, in which order.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "WantedTrials")]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wanted {
    offset: usize,
    limit: Option<usize>,
    sort: Sort,
    /// From the largest.
    down: bool,
    /// Words that the plan or the method must have, all of them.
    q: String,
    fate: Option<Fate>,
    round: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "TrialSort")]
#[serde(rename_all = "kebab-case")]
enum Sort {
    #[default]
    Number,
    Objective,
    Low,
    Cost,
    Failures,
    Drawn,
    Seconds,
    Method,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrialPage")]
pub(crate) struct Page {
    /// Whether all trials were looked through; if not, ask again.
    complete: bool,
    /// Trials that fit.
    total: usize,
    /// All trials.
    all: usize,
    rows: Vec<Row>,
}

/// A trial in a table.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrialRow")]
struct Row {
    number: u32,
    round: u32,
    plan: Plan,
    method: String,
    fate: Fate,
    objective: Option<Estimate>,
    cost: Option<f64>,
    failures: u32,
    drawn: u64,
    seconds: f64,
}

pub(super) async fn page(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Fault> {
    let page = state.look(study, move |view| {
        let (page, is_complete) = view.index(|index| (paged(index, &wanted), index.is_complete))?;
        if is_complete || !wanted.is_plain() { Ok(page) } else { in_order(view, &wanted) }
    });
    Ok(Json(page.await?))
}

impl Wanted {
    /// Whether all trials are wanted in their order: that page can be read without the others.
    fn is_plain(&self) -> bool {
        self.sort == Sort::Number && self.q.trim().is_empty() && self.fate.is_none() && self.round.is_none()
    }
}

/// A page of all trials in their order, from the store.
fn in_order(view: &View, wanted: &Wanted) -> Result<Page, Fault> {
    let all = view.glance()?.trials;
    let limit = wanted.limit.unwrap_or(USUAL).min(MOST) as u32;
    let offset = u32::try_from(wanted.offset).unwrap_or(all).min(all);
    // Trials are numbered from 1 without gaps.
    let numbers: Vec<u32> = match wanted.down {
        true => (all.saturating_sub(offset + limit) + 1..=all - offset).collect(),
        false => (offset + 1..=(offset + limit).min(all)).collect(),
    };
    let mut trials = view.store().trials_of(view.looked().id(), &numbers)?;
    if wanted.down {
        trials.reverse();
    }
    let rows = trials.into_iter().map(row_of).collect();
    Ok(Page { complete: false, total: all as usize, all: all as usize, rows })
}

fn row_of(trial: Trial) -> Row {
    let measured = trial.measurement();
    let fate = match &trial.state {
        TrialState::Pending => Fate::Pending,
        TrialState::Measured(_) => Fate::Measured,
        TrialState::Abandoned(_) => Fate::Abandoned,
    };
    Row {
        number: trial.number,
        round: trial.round,
        fate,
        objective: measured.map(|m| m.objective),
        cost: measured.map(|m| m.cost.mean),
        failures: measured.map_or(0, |m| m.failures),
        drawn: measured.map_or(0, |m| m.drawn.tokens()),
        seconds: measured.map_or(0.0, |m| m.seconds),
        method: trial.origin.method,
        plan: trial.plan,
    }
}

fn paged(index: &TrialIndex, wanted: &Wanted) -> Page {
    let words: Vec<String> = wanted.q.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let fits = |line: &&TrialLine| {
        wanted.fate.is_none_or(|fate| line.fate == fate)
            && wanted.round.is_none_or(|round| line.round == round)
            && words.iter().all(|word| {
                index.plans[line.plan as usize].words.contains(word)
                    || index.methods[line.method as usize].contains(word)
            })
    };
    let mut found: Vec<&TrialLine> = index.lines.iter().filter(fits).collect();
    let measured_first = |a: &TrialLine, b: &TrialLine| (b.fate == Fate::Measured).cmp(&(a.fate == Fate::Measured));
    let by = |a: &TrialLine, b: &TrialLine| match wanted.sort {
        Sort::Number => a.number.cmp(&b.number),
        Sort::Objective => a.objective.mean.total_cmp(&b.objective.mean),
        Sort::Low => a.objective.low.total_cmp(&b.objective.low),
        Sort::Cost => a.cost.total_cmp(&b.cost),
        Sort::Failures => a.failures.cmp(&b.failures),
        Sort::Drawn => a.drawn.cmp(&b.drawn),
        Sort::Seconds => a.seconds.total_cmp(&b.seconds),
        Sort::Method => index.methods[a.method as usize].cmp(&index.methods[b.method as usize]),
    };
    let directed = |order: Ordering| if wanted.down { order.reverse() } else { order };
    if wanted.sort == Sort::Number {
        if wanted.down {
            found.reverse();
        }
    } else {
        found.sort_by(|a, b| {
            measured_first(a, b).then_with(|| directed(by(a, b))).then_with(|| a.number.cmp(&b.number))
        });
    }
    let limit = wanted.limit.unwrap_or(USUAL).min(MOST);
    let rows = found.iter().skip(wanted.offset).take(limit).map(|line| row(index, line)).collect();
    Page { complete: index.is_complete, total: found.len(), all: index.lines.len(), rows }
}

fn row(index: &TrialIndex, line: &TrialLine) -> Row {
    let measured = line.fate == Fate::Measured;
    Row {
        number: line.number,
        round: line.round,
        plan: index.plans[line.plan as usize].plan.clone(),
        method: index.methods[line.method as usize].clone(),
        fate: line.fate,
        objective: measured.then_some(line.objective),
        cost: measured.then_some(line.cost),
        failures: line.failures,
        drawn: line.drawn,
        seconds: line.seconds,
    }
}

/// A trial, with what other trials say of its plan.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OneTrial")]
pub(crate) struct One {
    /// The trial; its scores are left out, as they are in the list of examples.
    trial: Trial,
    /// Its nominal cost in units of the cost model.
    nominal: f64,
    /// Its examples, in the study's order, where they are not all.
    span: Option<String>,
    /// All measured trials of its plan that are known so far, and what they say together.
    trials: Vec<u32>,
    pooled: Option<Estimate>,
    /// The trials before and after it.
    before: Option<u32>,
    after: Option<u32>,
}

pub(super) async fn one(
    State(state): State<DashboardState>,
    Path((study, trial)): Path<(String, u32)>,
) -> Result<Json<One>, Fault> {
    let found = state.look(study, move |view| {
        let mut found = trial_of(view, trial)?;
        let all = view.glance()?.trials;
        if let TrialState::Measured(m) = &mut found.state {
            m.scores.clear();
        }
        Ok(view.index(|index| {
            let line = (trial as usize).checked_sub(1).and_then(|place| index.lines.get(place));
            let plan = line.map(|l| &index.plans[l.plan as usize]);
            let pooled = plan.filter(|p| p.trials.len() > 1);
            One {
                nominal: view.looked().loaded().pipeline.cost_model.units(found.nominal_cost),
                span: span_words(found.span),
                trials: plan.map(|p| p.trials.clone()).unwrap_or_default(),
                pooled: pooled.map(|p| p.objective),
                before: (trial > 1).then(|| trial - 1),
                after: (trial < all).then_some(trial + 1),
                trial: found,
            }
        })?)
    });
    Ok(Json(found.await?))
}

/// A trial of the store.
pub(super) fn trial_of(view: &View, number: u32) -> Result<Trial, Fault> {
    let found = view.store().trials_of(view.looked().id(), &[number])?.pop();
    found.ok_or_else(|| {
        Fault::missing(
            format!("the study {} has no trial {number}", view.name()),
            "the table of trials on the study's page lists them",
        )
    })
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TwoTrials")]
pub(crate) struct Two {
    a: u32,
    b: u32,
}

/// Two trials on the examples that both ran on.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Compared {
    a: Trial,
    b: Trial,
    /// Examples that both ran on.
    examples: usize,
    comparison: Option<Comparison>,
    finding: Option<Finding>,
    /// Examples at which a is better, b is better, and both are alike.
    better: [usize; 3],
    /// Some of the examples at which they differ, the largest differences first.
    different: Vec<Different>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DifferentExample")]
struct Different {
    example: String,
    a: f64,
    b: f64,
}

pub(super) async fn compare(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Query(two): Query<Two>,
) -> Result<Json<Compared>, Fault> {
    Ok(Json(state.look(study, move |view| compared(view, &two)).await?))
}

fn compared(view: &View, two: &Two) -> Result<Compared, Fault> {
    let (mut a, mut b) = (trial_of(view, two.a)?, trial_of(view, two.b)?);
    let store = view.store();
    let of_b: HashMap<String, f64> = store.scores(view.looked().id(), two.b)?.into_iter().collect();
    let both = store.scores(view.looked().id(), two.a)?.into_iter();
    let both: Vec<Different> =
        both.filter_map(|(example, a)| of_b.get(&example).map(|&b| Different { example, a, b })).collect();
    let pipeline = &view.looked().loaded().pipeline;
    let clusters = pipeline.group.as_ref().map(|field| {
        let split = &pipeline.search_split;
        let of: HashMap<&str, u64> = split.examples.iter().map(|e| e.id.as_str()).zip(split.clusters(field)).collect();
        both.iter().map(|d| of.get(d.example.as_str()).copied().unwrap_or(u64::MAX)).collect::<Vec<u64>>()
    });
    let scores = |of: fn(&Different) -> f64| both.iter().map(of).collect::<Vec<f64>>();
    let comparison = Comparison::paired(&scores(|d| d.a), &scores(|d| d.b), clusters.as_deref());
    let count = |way: Ordering| both.iter().filter(|d| d.a.total_cmp(&d.b) == way).count();
    let better = [count(Ordering::Greater), count(Ordering::Less), count(Ordering::Equal)];
    let examples = both.len();
    let mut different: Vec<Different> = both.into_iter().filter(|d| d.a != d.b).collect();
    different.sort_by(|x, y| (y.a - y.b).abs().total_cmp(&(x.a - x.b).abs()));
    different.truncate(MOST_DIFFERENT);
    for trial in [&mut a, &mut b] {
        if let TrialState::Measured(m) = &mut trial.state {
            m.scores.clear();
        }
    }
    let finding = comparison.map(|c| c.finding(c.p, pipeline.margin));
    Ok(Compared { a, b, examples, comparison, finding, better, different })
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct OfTrial {
    trial: Option<u32>,
}

/// The plan file of a trial, or of the recommended plan.
pub(super) async fn plan_file(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Query(of): Query<OfTrial>,
) -> Result<Response, Fault> {
    let (name, text) = state
        .look(study, move |view| {
            let file = agenttts_engine::plan_file(view.store(), view.name(), of.trial)?;
            let suffix = of.trial.map(|n| format!("-{n}")).unwrap_or_default();
            Ok((format!("{}{suffix}.plan.toml", view.name()), file.to_toml()))
        })
        .await?;
    // Names of studies are plain characters.
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, "application/toml".to_owned()), (header::CONTENT_DISPOSITION, disposition)], text)
        .into_response())
}

/// The range of examples of a trial, in words for a table; absent = all.
fn span_words(span: Option<Span>) -> Option<String> {
    span.map(|s| format!("{}-{}", s.first + 1, s.end()))
}
