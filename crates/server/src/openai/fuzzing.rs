//! Bodies of requests, read without a server.

use std::collections::BTreeSet;

use super::completions::prompt;
use super::input::{of_messages, of_text};
use super::request::{ChatRequest, Common, CompletionRequest, parse};
use crate::api_error::ApiError;

/// Reads a body as each kind of request, as far as that goes without a plan.
pub(crate) fn read(body: &[u8]) {
    let wanted = BTreeSet::from(["question".to_owned(), "facts".to_owned()]);
    let _ = chat(body, &wanted);
    let _ = completion(body, &wanted);
}

fn chat(body: &[u8], wanted: &BTreeSet<String>) -> Result<(), ApiError> {
    let mut request: ChatRequest = parse(body)?;
    let beside = check(&mut request.common)?;
    of_messages(&request.messages, beside, wanted).map(|_| ())
}

fn completion(body: &[u8], wanted: &BTreeSet<String>) -> Result<(), ApiError> {
    let mut request: CompletionRequest = parse(body)?;
    let beside = check(&mut request.common)?;
    of_text(prompt(&request.prompt)?, beside, wanted).map(|_| ())
}

fn check(common: &mut Common) -> Result<serde_json::Map<String, serde_json::Value>, ApiError> {
    common.check()?;
    common.answers()?;
    common.first_draw();
    common.without_effect();
    let Some(ours) = common.agenttts.as_mut() else { return Ok(Default::default()) };
    ours.limits.checked()?;
    Ok(std::mem::take(&mut ours.input))
}
