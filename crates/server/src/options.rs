//! What a server is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use agenttts_engine::{Adaptive, Workshop};

use crate::examples::ExampleLog;
use crate::plans::PlanSource;
use crate::telemetry::Otel;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address to listen on; port 0 = any free one.
    pub address: SocketAddr,
    /// The plans to serve; none for the dashboard alone.
    pub plans: Vec<PlanSource>,
    /// Where models come from.
    pub workshop: Workshop,
    /// The store of the studies that the dashboard shows.
    pub store: PathBuf,
    /// The file of API keys. Without one only this machine is answered.
    pub keys: Option<PathBuf>,
    /// Certificate and key, where the server is to speak TLS itself.
    pub tls: Option<Tls>,
    /// Whether a proxy that is trusted stands before the server, speaks TLS, and names clients in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Requests that are answered at once.
    pub at_once: usize,
    /// Requests that may wait behind them.
    pub queue: usize,
    /// The longest that a request may take.
    pub deadline: Duration,
    /// The largest body, in bytes.
    pub body: usize,
    /// How long a connection may take to send a request's headers, and a request to send its body; also how long it may say
    /// nothing between two requests.
    pub silence: Duration,
    /// Where answered requests are kept as examples of a later search; `None` = nowhere.
    pub examples: Option<ExampleLog>,
    /// Whether votes are ended as soon as they are decided.
    pub adaptive: Option<Adaptive>,
    /// How often plan files are looked at for changes; `None` = only when asked to.
    pub reload: Option<Duration>,
    /// Whether traces and metrics are exported by OpenTelemetry.
    pub otel: Option<Otel>,
}

impl ServeOptions {
    /// A server without plans, keys and TLS for this machine alone, that looks at no file again.
    pub fn local(address: SocketAddr, workshop: Workshop, store: PathBuf) -> Self {
        ServeOptions {
            address,
            plans: Vec::new(),
            workshop,
            store,
            keys: None,
            tls: None,
            behind_proxy: false,
            at_once: 16,
            queue: 16,
            deadline: Duration::from_secs(600),
            body: 4 << 20,
            silence: Duration::from_secs(30),
            examples: None,
            adaptive: None,
            reload: None,
            otel: None,
        }
    }
}

/// The files of a TLS certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}
