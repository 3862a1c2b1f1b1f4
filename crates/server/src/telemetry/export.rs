//! Where telemetry goes, by the standard variables of OpenTelemetry, and its end.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;

use super::Telemetry;
use super::instruments::Instruments;

const NAME: &str = "agenttts";
const NO_NAME: &str = "unknown_service";
/// How long the end may wait for the collector.
const FLUSH: Duration = Duration::from_secs(5);

/// That traces and metrics are exported, over OTLP as HTTP with protobuf. Addresses, headers, sampling, batches and the resource
/// come from the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, ...).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Otel {
    /// The collector, without the path, where it is not that of the environment.
    pub endpoint: Option<String>,
    /// Whether spans hold prompts and answers.
    pub content: bool,
    /// How long the collector may take for a batch, where that is not said by the environment.
    pub timeout: Option<Duration>,
}

/// Why there can be no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A setting of the environment.
    #[error("{0}")]
    Setting(String),
    /// The exporter.
    #[error("{0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The HTTP client.
    #[error("no HTTP client for the collector: {0}")]
    Client(String),
}

impl Otel {
    /// Whether the environment asks for telemetry: it names a collector, and does not disable the whole.
    pub fn is_asked_for() -> bool {
        let named = ["", "_TRACES", "_METRICS"].map(|signal| format!("OTEL_EXPORTER_OTLP{signal}_ENDPOINT"));
        named.iter().any(|name| variable(name).is_some()) && !Otel::is_disabled()
    }

    /// Whether `OTEL_SDK_DISABLED` says so.
    pub fn is_disabled() -> bool {
        variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

impl Telemetry {
    /// Starts the threads that export. Nothing is sent yet.
    pub(crate) fn start(options: &Otel) -> Result<Arc<Self>, TelemetryError> {
        let resource = resource();
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        if exports("TRACES")? {
            let exporter = SpanExporter::builder().with_http().with_http_client(client("TRACES", options)?);
            let exporter = match &options.endpoint {
                Some(endpoint) => exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/'))),
                None => exporter,
            };
            let exporter = match options.timeout {
                Some(timeout) => exporter.with_timeout(timeout),
                None => exporter,
            };
            traces = traces.with_batch_exporter(exporter.build()?);
        }
        let mut metrics = SdkMeterProvider::builder().with_resource(resource);
        if exports("METRICS")? {
            let exporter = MetricExporter::builder().with_http().with_http_client(client("METRICS", options)?);
            let exporter = match &options.endpoint {
                Some(endpoint) => exporter.with_endpoint(format!("{}/v1/metrics", endpoint.trim_end_matches('/'))),
                None => exporter,
            };
            let exporter = match options.timeout {
                Some(timeout) => exporter.with_timeout(timeout),
                None => exporter,
            };
            metrics = metrics.with_periodic_exporter(exporter.build()?);
        }
        let (traces, metrics) = (traces.build(), metrics.build());
        Ok(Arc::new(Telemetry {
            tracer: traces.tracer(NAME),
            instruments: Instruments::new(&metrics.meter(NAME)),
            traces,
            metrics,
            propagator: TraceContextPropagator::new(),
            content: options.content,
        }))
    }

    /// Sends what was not sent yet, as far as the collector takes it soon.
    pub(crate) async fn end(self: Arc<Self>) {
        // Their threads are waited for, which must not hold up this one.
        let (of_traces, of_metrics) = (self.clone(), self);
        let traces = tokio::task::spawn_blocking(move || of_traces.traces.shutdown_with_timeout(FLUSH));
        let metrics = tokio::task::spawn_blocking(move || of_metrics.metrics.shutdown_with_timeout(FLUSH));
        let both = futures::future::join(traces, metrics);
        match tokio::time::timeout(FLUSH, both).await {
            Ok((Ok(Ok(())), Ok(Ok(())))) => {}
            Ok(_) => tracing::warn!("the last traces and metrics did not reach the collector"),
            Err(_) => tracing::warn!("the collector did not take the last traces and metrics in time"),
        }
    }
}

/// Whether a signal is exported, and that it can be in the way that the environment wants.
fn exports(signal: &str) -> Result<bool, TelemetryError> {
    let name = format!("OTEL_{signal}_EXPORTER");
    match variable(&name).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(false),
        Some(other) => return Err(TelemetryError::Setting(format!("{name} is {other:?}, and only otlp is there"))),
    }
    for name in [format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".into()] {
        match variable(&name).as_deref() {
            None => continue,
            Some("http/protobuf") => break,
            Some(other) => {
                let message = format!("{name} is {other:?}, and only http/protobuf is there (usually at port 4318)");
                return Err(TelemetryError::Setting(message));
            }
        }
    }
    Ok(true)
}

/// The resource of the environment, with our name where it has none.
fn resource() -> Resource {
    let resource = Resource::builder();
    let named = Resource::builder().build().get(&"service.name".into());
    let resource = match named {
        Some(name) if !name.as_str().starts_with(NO_NAME) => resource,
        _ => resource.with_service_name(NAME),
    };
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

/// The client of one signal. Built on a thread of its own, as it blocks.
fn client(signal: &str, options: &Otel) -> Result<reqwest::blocking::Client, TelemetryError> {
    const TIMEOUT: Duration = Duration::from_secs(10);
    agenttts_models::install_crypto();
    let names = [format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT".into()];
    let of_environment = names.iter().find_map(|name| variable(name)?.parse().ok().map(Duration::from_millis));
    let timeout = options.timeout.or(of_environment).unwrap_or(TIMEOUT);
    let endpoint = options.endpoint.clone().or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")));
    let endpoint = endpoint.or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let url = endpoint.and_then(|endpoint| Url::parse(&endpoint).ok());
    let built = std::thread::spawn(move || {
        let mut builder = reqwest::blocking::Client::builder().timeout(timeout);
        let is_loopback = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.as_ref().is_none_or(is_loopback) {
            builder = builder.no_proxy();
        }
        if url.as_ref().is_none_or(|url| url.scheme() == "http") {
            // No certificates are needed, and a machine without any must not be turned away.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| format!("{error:?}"))
    });
    match built.join() {
        Ok(client) => client.map_err(TelemetryError::Client),
        Err(_) => Err(TelemetryError::Client("its thread broke off".into())),
    }
}
