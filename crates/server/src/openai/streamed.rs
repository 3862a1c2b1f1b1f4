//! Answers as events.

use std::convert::Infallible;
use std::time::Duration;

use agenttts_engine::Answer;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::reply::text;
use crate::answering::{Admitted, Part};
use crate::api_error::ApiError;

/// How long nothing may be sent before a comment says that the server still works.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What a client is told next.
pub(super) enum Told {
    /// The next part of an answer, never empty.
    Part(usize, String),
    /// All answers are there, and all their texts were told.
    End(Vec<Answer>),
    /// There are none.
    Failed(ApiError),
}

/// Answers while it tells. Parts are told as they are decoded where that can be, and what is missing of a text when its
/// answer is there: all parts of an answer are its text.
pub(super) fn told(admitted: Admitted) -> impl Stream<Item = Told> + Send {
    let texts = vec![String::new(); admitted.answers() as usize];
    let (sender, parts) = mpsc::unbounded_channel();
    // A task of its own: whoever stops reading what is told must not keep the deadline from passing, and its place with that.
    let answers = Answers(tokio::spawn(admitted.answer(Some(sender)).in_current_span()));
    stream::unfold(State::Answering(Answering { parts, texts, answers }), State::next)
}

/// Answers that are on their way; dropped, they are given up.
struct Answers(JoinHandle<Result<Vec<Answer>, ApiError>>);

impl Answers {
    async fn get(&mut self) -> Result<Vec<Answer>, ApiError> {
        (&mut self.0).await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer broke off");
            Err(ApiError::internal())
        })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum State {
    Answering(Answering),
    Ending(Vec<Answer>, Vec<Part>),
    Ended,
}

struct Answering {
    parts: mpsc::UnboundedReceiver<Part>,
    /// What was told of every answer.
    texts: Vec<String>,
    answers: Answers,
}

impl State {
    async fn next(self) -> Option<(Told, Self)> {
        match self {
            State::Answering(mut state) => {
                let answers = tokio::select! {
                    biased;
                    Some((index, part)) = state.parts.recv() => {
                        let index = index as usize;
                        if let Some(text) = state.texts.get_mut(index) {
                            text.push_str(&part);
                        }
                        return Some((Told::Part(index, part), State::Answering(state)));
                    }
                    answers = state.answers.get() => answers,
                };
                let missing = answers.and_then(|answers| Ok((missing(&answers, &state.texts)?, answers)));
                match missing {
                    Ok((missing, answers)) => Some(State::ending(answers, missing)),
                    Err(error) => Some((Told::Failed(error), State::Ended)),
                }
            }
            State::Ending(answers, missing) => Some(State::ending(answers, missing)),
            State::Ended => None,
        }
    }

    fn ending(answers: Vec<Answer>, mut missing: Vec<Part>) -> (Told, Self) {
        match missing.pop() {
            Some((index, part)) => (Told::Part(index as usize, part), State::Ending(answers, missing)),
            None => (Told::End(answers), State::Ended),
        }
    }
}

/// What was not told yet of the answers, the last one first.
fn missing(answers: &[Answer], texts: &[String]) -> Result<Vec<Part>, ApiError> {
    let mut missing = Vec::new();
    for (index, (answer, told)) in answers.iter().zip(texts).enumerate().rev() {
        let text = text(&answer.output);
        match text.strip_prefix(told.as_str()) {
            Some("") => {}
            Some(rest) => missing.push((index as u32, rest.to_owned())),
            None => {
                tracing::error!(index, told = told.len(), "an answer does not begin with what was told of it");
                return Err(ApiError::internal());
            }
        }
    }
    Ok(missing)
}

/// Events as a reply. An error in mid-stream is an event of its own, in the form of the API.
pub(super) fn event_stream(events: impl Stream<Item = Value> + Send + 'static) -> Response {
    let lines = events.map(|event| event.to_string()).chain(stream::iter(["[DONE]".to_owned()]));
    let events = lines.map(|line| Ok::<_, Infallible>(Event::default().data(line)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_that_the_server_still_works() {
        let later = async {
            tokio::time::sleep(3 * KEEP_ALIVE).await;
            Value::from("answer")
        };
        let mut body = event_stream(stream::once(later)).into_body().into_data_stream();
        let mut said = String::new();
        while let Some(Ok(bytes)) = body.next().await {
            said.push_str(&String::from_utf8_lossy(&bytes));
        }
        let (before, after) = said.split_once("data:").unwrap();
        assert!(before.starts_with(":") && before.matches(':').count() >= 2, "{said}");
        assert!(after.contains("answer") && after.ends_with("data: [DONE]\n\n"), "{said}");
    }
}
