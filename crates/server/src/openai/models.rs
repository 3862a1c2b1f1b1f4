//! `/v1/models`: the plans, as models.

use std::collections::BTreeSet;
use std::sync::Arc;

use agenttts_engine::{Measured, PlanStage};
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api_error::ApiError;
use crate::app::App;
use crate::plans::Served;

/// All models.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Models {
    object: &'static str,
    data: Vec<Model>,
}

/// A plan, as a model.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Model {
    /// What requests name it.
    id: String,
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    owned_by: &'static str,
    agenttts: AboutPlan,
}

/// What is ours of a model.
#[derive(Serialize, JsonSchema)]
struct AboutPlan {
    /// The plan's id: name, and a hash of all that decides how it answers.
    plan: String,
    study: String,
    trial: Option<u32>,
    /// The fields of an input that it reads.
    input: BTreeSet<String>,
    stages: Vec<PlanStage>,
    /// Whether a streamed answer comes as it is decoded, and not whole at its end.
    streams: bool,
    measured: Option<Measured>,
}

/// All plan files, and the ends of their fronts.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Models> {
    let mut data = Vec::new();
    for (plan, front) in app.catalogue.all() {
        data.push(entry(&plan.name, &plan));
        if let (Some(cheap), Some(best)) = (front.first(), front.last()) {
            data.push(entry(&format!("{}@cheap", plan.name), cheap));
            data.push(entry(&format!("{}@best", plan.name), best));
        }
    }
    Json(Models { object: "list", data })
}

/// One plan, also by a wish such as `NAME@usd=0.002`.
pub(crate) async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Model>, ApiError> {
    let plan = app.catalogue.find(&name).map_err(ApiError::no_model)?;
    Ok(Json(entry(&name, &plan)))
}

fn entry(name: &str, plan: &Served) -> Model {
    Model {
        id: name.to_owned(),
        object: "model",
        created: plan.created,
        owned_by: "agenttts",
        agenttts: AboutPlan {
            plan: plan.id.clone(),
            study: plan.study.clone(),
            trial: plan.trial,
            input: plan.inputs.clone(),
            stages: plan.stages.clone(),
            streams: plan.runner.tells(),
            measured: plan.measured.clone(),
        },
    }
}
