//! What is served and how it goes, for the dashboard and for whoever watches.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::plans::{Served, Unusable, drift};

/// `/api/serving`: every plan with its traffic and whether that drifts.
pub(crate) async fn serving(State(app): State<Arc<App>>) -> Json<Value> {
    let (running, waiting) = app.gate.load();
    let file = |(plan, front): (Arc<Served>, Vec<Arc<Served>>)| {
        let mut of_file = of(&plan);
        of_file["front"] = front.iter().map(|plan| of(plan)).collect();
        of_file
    };
    let plans: Vec<Value> = app.catalogue.all().into_iter().map(file).collect();
    Json(json!({"running": running, "waiting": waiting, "plans": plans}))
}

fn of(plan: &Served) -> Value {
    json!({
        "name": plan.name,
        "plan": plan.id,
        "study": plan.study,
        "trial": plan.trial,
        "stages": plan.stages,
        "input": plan.inputs,
        "cost_model": plan.runner.cost_model(),
        "measured": plan.measured,
        "estimate": plan.estimate,
        "traffic": plan.traffic.totals(),
        "drift": drift(plan.expected.as_ref(), &plan.traffic.window()),
    })
}

/// `/api/serving/reload`: reads plan files again that have changed.
pub(crate) async fn reload(State(app): State<Arc<App>>) -> Response {
    let (changed, failed) = app.catalogue.reload().await;
    let failed: Vec<Value> = failed.iter().map(told).collect();
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, Json(json!({"changed": changed, "failed": failed}))).into_response()
}

fn told(unusable: &Unusable) -> Value {
    let file = unusable.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::error!(%unusable, "the plan before the change is served on");
    json!({"file": file, "error": "it cannot be served; the server's log says why"})
}
