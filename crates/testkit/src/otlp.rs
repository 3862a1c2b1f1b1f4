//! A receiver of OpenTelemetry's protocol (OTLP as HTTP with protobuf), which keeps what it was sent.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agenttts_core::text::hex;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as Any, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running receiver. Dropping it stops it.
pub struct OtlpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    hangs: bool,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Spans, in the order in which they came.
    pub spans: Vec<ReceivedSpan>,
    /// Points of histograms.
    pub points: Vec<ReceivedPoint>,
    /// Requests that could not be read.
    pub unreadable: usize,
    /// All requests.
    pub requests: usize,
}

/// A span.
#[derive(Clone, Debug, Default)]
pub struct ReceivedSpan {
    /// Its name.
    pub name: String,
    /// Its kind, by number: 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its id, in hexadecimal.
    pub id: String,
    /// The id of its parent; empty where it has none.
    pub parent: String,
    /// What is said of it.
    pub attributes: BTreeMap<String, Value>,
    /// Whether its status is an error, and what that says.
    pub error: Option<String>,
    /// `service.name` of its resource.
    pub service: Value,
}

/// A point of a histogram.
#[derive(Clone, Debug, Default)]
pub struct ReceivedPoint {
    /// The instrument.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// What it is about.
    pub attributes: BTreeMap<String, Value>,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl OtlpReceiver {
    /// A receiver on a free port of loopback.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn start() -> io::Result<Self> {
        OtlpReceiver::with(Shared::default()).await
    }

    /// One that takes connections and requests, and never answers.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn hanging() -> io::Result<Self> {
        OtlpReceiver::with(Shared { hangs: true, ..Shared::default() }).await
    }

    async fn with(shared: Shared) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(shared);
        let app = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(OtlpReceiver { address, shared, task })
    }

    /// The address for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far.
    pub fn received(&self) -> Received {
        self.shared.received().clone()
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn takes(&self) {
        self.received().requests += 1;
        if self.hangs {
            std::future::pending().await
        }
    }

    fn unreadable(&self) -> Response {
        self.received().unreadable += 1;
        StatusCode::BAD_REQUEST.into_response()
    }
}

async fn traces(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.takes().await;
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return shared.unreadable() };
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = attributes(resource.resource.map(|r| r.attributes).unwrap_or_default());
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let status = span.status.unwrap_or_default();
            spans.push(ReceivedSpan {
                name: span.name,
                kind: span.kind,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: attributes(span.attributes),
                // 2 is the code of an error.
                error: (status.code == 2).then_some(status.message),
                service: of_resource.get("service.name").cloned().unwrap_or_default(),
            });
        }
    }
    shared.received().spans.extend(spans);
    taken()
}

async fn metrics(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.takes().await;
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else { return shared.unreadable() };
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let mut points = Vec::new();
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let Some(Data::Histogram(histogram)) = metric.data else { continue };
        for point in histogram.data_points {
            points.push(ReceivedPoint {
                metric: metric.name.clone(),
                unit: metric.unit.clone(),
                attributes: attributes(point.attributes),
                count: point.count,
                sum: point.sum.unwrap_or_default(),
            });
        }
    }
    shared.received().points.extend(points);
    taken()
}

/// An empty answer: everything was taken.
fn taken() -> Response {
    ([(header::CONTENT_TYPE, "application/x-protobuf")], Bytes::new()).into_response()
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, Value> {
    list.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

fn value(any: Option<Any>) -> Value {
    match any.and_then(|any| any.value) {
        Some(AnyValue::StringValue(text)) => json!(text),
        Some(AnyValue::BoolValue(is)) => json!(is),
        Some(AnyValue::IntValue(number)) => json!(number),
        Some(AnyValue::DoubleValue(number)) => json!(number),
        Some(AnyValue::ArrayValue(list)) => list.values.into_iter().map(|v| value(Some(v))).collect(),
        _ => Value::Null,
    }
}
