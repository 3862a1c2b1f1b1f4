//! Certificates that nobody trusts unless told to.

use std::io;
use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate of this machine's loopback addresses, signed by itself, with its key; both as PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, which is also the authority that a client has to trust.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new() -> io::Result<Self> {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let made = generate_simple_self_signed(names).map_err(io::Error::other)?;
        Ok(Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    /// What a server speaks TLS with.
    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let certificates: Vec<CertificateDer> = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
