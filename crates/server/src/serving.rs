//! What is served and how it goes, for the dashboard and for whoever watches.

use std::collections::BTreeSet;
use std::sync::Arc;

use agenttts_core::CostModel;
use agenttts_engine::{Measured, PlanStage};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::examples::{ExampleCounts, Examples};
use crate::plans::{Drift, Served, Totals, Unusable, drift};

/// How the server does.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Serving {
    /// Requests under way.
    running: usize,
    /// Requests in the queue.
    waiting: usize,
    /// Every plan file.
    plans: Vec<ServedFile>,
    /// Requests that are kept as examples, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    examples: Option<ExampleCounts>,
}

/// A plan file.
#[derive(Serialize, JsonSchema)]
struct ServedFile {
    #[serde(flatten)]
    recommended: ServedPlan,
    /// The plans of its front, cheapest first.
    front: Vec<ServedPlan>,
}

/// A plan, its traffic, and whether that drifts.
#[derive(Serialize, JsonSchema)]
struct ServedPlan {
    name: String,
    /// Name, and a hash of all that decides how it answers.
    plan: String,
    study: String,
    trial: Option<u32>,
    stages: Vec<PlanStage>,
    /// The fields of an input that it reads.
    input: BTreeSet<String>,
    cost_model: CostModel,
    measured: Option<Measured>,
    /// What the study believes of its quality, where it is of the front.
    estimate: Option<f64>,
    traffic: Totals,
    drift: Drift,
}

/// What reading plan files again came to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Reloaded {
    /// The plans that are served anew.
    changed: Vec<String>,
    /// The files that cannot be served; the plans before are served on.
    failed: Vec<NotServed>,
}

/// A file that cannot be served.
#[derive(Serialize, JsonSchema)]
struct NotServed {
    file: String,
    error: &'static str,
}

/// `/api/serving`: every plan with its traffic and whether that drifts.
pub(crate) async fn serving(State(app): State<Arc<App>>) -> Json<Serving> {
    let (running, waiting) = app.gate.load();
    let file = |(plan, front): (Arc<Served>, Vec<Arc<Served>>)| ServedFile {
        recommended: of(&plan),
        front: front.iter().map(|plan| of(plan)).collect(),
    };
    let plans = app.catalogue.all().into_iter().map(file).collect();
    Json(Serving { running, waiting, plans, examples: app.examples.as_ref().map(Examples::counts) })
}

fn of(plan: &Served) -> ServedPlan {
    ServedPlan {
        name: plan.name.clone(),
        plan: plan.id.clone(),
        study: plan.study.clone(),
        trial: plan.trial,
        stages: plan.stages.clone(),
        input: plan.inputs.clone(),
        cost_model: plan.runner.cost_model(),
        measured: plan.measured.clone(),
        estimate: plan.estimate,
        traffic: plan.traffic.totals(),
        drift: drift(plan.expected.as_ref(), &plan.traffic.window()),
    }
}

/// `/api/serving/reload`: reads plan files again that have changed.
pub(crate) async fn reload(State(app): State<Arc<App>>) -> (StatusCode, Json<Reloaded>) {
    let (changed, failed) = app.catalogue.reload().await;
    let failed: Vec<NotServed> = failed.iter().map(told).collect();
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, Json(Reloaded { changed, failed }))
}

fn told(unusable: &Unusable) -> NotServed {
    let file = unusable.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::error!(%unusable, "the plan before the change is served on");
    NotServed { file, error: "it cannot be served; the server's log says why" }
}
