//! Listening, and ending well.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use crate::app;
use crate::error::ServerError;
use crate::options::ServeOptions;

/// A server that listens, and does not answer yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    router: Router,
}

impl Server {
    /// Listens. Requests are answered from [`Server::run`] on.
    ///
    /// # Errors
    /// An address that cannot be listened on, a certificate that cannot be used.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServerError> {
        let tls = match &options.tls {
            None => None,
            Some(files) => Some(
                RustlsConfig::from_pem_file(&files.certificate, &files.key)
                    .await
                    .map_err(|source| ServerError::Tls { file: files.certificate.clone(), source })?,
            ),
        };
        let listen = || {
            let listener = TcpListener::bind(options.address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| ServerError::Listen { address: options.address, source })?;
        Ok(Server { listener, tls, router: app::router(&options) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    /// Answers requests until `stop` resolves; then takes no new ones and gives those under way `grace` to end.
    ///
    /// # Errors
    /// Where the server breaks off.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> Result<(), ServerError> {
        let handle = Handle::new();
        let stopping = handle.clone();
        let watch = tokio::spawn(async move {
            stop.await;
            stopping.graceful_shutdown(Some(grace));
        });
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        let served = match self.tls {
            None => axum_server::from_tcp(self.listener)?.handle(handle).serve(service).await,
            Some(tls) => axum_server::from_tcp_rustls(self.listener, tls)?.handle(handle).serve(service).await,
        };
        watch.abort();
        Ok(served?)
    }
}
