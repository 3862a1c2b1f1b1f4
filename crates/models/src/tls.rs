//! TLS for every HTTP client.

use std::sync::Once;

/// Installs ring as the process's TLS cryptography, once. A provider that the host program chose before us is kept.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that one is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
