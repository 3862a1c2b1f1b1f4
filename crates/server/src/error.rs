//! Why a server could not start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
            ServerError::Io(_) => None,
        }
    }
}
