//! What a server is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address to listen on; port 0 = any free one.
    pub address: SocketAddr,
    /// Certificate and key, where the server is to speak TLS itself.
    pub tls: Option<Tls>,
    /// Whether a proxy that is trusted stands before the server, speaks TLS, and names clients in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// The store of the studies that the dashboard shows.
    pub store: PathBuf,
}

/// The files of a TLS certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}
