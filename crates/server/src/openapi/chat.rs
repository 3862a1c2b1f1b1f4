//! Replies of the OpenAI API. Handlers put these together event by event; a test holds what they send to these types.

#![allow(dead_code, reason = "only their schemas are used")]

use agenttts_engine::{StageTrace, StepTrace};
use schemars::JsonSchema;
use serde::Serialize;

/// A chat completion.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChatReply {
    id: String,
    object: ChatObject,
    /// Seconds since 1970.
    created: u64,
    /// As the client named it.
    model: String,
    /// The plan's id: name, and a hash of all that decides how it answers.
    system_fingerprint: String,
    choices: Vec<ChatChoice>,
    usage: ChatUsage,
    agenttts: Ours,
}

#[derive(Serialize, JsonSchema)]
enum ChatObject {
    #[serde(rename = "chat.completion")]
    Completion,
}

/// One of several answers.
#[derive(Serialize, JsonSchema)]
struct ChatChoice {
    index: u32,
    message: ChatAnswer,
    /// Always null: an answer made of several samples has none.
    logprobs: Option<()>,
    finish_reason: FinishReason,
}

/// An answer.
#[derive(Serialize, JsonSchema)]
struct ChatAnswer {
    role: AssistantRole,
    content: String,
    /// Always null.
    refusal: Option<()>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AssistantRole {
    Assistant,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FinishReason {
    Stop,
    Length,
}

/// An event of a streamed chat completion, or an error in mid-stream.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ChatChunk {
    Chunk(Box<Chunk>),
    Error(crate::api_error::ErrorReply),
}

/// A part of an answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct Chunk {
    id: String,
    object: ChunkObject,
    /// Seconds since 1970.
    created: u64,
    model: String,
    system_fingerprint: String,
    /// Empty in the event that tells usage.
    choices: Vec<ChunkChoice>,
    /// Where `stream_options.include_usage` asked for it, in the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ChatUsage>,
    /// In the event that ends the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    agenttts: Option<Ours>,
}

#[derive(Serialize, JsonSchema)]
enum ChunkObject {
    #[serde(rename = "chat.completion.chunk")]
    Chunk,
}

#[derive(Serialize, JsonSchema)]
struct ChunkChoice {
    index: u32,
    delta: Delta,
    logprobs: Option<()>,
    finish_reason: Option<FinishReason>,
}

/// What is added to an answer.
#[derive(Serialize, JsonSchema)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<AssistantRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

/// A completion of the older form; streamed, one event holds it whole.
#[derive(Serialize, JsonSchema)]
pub(super) struct CompletionReply {
    id: String,
    object: CompletionObject,
    /// Seconds since 1970.
    created: u64,
    model: String,
    system_fingerprint: String,
    choices: Vec<CompletionChoice>,
    /// Absent in a stream, unless `stream_options.include_usage` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ChatUsage>,
    agenttts: Ours,
}

#[derive(Serialize, JsonSchema)]
enum CompletionObject {
    #[serde(rename = "text_completion")]
    Completion,
}

#[derive(Serialize, JsonSchema)]
struct CompletionChoice {
    index: u32,
    text: String,
    logprobs: Option<()>,
    finish_reason: FinishReason,
}

/// Tokens of all answers together, as billed.
#[derive(Serialize, JsonSchema)]
struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptTokensDetails,
}

#[derive(Serialize, JsonSchema)]
struct PromptTokensDetails {
    cached_tokens: u64,
}

/// What is ours in a reply.
#[derive(Serialize, JsonSchema)]
struct Ours {
    /// The plan's id.
    plan: String,
    /// Its trial in the study, where it is of the front.
    trial: Option<u32>,
    /// Cost of all answers, in units of the plan's cost model.
    cost: f64,
    /// The cost of each answer, for people.
    cost_text: Vec<String>,
    /// Calls to models.
    calls: u64,
    /// Seconds that the slowest answer took.
    seconds: f64,
    /// What of the request did not reach the plan, and prompts that were shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    /// Parameters that were sent and are the plan's to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_effect: Option<Vec<String>>,
    /// What was done for each answer, where `agenttts.trace` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<Trace>>,
}

/// What was done for an answer.
#[derive(Serialize, JsonSchema)]
struct Trace {
    stages: Vec<StageTrace>,
    steps: Vec<StepTrace>,
    seconds: f64,
}
