//! `/v1/chat/completions`.

use std::sync::Arc;

use agenttts_engine::Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::input::of_messages;
use super::reply::{About, finish, text, usage};
use super::request::{ChatRequest, Common, parse};
use super::streamed::{Told, event_stream, told};
use crate::access::Client;
use crate::answering::{Admitted, Asked};
use crate::api_error::ApiError;
use crate::app::{App, Body, Identity};
use crate::plans::Served;

/// Answers a conversation.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let request: ChatRequest = parse(&body)?;
    let (plan, mut common) = prepare(&app, &request.model, request.common)?;
    let beside = common.agenttts.as_mut().map(|a| std::mem::take(&mut a.input)).unwrap_or_default();
    let input = of_messages(&request.messages, beside, &plan.inputs)?;
    let mut about = about(&identity.id, &request.model, &plan, &common);
    about.warnings = input.warnings;
    let admitted = asked(plan, input.fields, &common, &client, identity)?.admit(&app).await?;
    if common.stream == Some(true) {
        let with_usage = common.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true));
        return Ok(event_stream(events(admitted, about, with_usage)));
    }
    let answers = admitted.answer(None).await?;
    let choice = |(index, answer): (usize, &Answer)| {
        let message = json!({"role": "assistant", "content": text(&answer.output), "refusal": null});
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish(answer)})
    };
    let mut reply = about.frame("chat.completion", answers.iter().enumerate().map(choice).collect());
    reply.insert("usage".into(), usage(&answers));
    reply.insert("agenttts".into(), about.ours(&answers));
    Ok(Json(reply).into_response())
}

/// The plan of a request, with what it may not ask of one refused.
pub(super) fn prepare(app: &App, model: &str, common: Common) -> Result<(Arc<Served>, Common), ApiError> {
    let plan = app.catalogue.find(model).map_err(ApiError::no_model)?;
    common.check()?;
    Ok((plan, common))
}

pub(super) fn about(id: &str, model: &str, plan: &Served, common: &Common) -> About {
    About {
        without_effect: common.without_effect(),
        trace: common.agenttts.as_ref().is_some_and(|a| a.trace),
        ..About::new(id, model, plan)
    }
}

pub(super) fn asked(
    plan: Arc<Served>,
    fields: serde_json::Map<String, Value>,
    common: &Common,
    client: &Client,
    identity: Identity,
) -> Result<Asked, ApiError> {
    let ours = common.agenttts.as_ref();
    Ok(Asked {
        plan,
        fields,
        answers: common.answers()?,
        first_draw: common.first_draw(),
        limits: ours.map(|a| a.limits).unwrap_or_default().checked()?,
        deadline: ours.and_then(|a| a.deadline_seconds),
        client: client.name.clone(),
        identity,
    })
}

fn events(admitted: Admitted, about: About, with_usage: bool) -> impl Stream<Item = Value> + Send {
    // Whoever waits sees at once that the request was taken.
    let role = |index| about.chunk(index, json!({"role": "assistant", "content": ""}), Value::Null);
    let first: Vec<Value> = (0..admitted.answers() as usize).map(role).collect();
    let event = move |told: Told| match told {
        Told::Part(index, part) => vec![about.chunk(index, json!({"content": part}), Value::Null)],
        Told::Failed(error) => vec![error.json()],
        Told::End(answers) => {
            let last = |(index, answer)| about.chunk(index, json!({}), json!(finish(answer)));
            let mut events: Vec<Value> = answers.iter().enumerate().map(last).collect();
            if let Some(last) = events.last_mut() {
                last["agenttts"] = about.ours(&answers);
            }
            if with_usage {
                let mut tail = about.frame("chat.completion.chunk", json!([]));
                tail.insert("usage".into(), usage(&answers));
                events.push(Value::Object(tail));
            }
            events
        }
    };
    stream::iter(first).chain(told(admitted).map(event).flat_map(stream::iter))
}

impl About {
    fn chunk(&self, index: usize, delta: Value, finish: Value) -> Value {
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        Value::Object(self.frame("chat.completion.chunk", json!([choice])))
    }
}
