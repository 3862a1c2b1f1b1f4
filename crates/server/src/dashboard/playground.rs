//! One input through plans side by side, as `agenttts run` answers it.

use agenttts_engine::{Answer, PlanFile, Runner};
use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::error::Fault;
use super::view::DashboardState;
use crate::access::Client;
use crate::api_error::ApiError;

/// Plans that are tried at once at the most.
const MOST: usize = 4;

/// What to answer, and with which plans.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PlaygroundInput")]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The fields that the pipeline's templates read.
    fields: Map<String, Value>,
    plans: Vec<Tried>,
}

/// A plan of a study.
#[derive(Clone, Deserialize, JsonSchema)]
#[schemars(rename = "PlaygroundPlan")]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    study: String,
    /// Its trial; absent = the recommended plan.
    trial: Option<u32>,
}

/// What a plan answered, or why it could not.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlaygroundReply")]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    Answer(Box<Answer>),
    Fault(String),
}

pub(super) async fn run(
    State(state): State<DashboardState>,
    Extension(client): Extension<Client>,
    Json(asked): Json<Asked>,
) -> Result<Json<Vec<Reply>>, Fault> {
    if asked.plans.is_empty() || asked.plans.len() > MOST {
        return Err(Fault::bad(format!("{} plans were named", asked.plans.len()), format!("name 1 to {MOST} plans")));
    }
    let deadline = Instant::now() + state.deadline();
    let _pass = state.enter(&client.name).await?;
    let replies = asked.plans.into_iter().map(|plan| {
        let (state, fields) = (state.clone(), asked.fields.clone());
        async move {
            match timeout_at(deadline, answer(&state, plan, fields)).await {
                Ok(Ok(answer)) => Reply::Answer(Box::new(answer)),
                Ok(Err(fault)) => Reply::Fault(fault.words()),
                Err(_) => Reply::Fault(ApiError::deadline(state.deadline().as_secs_f64()).words()),
            }
        }
    });
    Ok(Json(futures::future::join_all(replies).await))
}

async fn answer(state: &DashboardState, tried: Tried, fields: Map<String, Value>) -> Result<Answer, Fault> {
    let file: PlanFile = state
        .look(tried.study, move |view| Ok(agenttts_engine::plan_file(view.store(), view.name(), tried.trial)?))
        .await?;
    Ok(Runner::new(&file, state.workshop()).await?.run(fields).await?)
}
