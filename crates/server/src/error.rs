//! Why a server could not start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::access::KeyFileError;
use crate::plans::Unusable;
use crate::telemetry::TelemetryError;

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("TLS with {} cannot be set up: {source}", file.display())]
    Tls {
        /// The certificate's file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A plan cannot be served.
    #[error(transparent)]
    Plan(#[from] Unusable),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Others than this machine could reach the server, and nothing would keep them out.
    #[error("{address} can be reached from elsewhere, and the server lacks {lacks}")]
    OpenToAll {
        /// The address.
        address: SocketAddr,
        /// What is missing.
        lacks: &'static str,
    },
    /// Answered requests cannot be kept as examples.
    #[error("answered requests cannot be kept in {}: {message}", folder.display())]
    Examples {
        /// The folder.
        folder: PathBuf,
        /// Why.
        message: String,
    },
    /// Traces and metrics cannot be exported.
    #[error("OpenTelemetry cannot be set up: {0}")]
    Telemetry(#[from] TelemetryError),
    /// The server broke off.
    #[error("the server broke off: {0}")]
    Io(#[from] io::Error),
}

impl ServerError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ServerError::Listen { source, address } if source.kind() == io::ErrorKind::AddrInUse => Some(format!(
                "another program listens there: name another port, such as --listen {}:0 for any free one",
                address.ip()
            )),
            ServerError::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are for the administrator: name a higher one with --listen".into())
            }
            ServerError::Listen { .. } => Some("name an address of this machine with --listen".into()),
            ServerError::Tls { .. } => {
                Some("--tls-cert and --tls-key name PEM files of a certificate and its key".into())
            }
            ServerError::OpenToAll { lacks: "TLS", .. } => {
                Some("give --tls-cert and --tls-key, or --behind-proxy where a proxy that you trust speaks TLS".into())
            }
            ServerError::OpenToAll { .. } => {
                Some("make a key with `agenttts keys new NAME`, and give --keys; or listen on 127.0.0.1".into())
            }
            ServerError::Plan(unusable) => unusable.error.hint(),
            ServerError::Keys(_) => Some("`agenttts keys new NAME` writes such a file".into()),
            ServerError::Examples { .. } => Some(
                "--log-examples names a folder that can be written, --log-answer-as a field that no plan reads".into(),
            ),
            ServerError::Telemetry(_) => {
                Some("set OTEL_EXPORTER_OTLP_ENDPOINT to the collector's address, such as http://127.0.0.1:4318, or OTEL_SDK_DISABLED=true".into())
            }
            ServerError::Io(_) => None,
        }
    }
}
