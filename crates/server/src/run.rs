//! `/v1/run`: structured inputs, and all that there is to say of the answer.

use std::sync::Arc;

use agenttts_core::Usage;
use agenttts_engine::{Answer, StageTrace, StepTrace};
use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::Client;
use crate::answering::Asked;
use crate::api_error::ApiError;
use crate::app::{App, Body, Identity};
use crate::openai::{RequestLimits, parse};

/// The body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// The plan, as a model's name.
    model: String,
    /// The fields that the pipeline reads.
    input: Map<String, Value>,
    /// Tell what every stage did.
    #[serde(default)]
    trace: bool,
    /// Which draws; equal numbers give equal draws where the models are reproducible.
    #[serde(default)]
    draw: u32,
    /// Seconds until the answer must be there.
    deadline_seconds: Option<f64>,
    /// The most that the answer may take.
    #[serde(default)]
    limits: RequestLimits,
}

/// The reply.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunReply {
    /// The request's id.
    id: String,
    /// As the client named it.
    model: String,
    /// The plan's id.
    plan: String,
    trial: Option<u32>,
    /// The last stage's output.
    output: Value,
    /// Whether what the last stage's model wrote for it ended at the stage's `max_tokens`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_off: bool,
    /// In units of the plan's cost model.
    cost: f64,
    /// The same for people.
    cost_text: String,
    usage: Usage,
    seconds: f64,
    /// What every stage did, where `trace` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Vec<StageTrace>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepTrace>>,
}

/// Reads a body, without a server.
pub(crate) fn read(body: &[u8]) {
    let _ = parse::<RunRequest>(body).and_then(|request| request.limits.checked());
}

/// Answers one input.
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    Body(body): Body,
) -> Result<Json<RunReply>, ApiError> {
    let request: RunRequest = parse(&body)?;
    let plan = app.catalogue.find(&request.model).map_err(ApiError::no_model)?;
    let asked = Asked {
        plan: plan.clone(),
        fields: request.input,
        answers: 1,
        first_draw: request.draw,
        limits: request.limits.checked()?,
        deadline: request.deadline_seconds,
        client: client.name,
        identity,
    };
    let id = asked.identity.id.clone();
    let answer = asked.admit(&app).await?.answer(None).await?.pop().ok_or_else(ApiError::internal)?;
    let Answer { output, cut_off, stages, steps, cost, cost_text, usage, seconds } = answer;
    let trace = request.trace;
    Ok(Json(RunReply {
        id,
        model: request.model,
        plan: plan.id.clone(),
        trial: plan.trial,
        output,
        cut_off,
        cost,
        cost_text,
        usage,
        seconds,
        stages: trace.then_some(stages),
        steps: trace.then_some(steps),
    }))
}
