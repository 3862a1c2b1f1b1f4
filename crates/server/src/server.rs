//! Listening, and ending well.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use crate::access::{Access, KeyFile, KeyFileError};
use crate::app::{self, App, AppLimits};
use crate::dashboard::DashboardState;
use crate::error::ServerError;
use crate::examples::{ExampleLog, Examples};
use crate::metrics::Metrics;
use crate::options::ServeOptions;
use crate::plans::{Catalogue, Gate};
use crate::telemetry::Telemetry;

/// Bytes that the headers of a request may have together, and how many there may be.
const HEADER_BYTES: usize = 64 << 10;
const HEADERS: usize = 100;

/// Requests that an HTTP/2 connection may have under way.
const STREAMS: u32 = 128;

/// A server that listens, and does not answer yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: Arc<App>,
    reload: Option<Duration>,
    silence: Duration,
}

impl Server {
    /// Reads plans and keys, and listens. Requests are answered from [`Server::run`] on.
    ///
    /// # Errors
    /// Plans or keys that cannot be used, an address that is open to others without keys and TLS, an address that cannot be
    /// listened on.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServerError> {
        let keys = match &options.keys {
            None => None,
            Some(file) => {
                let keys = KeyFile::read(file)?;
                if keys.keys.is_empty() {
                    let message = "there is no key in it, so nobody could send a request".into();
                    return Err(ServerError::Keys(KeyFileError { file: file.clone(), message }));
                }
                Some((file.clone(), keys))
            }
        };
        if !options.address.ip().is_loopback() {
            if keys.is_none() {
                return Err(ServerError::OpenToAll { address: options.address, lacks: "API keys" });
            }
            if options.tls.is_none() && !options.behind_proxy {
                return Err(ServerError::OpenToAll { address: options.address, lacks: "TLS" });
            }
        }
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
        // Before the plans: a port that is taken is told at once.
        let listener = listen().map_err(|source| ServerError::Listen { address: options.address, source })?;
        let catalogue = Catalogue::load(options.plans, options.workshop.clone()).await?;
        let examples = options.examples.as_ref().map(|log| examples(log, &catalogue)).transpose()?;
        let telemetry = options.otel.as_ref().map(Telemetry::start).transpose()?;
        let gate = Gate::new(options.at_once, options.queue);
        let app = App {
            dashboard: DashboardState::new(options.store, options.workshop, gate.clone(), options.deadline),
            catalogue,
            examples,
            gate,
            metrics: Metrics::new(),
            adaptive: options.adaptive,
            limits: AppLimits { body: options.body, deadline: options.deadline, silence: options.silence },
            telemetry,
            access: Arc::new(Access::new(keys, options.behind_proxy, options.tls.is_some())),
        };
        Ok(Server { listener, tls, app: Arc::new(app), reload: options.reload, silence: options.silence })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        Ok(self.listener.local_addr()?)
    }

    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The names of the plans that it serves.
    pub fn plans(&self) -> Vec<String> {
        self.app.catalogue.all().iter().map(|(plan, _)| plan.name.clone()).collect()
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
        let watch = tokio::spawn({
            let (handle, app) = (handle.clone(), self.app.clone());
            async move {
                stop.await;
                app.gate.close();
                app.dashboard.end();
                handle.graceful_shutdown(Some(grace));
            }
        });
        let reloading = self.reload.map(|every| tokio::spawn(keep_fresh(self.app.clone(), every)));
        let (app, telemetry) = (self.app.clone(), self.app.telemetry.clone());
        let service = app::router(self.app).into_make_service_with_connect_info::<SocketAddr>();
        let served = match self.tls {
            None => {
                let mut server = axum_server::from_tcp(self.listener)?.first_request_timeout(self.silence);
                bound(&mut server, self.silence);
                server.handle(handle).serve(service).await
            }
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(self.listener, tls)?.first_request_timeout(self.silence);
                bound(&mut server, self.silence);
                server.handle(handle).serve(service).await
            }
        };
        watch.abort();
        reloading.inspect(|task| task.abort());
        app.dashboard.drain().await;
        if app.examples.is_some() {
            // Whatever waits for the disk is written.
            let _ = tokio::task::spawn_blocking(move || app.examples.as_ref().map(Examples::end)).await;
        }
        if let Some(telemetry) = telemetry {
            telemetry.end().await;
        }
        Ok(served?)
    }
}

/// What a connection may take before it is known whose it is.
fn bound<A: axum_server::Address, Acceptor>(server: &mut axum_server::Server<A, Acceptor>, silence: Duration) {
    let builder = server.http_builder();
    // The timer runs for the headers of every request, and from the end of one to the beginning of the next.
    builder.http1().header_read_timeout(silence).max_buf_size(HEADER_BYTES).max_headers(HEADERS);
    builder
        .http2()
        .max_header_list_size(HEADER_BYTES as u32)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(silence)
        .keep_alive_timeout(silence);
}

/// Begins to keep examples of all plans.
fn examples(log: &ExampleLog, catalogue: &Catalogue) -> Result<Examples, ServerError> {
    let refused = |message: String| ServerError::Examples { folder: log.folder.clone(), message };
    if let Some((plan, _)) = catalogue.all().into_iter().find(|(plan, _)| plan.inputs.contains(&log.answer)) {
        return Err(refused(format!(
            "the plan {:?} reads a field {:?}, so its answer needs another name",
            plan.name, log.answer
        )));
    }
    Examples::begin(log).map_err(|error| refused(error.to_string()))
}

/// Reads plan files again when they change.
async fn keep_fresh(app: Arc<App>, every: Duration) {
    let mut said = Vec::new();
    loop {
        tokio::time::sleep(every).await;
        let (changed, failed) = app.catalogue.reload().await;
        changed.iter().for_each(|plan| tracing::info!(plan, "the plan file changed and is served anew"));
        let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
        // Said once, not at every look.
        for error in failed.iter().filter(|error| !said.contains(*error)) {
            tracing::error!(error, "the plan file changed and cannot be served: the plan before is served on");
        }
        said = failed;
    }
}
