//! The OpenAI-compatible API: models, chat completions, completions.

mod chat;
mod completions;
pub(crate) mod fuzzing;
mod input;
mod models;
mod reply;
mod request;
mod streamed;

pub(crate) use chat::chat;
pub(crate) use completions::completions;
pub(crate) use models::{Model, Models, model, models};
pub(crate) use request::{ChatRequest, CompletionRequest, RequestLimits, parse};
