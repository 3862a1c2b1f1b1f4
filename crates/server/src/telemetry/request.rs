//! The span of a request, and the spans of its stages.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use agenttts_core::{Choice, Usage};
use agenttts_engine::{CallBegins, CallListener, StageEnds, StageListener};
use axum::extract::Request;
use axum::http::Method;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::Telemetry;
use super::call::CallSpan;
use crate::plans::Served;

/// A request while it is answered. Its span ends when nobody has to do with it any more.
pub(crate) struct RequestSpan {
    telemetry: Arc<Telemetry>,
    context: Context,
    began: Instant,
    method: &'static str,
    scheme: &'static str,
    route: String,
    plan: OnceLock<Arc<Served>>,
    known: Mutex<Known>,
}

/// What is known of a request only after a while.
#[derive(Default)]
struct Known {
    status: Option<u16>,
    outcome: Option<&'static str>,
    first: Option<Duration>,
}

impl RequestSpan {
    pub(super) fn new(
        telemetry: Arc<Telemetry>,
        parent: &Context,
        request: &Request,
        route: &str,
        scheme: &'static str,
    ) -> Self {
        let method = known_method(request.method());
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("url.path", request.uri().path().to_owned()),
            KeyValue::new("url.scheme", scheme),
        ];
        let builder = telemetry.tracer.span_builder(format!("{method} {route}"));
        let builder = builder.with_kind(SpanKind::Server).with_attributes(attributes);
        let span = builder.start_with_context(&telemetry.tracer, parent);
        RequestSpan {
            context: parent.with_span(span),
            telemetry,
            began: Instant::now(),
            method,
            scheme,
            route: route.to_owned(),
            plan: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// The trace's id, for logs.
    pub(crate) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Which plan it goes to.
    pub(crate) fn goes_to(&self, plan: &Arc<Served>) {
        let span = self.context.span();
        span.set_attributes(self.of_plan(plan));
        if let Some(trial) = plan.trial {
            span.set_attribute(KeyValue::new("agenttts.trial", i64::from(trial)));
        }
        // A request goes to one plan.
        let _ = self.plan.set(plan.clone());
    }

    /// The first part of an answer is there.
    pub(crate) fn text(&self) {
        self.known().first.get_or_insert_with(|| self.began.elapsed());
    }

    /// A stage begins.
    pub(crate) fn stage(self: &Arc<Self>, name: &str, choice: &Choice) -> StageSpan {
        let attributes = [
            KeyValue::new("agenttts.stage", name.to_owned()),
            KeyValue::new("agenttts.stage.model", choice.model.clone()),
            KeyValue::new("agenttts.stage.samples", i64::from(choice.samples)),
            KeyValue::new("agenttts.stage.aggregator", choice.aggregator.name()),
        ];
        let tracer = &self.telemetry.tracer;
        let builder = tracer.span_builder(format!("stage {name}")).with_kind(SpanKind::Internal);
        let span = builder.with_attributes(attributes).start_with_context(tracer, &self.context);
        StageSpan { request: self.clone(), context: self.context.with_span(span), ended: OnceLock::new() }
    }

    /// The plan answered, or did not.
    pub(crate) fn ends(&self, outcome: &'static str, usage: Usage) {
        self.context.span().set_attributes([
            KeyValue::new("agenttts.outcome", outcome),
            KeyValue::new("agenttts.calls", usage.calls as i64),
            KeyValue::new("gen_ai.usage.input_tokens", usage.prompt as i64),
            KeyValue::new("gen_ai.usage.output_tokens", usage.decode as i64),
        ]);
        self.known().outcome = Some(outcome);
    }

    /// The head of the reply is on its way.
    pub(crate) fn replies(&self, status: u16) {
        self.known().status = Some(status);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_plan(&self, plan: &Served) -> [KeyValue; 4] {
        let operation = match self.route.as_str() {
            "/v1/chat/completions" => "chat",
            "/v1/completions" => "text_completion",
            _ => "invoke_workflow",
        };
        [
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", "agenttts"),
            KeyValue::new("gen_ai.request.model", plan.name.clone()),
            KeyValue::new("gen_ai.response.model", plan.id.clone()),
        ]
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let Known { status, outcome, first } = std::mem::take(&mut *self.known());
        let seconds = self.began.elapsed().as_secs_f64();
        let span = self.context.span();
        // A client that went away got no status; a stream had its own before it failed.
        let failed = outcome.filter(|outcome| *outcome != "ok").map(str::to_owned);
        let error = failed.or_else(|| status.filter(|status| *status >= 400).map(|status| status.to_string()));
        if let Some(status) = status {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some(error) = &error {
            span.set_attribute(KeyValue::new("error.type", error.clone()));
        }
        // What clients do wrong is no error of the server's.
        let is_ours = status.is_some_and(|status| status >= 500) || outcome.is_some_and(is_failure);
        if is_ours {
            span.set_status(Status::error(""));
        }
        span.end();
        let instruments = &self.telemetry.instruments;
        let mut http = vec![
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.scheme", self.scheme),
            KeyValue::new("http.route", self.route.clone()),
        ];
        http.extend(status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
        let error = error.map(|error| KeyValue::new("error.type", error));
        http.extend(error.clone());
        instruments.http_seconds.record(seconds, &http);
        if let Some(plan) = self.plan.get() {
            let mut of_plan = self.of_plan(plan).to_vec();
            if let Some(first) = first {
                instruments.plan_first.record(first.as_secs_f64(), &of_plan);
            }
            of_plan.extend(error);
            instruments.plan_seconds.record(seconds, &of_plan);
        }
    }
}

/// The method, where it is one that a request can have here: whoever makes others up must make no new measurements.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

fn is_failure(outcome: &'static str) -> bool {
    matches!(outcome, "failed" | "upstream" | "deadline")
}

/// A stage while it runs.
pub(crate) struct StageSpan {
    request: Arc<RequestSpan>,
    context: Context,
    ended: OnceLock<StageEnds>,
}

impl StageListener for StageSpan {
    fn call(&self, call: &CallBegins<'_>) -> Option<Box<dyn CallListener>> {
        let runner = &self.request.plan.get()?.runner;
        let provider = runner.providers().iter().find(|provider| provider.name == call.model.provider);
        Some(Box::new(CallSpan::new(self.request.telemetry.clone(), &self.context, call, provider)))
    }

    fn end(&self, end: StageEnds) {
        // A stage ends once.
        let _ = self.ended.set(end);
    }
}

impl Drop for StageSpan {
    fn drop(&mut self) {
        let span = self.context.span();
        match self.ended.get() {
            Some(StageEnds::Output) => {}
            Some(StageEnds::Skipped) => span.set_attribute(KeyValue::new("agenttts.stage.skipped", true)),
            Some(StageEnds::Failed) => {
                span.set_attribute(KeyValue::new("error.type", "failed"));
                span.set_status(Status::error(""));
            }
            None => span.set_attribute(KeyValue::new("error.type", "cancelled")),
        }
        span.end();
    }
}
