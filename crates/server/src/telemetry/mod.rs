//! OpenTelemetry: a trace for every request, with a span for each stage and each call to a model, and metrics. Names are those
//! of the semantic conventions for HTTP and generative AI; what is ours begins with `agenttts.`.
//!
//! Spans wait in a bounded queue for a thread of their own, which sends them. A collector that is slow or gone costs spans,
//! never a request.

mod call;
mod export;
mod instruments;
mod request;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use export::{Otel, TelemetryError};
use instruments::Instruments;
pub(crate) use request::RequestSpan;

/// What spans and measurements are made with.
pub(crate) struct Telemetry {
    tracer: SdkTracer,
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    instruments: Instruments,
    propagator: TraceContextPropagator,
    /// Whether spans hold prompts and answers.
    content: bool,
}

impl Telemetry {
    /// The span of a request that arrived at a route. It goes on with the trace that the headers name.
    pub(crate) fn request(self: &Arc<Self>, request: &Request, route: &str, scheme: &'static str) -> Arc<RequestSpan> {
        let parent = self.propagator.extract_with_context(&Context::new(), &Headers(request.headers()));
        Arc::new(RequestSpan::new(self.clone(), &parent, request, route, scheme))
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|key| key.as_str()).collect()
    }
}
