//! `/v1/models`: the plans, as models.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::app::App;
use crate::plans::Served;

/// All plan files, and the ends of their fronts.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let mut data = Vec::new();
    for (plan, front) in app.catalogue.all() {
        data.push(entry(&plan.name, &plan));
        if let (Some(cheap), Some(best)) = (front.first(), front.last()) {
            data.push(entry(&format!("{}@cheap", plan.name), cheap));
            data.push(entry(&format!("{}@best", plan.name), best));
        }
    }
    Json(json!({"object": "list", "data": data}))
}

/// One plan, also by a wish such as `NAME@usd=0.002`.
pub(crate) async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let plan = app.catalogue.find(&name).map_err(ApiError::no_model)?;
    Ok(Json(entry(&name, &plan)))
}

fn entry(name: &str, plan: &Served) -> Value {
    json!({
        "id": name,
        "object": "model",
        "created": plan.created,
        "owned_by": "agenttts",
        "agenttts": {
            "plan": plan.id,
            "study": plan.study,
            "trial": plan.trial,
            "input": plan.inputs,
            "stages": plan.stages,
            "measured": plan.measured,
        },
    })
}
