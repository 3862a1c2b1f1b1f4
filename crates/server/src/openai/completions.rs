//! `/v1/completions`, for clients of the older form.

use std::sync::Arc;

use agenttts_engine::Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::chat::{about, asked, event_stream, prepare};
use super::input::of_text;
use super::reply::{text, usage};
use super::request::{CompletionRequest, parse};
use crate::access::Client;
use crate::api_error::ApiError;
use crate::app::{App, Body, RequestId};

/// Answers a text.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Extension(RequestId(id)): Extension<RequestId>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let request: CompletionRequest = parse(&body)?;
    let (plan, mut common) = prepare(&app, &request.model, request.common)?;
    let beside = common.agenttts.as_mut().map(|a| std::mem::take(&mut a.input)).unwrap_or_default();
    let prompt = prompt(&request.prompt)?;
    let fields = of_text(prompt, beside, &plan.inputs).map_err(|error| error.param("prompt"))?;
    let about = about(&id, &request.model, &plan, &common);
    let admitted = asked(plan, fields, &common, &client, id)?.admit(&app).await?;
    let streamed = common.stream == Some(true);
    let with_usage = common.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true));
    let whole = async move {
        let answers = admitted.answer().await?;
        let choice = |(index, answer): (usize, &Answer)| json!({"index": index, "text": text(&answer.output), "logprobs": null, "finish_reason": "stop"});
        let mut reply = about.frame("text_completion", answers.iter().enumerate().map(choice).collect());
        reply.insert("agenttts".into(), about.ours(&answers));
        if with_usage || !streamed {
            reply.insert("usage".into(), usage(&answers));
        }
        Ok::<_, ApiError>(reply)
    };
    if streamed {
        let events = async { whole.await.map_or_else(|error| error.json(), Value::Object) };
        return Ok(event_stream(stream::once(events).boxed()));
    }
    Ok(Json(whole.await?).into_response())
}

fn prompt(prompt: &Value) -> Result<&str, ApiError> {
    let wrong = |message: &str| ApiError::invalid(message).param("prompt");
    let text = match prompt {
        Value::String(text) => text,
        Value::Array(several) => match several.as_slice() {
            [Value::String(text)] => text,
            [] => return Err(wrong("the prompt is empty")),
            [Value::String(_), ..] => return Err(wrong("one prompt a request")),
            _ => return Err(wrong("the prompt is a text, not tokens")),
        },
        _ => return Err(wrong("the prompt is a text")),
    };
    if text.trim().is_empty() { Err(wrong("the prompt is empty")) } else { Ok(text) }
}
