//! `/v1/chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;

use agenttts_engine::Answer;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::input::of_messages;
use super::reply::{About, text, usage};
use super::request::{ChatRequest, Common, parse};
use crate::access::Client;
use crate::answering::{Admitted, Asked};
use crate::api_error::ApiError;
use crate::app::{App, Body, RequestId};
use crate::plans::Served;

/// Answers a conversation.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Extension(RequestId(id)): Extension<RequestId>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let request: ChatRequest = parse(&body)?;
    let (plan, mut common) = prepare(&app, &request.model, request.common)?;
    let beside = common.agenttts.as_mut().map(|a| std::mem::take(&mut a.input)).unwrap_or_default();
    let input = of_messages(&request.messages, beside, &plan.inputs)?;
    let mut about = about(&id, &request.model, &plan, &common);
    about.warnings = input.warnings;
    let admitted = asked(plan, input.fields, &common, &client, id)?.admit(&app).await?;
    if common.stream == Some(true) {
        let with_usage = common.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true));
        return Ok(event_stream(events(admitted, about, with_usage)));
    }
    let answers = admitted.answer().await?;
    let choice = |(index, answer): (usize, &Answer)| {
        let message = json!({"role": "assistant", "content": text(&answer.output), "refusal": null});
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": "stop"})
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
    id: String,
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
        id,
    })
}

/// An answer as events. An error in mid-stream is an event of its own, in the form of the API.
pub(super) fn event_stream(events: impl Stream<Item = Value> + Send + 'static) -> Response {
    let lines = events.map(|event| event.to_string()).chain(stream::iter(["[DONE]".to_owned()]));
    let events = lines.map(|line| Ok::<_, Infallible>(Event::default().data(line)));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn events(admitted: Admitted, about: About, with_usage: bool) -> impl Stream<Item = Value> + Send {
    let chunk = |about: &About, index: usize, delta: Value, finish: Value| {
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        about.frame("chat.completion.chunk", json!([choice]))
    };
    // Whoever waits sees at once that the request was taken.
    let first = chunk(&about, 0, json!({"role": "assistant", "content": ""}), Value::Null);
    let rest = async move {
        let answers = match admitted.answer().await {
            Ok(answers) => answers,
            Err(error) => return vec![error.json()],
        };
        let mut events = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            let role = if index == 0 { json!({}) } else { json!({"role": "assistant"}) };
            let mut delta = role;
            delta["content"] = Value::String(text(&answer.output));
            events.push(chunk(&about, index, delta, Value::Null));
        }
        for index in 0..answers.len() {
            let mut last = chunk(&about, index, json!({}), json!("stop"));
            if index + 1 == answers.len() {
                last.insert("agenttts".into(), about.ours(&answers));
            }
            events.push(last);
        }
        if with_usage {
            let mut tail = about.frame("chat.completion.chunk", json!([]));
            tail.insert("usage".into(), usage(&answers));
            events.push(tail);
        }
        events.into_iter().map(Value::Object).collect()
    };
    stream::once(async { Value::Object(first) }).chain(stream::once(rest).flat_map(stream::iter))
}
