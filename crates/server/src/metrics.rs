//! Prometheus metrics. Labels are plans and outcomes, never what clients send.

use agenttts_core::CostModel;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use crate::app::App;
use crate::plans::{Ended, Served, drift};

/// All metrics.
pub(crate) struct Metrics {
    registry: Registry,
    responses: Family<Status, Counter>,
    requests: Family<Outcome, Counter>,
    tokens: Family<TokenKind, Counter>,
    calls: Family<Plan, Counter>,
    usd: Family<Plan, Counter<f64, AtomicU64>>,
    seconds: Family<Plan, Histogram>,
    drift: Family<DriftState, Gauge>,
    examples: Family<ExampleOutcome, Gauge>,
    running: Gauge,
    waiting: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExampleOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plan {
    plan: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    plan: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenKind {
    plan: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftState {
    plan: String,
    state: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("agenttts"),
            responses: Family::default(),
            requests: Family::default(),
            tokens: Family::default(),
            calls: Family::default(),
            usd: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 16))),
            drift: Family::default(),
            examples: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
        };
        let Metrics { registry, responses, requests, tokens, calls, usd, seconds, drift, examples, running, waiting } =
            &mut metrics;
        registry.register("responses", "Replies of all addresses, refusals too, by status", responses.clone());
        registry.register("requests", "Requests by how they ended", requests.clone());
        registry.register("tokens", "Tokens as billed, by kind", tokens.clone());
        registry.register("calls", "Calls to models", calls.clone());
        registry.register("usd", "Dollars, given-up calls at the most that they can have cost", usd.clone());
        registry.register("request_seconds", "Seconds from arrival to answer", seconds.clone());
        registry.register("drift", "1 for the state of a plan's traffic: ok, drifting or unknown", drift.clone());
        registry.register("examples", "Requests kept as examples, and lost", examples.clone());
        registry.register("running", "Requests under way", running.clone());
        registry.register("waiting", "Requests in the queue", waiting.clone());
        metrics
    }

    /// Counts a reply, whatever it is to.
    pub(crate) fn replied(&self, status: u16) {
        self.responses.get_or_create(&Status { status: status.into() }).inc();
    }

    /// Counts a request that ended.
    pub(crate) fn book(&self, served: &Served, ended: &Ended) {
        let plan = served.id.clone();
        self.requests.get_or_create(&Outcome { plan: plan.clone(), outcome: ended.outcome }).inc();
        let usage = ended.took.usage;
        for (kind, count) in
            [("prompt", usage.prompt), ("cached_prompt", usage.cached_prompt), ("decode", usage.decode)]
        {
            self.tokens.get_or_create(&TokenKind { plan: plan.clone(), kind }).inc_by(count);
        }
        let plan = Plan { plan };
        self.calls.get_or_create(&plan).inc_by(usage.calls);
        self.usd.get_or_create(&plan).inc_by(CostModel::Usd.units(ended.took.amounts.usd));
        self.seconds.get_or_create(&plan).observe(ended.seconds);
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self, app: &App) -> Response {
        let (running, waiting) = app.gate.load();
        self.running.set(running as i64);
        self.waiting.set(waiting as i64);
        if let Some(examples) = &app.examples {
            let counts = examples.counts();
            for (outcome, count) in [("written", counts.written), ("lost", counts.lost)] {
                self.examples.get_or_create(&ExampleOutcome { outcome }).set(count as i64);
            }
        }
        // Plans that were replaced are not served any more, whatever they drifted to.
        self.drift.clear();
        for (plan, front) in app.catalogue.all() {
            for plan in std::iter::once(plan).chain(front) {
                let now = drift(plan.expected.as_ref(), &plan.traffic.window()).state;
                for state in ["ok", "drifting", "unknown"] {
                    let labels = DriftState { plan: plan.id.clone(), state };
                    self.drift.get_or_create(&labels).set(i64::from(state == now));
                }
            }
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            return crate::api_error::ApiError::internal().into_response();
        }
        ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
    }
}
