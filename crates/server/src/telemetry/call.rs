//! The span of a call to a model, with all its retries, and what is measured of it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use agenttts_core::{Draw, Message, ProviderKind, ProviderSpec};
use agenttts_engine::{CallBegins, CallListener};
use agenttts_models::{Reply, TraceContext};
use axum::http::Uri;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use serde_json::json;

use super::Telemetry;

/// A call while it is made.
pub(super) struct CallSpan {
    telemetry: Arc<Telemetry>,
    context: Context,
    trace: Option<TraceContext>,
    began: Instant,
    first: OnceLock<Duration>,
    ended: OnceLock<()>,
    /// What tells apart calls that are measured.
    labels: Vec<KeyValue>,
}

impl CallSpan {
    pub(super) fn new(
        telemetry: Arc<Telemetry>,
        parent: &Context,
        call: &CallBegins<'_>,
        provider: Option<&ProviderSpec>,
    ) -> Self {
        let operation = if call.request.is_embedding() { "embeddings" } else { "chat" };
        let (kind, system, address) = match provider.map(|provider| &provider.kind) {
            // The name of the interface: the model and the address tell whose it is.
            Some(ProviderKind::Openai(openai)) => (SpanKind::Client, "openai", address(&openai.base_url)),
            Some(ProviderKind::Embedded) => (SpanKind::Internal, "llama.cpp", None),
            Some(ProviderKind::Fake) | None => (SpanKind::Internal, "fake", None),
        };
        let mut labels = vec![
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", system),
            KeyValue::new("gen_ai.request.model", call.model.id.clone()),
        ];
        if let Some((host, port)) = address {
            labels.extend([KeyValue::new("server.address", host), KeyValue::new("server.port", i64::from(port))]);
        }
        let mut attributes = labels.clone();
        attributes.extend(asked(call));
        if telemetry.content {
            attributes.push(KeyValue::new("gen_ai.input.messages", input(&call.request.messages)));
        }
        let builder = telemetry.tracer.span_builder(format!("{operation} {}", call.model.id)).with_kind(kind);
        let span = builder.with_attributes(attributes).start_with_context(&telemetry.tracer, parent);
        let context = parent.with_span(span);
        let mut headers = HashMap::new();
        telemetry.propagator.inject_context(&context, &mut headers);
        let state = headers.remove("tracestate").filter(|state| !state.is_empty());
        let trace = headers.remove("traceparent").map(|parent| TraceContext { parent, state });
        CallSpan {
            telemetry,
            context,
            trace,
            began: Instant::now(),
            first: OnceLock::new(),
            ended: OnceLock::new(),
            labels,
        }
    }
}

impl CallListener for CallSpan {
    fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    fn text(&self) {
        self.first.get_or_init(|| self.began.elapsed());
    }

    fn end(&self, reply: &Reply) {
        if self.ended.set(()).is_err() {
            return;
        }
        let span = self.context.span();
        let usage = &reply.billed;
        let draws: Vec<&Draw> = reply.draws.iter().flatten().collect();
        let finishes = draws.iter().map(|draw| StringValue::from(draw.finish.name())).collect();
        span.set_attributes([
            KeyValue::new("gen_ai.usage.input_tokens", usage.prompt as i64),
            KeyValue::new("gen_ai.usage.output_tokens", usage.decode as i64),
            KeyValue::new("gen_ai.response.finish_reasons", Value::Array(Array::String(finishes))),
            KeyValue::new("agenttts.call.attempts", usage.calls as i64),
        ]);
        if usage.cached_prompt > 0 {
            span.set_attribute(KeyValue::new("gen_ai.usage.cache_read.input_tokens", usage.cached_prompt as i64));
        }
        let texts = [
            ("gen_ai.response.id", &reply.response_id),
            ("gen_ai.response.model", &reply.response_model),
            ("openai.response.system_fingerprint", &reply.fingerprint),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                span.set_attribute(KeyValue::new(key, value.clone()));
            }
        }
        let mut labels = self.labels.clone();
        labels.extend(reply.response_model.iter().map(|model| KeyValue::new("gen_ai.response.model", model.clone())));
        let instruments = &self.telemetry.instruments;
        if let Some(first) = self.first.get() {
            span.set_attribute(KeyValue::new("gen_ai.response.time_to_first_chunk", first.as_secs_f64()));
            instruments.call_first.record(first.as_secs_f64(), &labels);
        }
        if self.telemetry.content {
            span.set_attribute(KeyValue::new("gen_ai.output.messages", output(&draws)));
        }
        for (kind, tokens) in [("input", usage.prompt), ("output", usage.decode)] {
            if tokens > 0 {
                let mut labels = labels.clone();
                labels.push(KeyValue::new("gen_ai.token.type", kind));
                instruments.tokens.record(tokens, &labels);
            }
        }
        // Of the error its kind: its message may hold what the server said.
        if let Some(error) = reply.draws.iter().find_map(|draw| draw.as_ref().err()) {
            let kind = KeyValue::new("error.type", error.kind.name());
            span.set_attribute(kind.clone());
            span.set_status(Status::error(""));
            labels.push(kind);
        }
        span.end();
        instruments.call_seconds.record(self.began.elapsed().as_secs_f64(), &labels);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if self.ended.get().is_some() {
            return;
        }
        // Nobody waits for it any more.
        let cancelled = KeyValue::new("error.type", "cancelled");
        let span = self.context.span();
        span.set_attribute(cancelled.clone());
        span.end();
        let mut labels = self.labels.clone();
        labels.push(cancelled);
        self.telemetry.instruments.call_seconds.record(self.began.elapsed().as_secs_f64(), &labels);
    }
}

/// What is asked of the model, but for the prompt.
fn asked(call: &CallBegins<'_>) -> Vec<KeyValue> {
    let decoding = &call.request.decoding;
    let mut asked = vec![
        KeyValue::new("agenttts.model", call.model.name.clone()),
        KeyValue::new("agenttts.call.purpose", call.purpose),
    ];
    if call.request.is_embedding() {
        return asked;
    }
    asked.extend([
        KeyValue::new("gen_ai.request.temperature", decoding.temperature.get()),
        KeyValue::new("gen_ai.request.max_tokens", i64::from(decoding.max_tokens)),
        KeyValue::new("gen_ai.request.seed", i64::from(call.first_seed)),
    ]);
    asked.extend(decoding.top_p.map(|top_p| KeyValue::new("gen_ai.request.top_p", top_p)));
    if call.samples > 1 {
        asked.push(KeyValue::new("gen_ai.request.choice.count", i64::from(call.samples)));
    }
    if call.is_heard {
        asked.push(KeyValue::new("gen_ai.request.stream", true));
    }
    asked
}

/// Host and port of an address.
fn address(base_url: &str) -> Option<(String, u16)> {
    let uri: Uri = base_url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(usual)))
}

fn input(messages: &[Message]) -> String {
    let message = |m: &Message| json!({"role": m.role, "parts": [{"type": "text", "content": m.content}]});
    messages.iter().map(message).collect::<serde_json::Value>().to_string()
}

fn output(draws: &[&Draw]) -> String {
    let message = |draw: &&Draw| {
        let parts = [json!({"type": "text", "content": draw.text})];
        json!({"role": "assistant", "parts": parts, "finish_reason": draw.finish.name()})
    };
    draws.iter().map(message).collect::<serde_json::Value>().to_string()
}
