//! `/v1/completions`, for clients of the older form.

use std::sync::Arc;

use agenttts_engine::Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::chat::{about, asked, prepare};
use super::input::of_text;
use super::reply::{About, finish, text, usage};
use super::request::{CompletionRequest, parse};
use super::streamed::{Told, event_stream, told};
use crate::access::Client;
use crate::answering::Admitted;
use crate::api_error::ApiError;
use crate::app::{App, Body, Identity};

/// Answers a text.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Extension(identity): Extension<Identity>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let request: CompletionRequest = parse(&body)?;
    let (plan, mut common) = prepare(&app, &request.model, request.common)?;
    let beside = common.agenttts.as_mut().map(|a| std::mem::take(&mut a.input)).unwrap_or_default();
    let prompt = prompt(&request.prompt)?;
    let fields = of_text(prompt, beside, &plan.inputs).map_err(|error| error.param("prompt"))?;
    let about = about(&identity.id, &request.model, &plan, &common);
    let admitted = asked(plan, fields, &common, &client, identity)?.admit(&app).await?;
    if common.stream == Some(true) {
        let with_usage = common.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true));
        return Ok(event_stream(events(admitted, about, with_usage)));
    }
    let answers = admitted.answer(None).await?;
    let choice = |(index, answer): (usize, &Answer)| choice(index, &text(&answer.output), json!(finish(answer)));
    let mut reply = about.frame("text_completion", answers.iter().enumerate().map(choice).collect());
    reply.insert("agenttts".into(), about.ours(&answers));
    reply.insert("usage".into(), usage(&answers));
    Ok(Json(reply).into_response())
}

fn choice(index: usize, text: &str, finish: Value) -> Value {
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish})
}

fn events(admitted: Admitted, about: About, with_usage: bool) -> impl Stream<Item = Value> + Send {
    let event = move |told: Told| match told {
        Told::Part(index, part) => {
            vec![Value::Object(about.frame("text_completion", json!([choice(index, &part, Value::Null)])))]
        }
        Told::Failed(error) => vec![error.json()],
        Told::End(answers) => {
            let choice = |(index, answer)| choice(index, "", json!(finish(answer)));
            let choices = answers.iter().enumerate().map(choice).collect();
            let mut last = about.frame("text_completion", choices);
            last.insert("agenttts".into(), about.ours(&answers));
            let mut events = vec![Value::Object(last)];
            if with_usage {
                let mut tail = about.frame("text_completion", json!([]));
                tail.insert("usage".into(), usage(&answers));
                events.push(Value::Object(tail));
            }
            events
        }
    };
    told(admitted).map(event).flat_map(stream::iter)
}

pub(super) fn prompt(prompt: &Value) -> Result<&str, ApiError> {
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
