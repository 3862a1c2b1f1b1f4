//! What plans answer, and how the server does.

use serde_json::json;

use super::build::{Builder, Needs};
use super::chat::{ChatChunk, ChatReply, CompletionReply};
use crate::access::Scope;
use crate::app::Health;
use crate::openai::{ChatRequest, CompletionRequest, Model, Models};
use crate::run::{RunReply, RunRequest};
use crate::serving::{Reloaded, Serving};

pub(super) fn operations(b: &mut Builder) {
    let (answers, views) = (Needs::Scope(Scope::Use), Needs::Scope(Scope::View));

    let op = b.operation("openai", answers, "The plans, as models");
    let op = b.reply::<Models>(op, "200", "All plan files, and the ends of their fronts.");
    b.put("get", "/v1/models", op);

    let op = b.operation("openai", answers, "One plan");
    let op = b.reply::<Model>(op, "200", "The plan.");
    b.put("get", "/v1/models/{name}", op);

    let op = b.operation("openai", answers, "Answers one user message");
    let op = b.body::<ChatRequest>(op);
    let op = b.reply::<ChatReply>(op, "200", "The answer; with `stream`, as events that end with `[DONE]`.");
    let op = b.events::<ChatChunk>(op, "");
    b.put("post", "/v1/chat/completions", op);

    let op = b.operation("openai", answers, "Answers a prompt");
    let op = b.body::<CompletionRequest>(op);
    let op = b.reply::<CompletionReply>(op, "200", "The answer; with `stream`, as events that end with `[DONE]`.");
    let op = b.events::<CompletionReply>(op, "");
    b.put("post", "/v1/completions", op);

    let op = b.operation("serving", answers, "Answers structured inputs");
    let op = b.body::<RunRequest>(op);
    let op = b.reply::<RunReply>(op, "200", "The answer, and all that there is to say of it.");
    b.put("post", "/v1/run", op);

    let op = b.operation("serving", views, "Every plan's traffic, and whether it drifts");
    let op = b.reply::<Serving>(op, "200", "Requests under way, and every plan.");
    b.put("get", "/api/serving", op);

    let op = b.operation("serving", Needs::Scope(Scope::Administrate), "Reads changed plan files again");
    let op = b.reply::<Reloaded>(op, "200", "What changed.");
    let op = b.reply::<Reloaded>(op, "409", "Some file cannot be served: the plan before is served on.");
    b.put("post", "/api/serving/reload", op);

    let op = b.operation("serving", views, "Counts and times for Prometheus");
    b.put("get", "/metrics", op.text("OpenMetrics.", "application/openmetrics-text"));

    let op = b.operation("serving", Needs::Nothing, "Whether the process lives");
    let op = b.reply::<Health>(op, "200", "It does.");
    b.put("get", "/healthz", op);

    let op = b.operation("serving", Needs::Nothing, "Whether requests are taken");
    let op = b.reply::<Health>(op, "200", "They are.");
    b.put("get", "/readyz", op);

    let op = b.operation("serving", Needs::Key, "This document");
    let op = op.content("200", "An OpenAPI document.", json!({"application/json": {"schema": {"type": "object"}}}));
    b.put("get", "/openapi.json", op);
}
