//! What a trial did with its examples, and why one of them got its answer.

use agenttts_engine::ExampleTrace;
use agenttts_store::ExampleOutcome;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Fault;
use super::query::{Path, Query};
use super::trials::trial_of;
use super::view::DashboardState;

/// Examples of a page at the most.
const MOST: usize = 500;

/// Which examples, in which order.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "WantedExamples")]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wanted {
    offset: usize,
    limit: Option<usize>,
    sort: Sort,
    down: bool,
    only: Only,
    q: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "ExampleSort")]
#[serde(rename_all = "kebab-case")]
enum Sort {
    #[default]
    Example,
    Objective,
    Cost,
    Support,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "OnlyExamples")]
#[serde(rename_all = "kebab-case")]
enum Only {
    #[default]
    All,
    /// With a score below 1.
    Imperfect,
    Failed,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExamplePage")]
pub(crate) struct Page {
    total: usize,
    all: usize,
    /// The names of the stages.
    stages: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExampleRow")]
struct Row {
    example: String,
    objective: f64,
    cost: f64,
    failure: Option<String>,
    stages: Vec<Cell>,
}

/// A stage of an example in a table.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StageCell")]
struct Cell {
    score: Option<f64>,
    support: Option<f64>,
    samples: usize,
    skipped: bool,
    /// The output, cut.
    output: Option<String>,
}

pub(super) async fn page(
    State(state): State<DashboardState>,
    Path((study, trial)): Path<(String, u32)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Fault> {
    let page = state.look(study, move |view| {
        trial_of(view, trial)?;
        let outcomes = view.store().outcomes(view.looked().id(), trial)?;
        let stages = view.looked().loaded().pipeline.stages.iter().map(|s| s.name.clone()).collect();
        Ok(paged(outcomes, stages, &wanted))
    });
    Ok(Json(page.await?))
}

fn paged(outcomes: Vec<ExampleOutcome>, stages: Vec<String>, wanted: &Wanted) -> Page {
    let all = outcomes.len();
    let q = wanted.q.to_lowercase();
    let fits = |o: &&ExampleOutcome| {
        let of_kind = match wanted.only {
            Only::All => true,
            Only::Imperfect => o.objective < 1.0,
            Only::Failed => o.failure.is_some(),
        };
        of_kind && (q.is_empty() || o.example.to_lowercase().contains(&q))
    };
    let mut found: Vec<&ExampleOutcome> = outcomes.iter().filter(fits).collect();
    // The stage that decides is the last one that ran.
    let support = |o: &ExampleOutcome| o.stages.iter().rev().find_map(|s| s.support).unwrap_or(f64::NEG_INFINITY);
    match wanted.sort {
        Sort::Example => found.sort_by_key(|o| o.index),
        Sort::Objective => found.sort_by(|a, b| a.objective.total_cmp(&b.objective)),
        Sort::Cost => found.sort_by(|a, b| a.cost.total_cmp(&b.cost)),
        Sort::Support => found.sort_by(|a, b| support(a).total_cmp(&support(b))),
    }
    if wanted.down {
        found.reverse();
    }
    let limit = wanted.limit.unwrap_or(100).min(MOST);
    let rows = found.iter().skip(wanted.offset).take(limit).map(|o| row(o)).collect();
    Page { total: found.len(), all, stages, rows }
}

fn row(outcome: &ExampleOutcome) -> Row {
    let cells = outcome.stages.iter().map(|s| Cell {
        score: s.score,
        support: s.support,
        samples: s.runs().iter().map(|(samples, _)| samples.len()).sum(),
        skipped: s.skipped,
        output: s.output.as_ref().map(cut),
    });
    Row {
        example: outcome.example.clone(),
        objective: outcome.objective,
        cost: outcome.cost,
        failure: outcome.failure.clone(),
        stages: cells.collect(),
    }
}

/// An output for a table: one line, and not long.
fn cut(output: &Value) -> String {
    const MOST: usize = 120;
    let text = match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WhichExample")]
pub(crate) struct Which {
    id: String,
}

pub(super) async fn one(
    State(state): State<DashboardState>,
    Path((study, trial)): Path<(String, u32)>,
    Query(which): Query<Which>,
) -> Result<Json<ExampleTrace>, Fault> {
    let found = state.look(study, move |view| {
        let trace = view.looked().example(view.store(), trial, &which.id)?;
        trace.ok_or_else(|| {
            Fault::missing(
                format!("trial {trial} of the study {} did not run on an example {:?}", view.name(), which.id),
                "the trial's page lists its examples",
            )
        })
    });
    Ok(Json(found.await?))
}
