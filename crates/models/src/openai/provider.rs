//! One OpenAI-compatible provider: its address, key, connection pool and limits, shared by all its models.

use std::sync::Arc;
use std::time::Duration;

use agenttts_core::{ModelSpec, OpenaiSpec, ProviderSpec};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::Value;

use super::breaker::Breaker;
use super::failure::{self, Failure};
use super::key::ApiKey;
use super::limits::Limits;
use super::model::OpenaiModel;
use crate::retry::RetryPolicy;
use crate::{ConnectOptions, ModelError, ModelErrorKind, TraceContext};

/// An OpenAI-compatible provider. Its models share connections, key, concurrency and rate limits.
#[derive(Debug)]
pub struct OpenaiProvider {
    name: String,
    base_url: String,
    /// Parsed once, not for every call.
    completions: Url,
    embeddings: Url,
    client: Client,
    key: Option<ApiKey>,
    pub(super) limits: Limits,
    pub(super) breaker: Breaker,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) policy: RetryPolicy,
    pub(super) max_n: Option<u32>,
    pub(super) hedge: Option<f64>,
}

impl OpenaiProvider {
    /// Prepares the client; nothing is sent yet.
    ///
    /// Errors when the key's variable is not set ([`ModelErrorKind::MissingKey`]) or the address is no HTTP URL.
    pub fn new(spec: &ProviderSpec, openai: &OpenaiSpec, options: &ConnectOptions) -> Result<Arc<Self>, ModelError> {
        let url = parse_url(&spec.name, &openai.base_url)?;
        let key = match &openai.api_key_env {
            Some(variable) => Some(ApiKey::from_env(&spec.name, variable, &*options.env)?),
            None => None,
        };
        let base_url = url.as_str().trim_end_matches('/').to_owned();
        let below = |path: &str| parse_url(&spec.name, &format!("{base_url}/{path}"));
        Ok(Arc::new(OpenaiProvider {
            name: spec.name.clone(),
            completions: below("chat/completions")?,
            embeddings: below("embeddings")?,
            base_url,
            client: client(&spec.name, &url)?,
            key,
            limits: Limits::new(
                spec.concurrency,
                openai.adaptive,
                openai.requests_per_minute,
                openai.tokens_per_minute,
            ),
            breaker: Breaker::new(options.retry),
            timeout: Duration::from_secs(u64::from(openai.timeout_seconds.max(1))),
            retries: openai.retries,
            policy: options.retry,
            max_n: openai.max_n.filter(|max| *max > 0),
            hedge: openai.hedge,
        }))
    }

    /// A model of this provider; it is not checked here that the provider knows it.
    pub fn model(self: &Arc<Self>, spec: &ModelSpec) -> OpenaiModel {
        OpenaiModel::new(Arc::clone(self), spec)
    }

    /// The ids of the models that the provider offers (`GET /models`), in its order.
    pub async fn list_models(&self) -> Result<Vec<String>, ModelError> {
        const PATIENCE: Duration = Duration::from_secs(15);
        let request = self.client.get(format!("{}/models", self.base_url)).timeout(self.timeout.min(PATIENCE));
        let subject = self.subject();
        let (body, _) = self.send(request, 1).await.map_err(|failure| failure.into_error(&subject, 1))?;
        let offered: Option<Vec<String>> = serde_json::from_slice(&body).ok().and_then(|value: Value| {
            let entries = value.get("data").or_else(|| value.get("models"))?.as_array()?;
            let id = |entry: &Value| Some(entry.get("id").or_else(|| entry.get("name"))?.as_str()?.to_owned());
            Some(entries.iter().filter_map(id).collect())
        });
        offered.ok_or_else(|| {
            ModelError::new(ModelErrorKind::BadReply, format!("{subject}: GET /models returned no list of models"))
                .hint("check the provider's `base_url`: it usually ends with /v1")
        })
    }

    /// The address up to and including the version, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// How messages name this provider.
    pub(super) fn subject(&self) -> String {
        format!("provider {:?} at {}", self.name, self.base_url)
    }

    /// One attempt at a completion: a successful reply, of which the body is still to come.
    pub(super) async fn complete(
        &self,
        body: &Value,
        asked: u32,
        trace: Option<&TraceContext>,
    ) -> Result<Incoming<'_>, Failure> {
        let request = self.client.post(self.completions.clone()).json(body).timeout(self.timeout);
        self.open(traced(request, trace), asked).await
    }

    /// One attempt at an embedding: the body of a successful reply.
    pub(super) async fn embed(
        &self,
        body: &Value,
        trace: Option<&TraceContext>,
    ) -> Result<(Vec<u8>, ContentType), Failure> {
        let request = self.client.post(self.embeddings.clone()).json(body).timeout(self.timeout);
        self.send(traced(request, trace), 1).await
    }

    /// The tokens of a text by llama.cpp's `/tokenize`, which lies beside the versioned API; `None` if there is none.
    pub(super) async fn tokenize(&self, text: &str) -> Option<u64> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let root = self.base_url.strip_suffix("/v1").unwrap_or(&self.base_url);
        let body = serde_json::json!({"content": text, "add_special": false});
        let request = self.client.post(format!("{root}/tokenize")).json(&body).timeout(PATIENCE);
        let (body, _) = self.send(request, 1).await.ok()?;
        let value: Value = serde_json::from_slice(&body).ok()?;
        Some(value.get("tokens")?.as_array()?.len() as u64)
    }

    async fn send(&self, request: RequestBuilder, asked: u32) -> Result<(Vec<u8>, ContentType), Failure> {
        let mut incoming = self.open(request, asked).await?;
        let body = incoming.rest().await?;
        Ok((body, incoming.content_type))
    }

    /// Sends a request and waits for the head of a successful reply.
    async fn open(&self, mut request: RequestBuilder, asked: u32) -> Result<Incoming<'_>, Failure> {
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.header());
        }
        let response = request.send().await.map_err(|e| self.broken(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let content_type = ContentType(headers.get("content-type").and_then(|v| v.to_str().ok()).map(str::to_owned));
        let mut incoming = Incoming { provider: self, response, content_type, read: 0 };
        if status.is_success() {
            return Ok(incoming);
        }
        let body = incoming.rest().await?;
        let failure = failure::from_status(status, &headers, &body, asked);
        Err(Failure { message: self.redact(&failure.message), ..failure })
    }

    fn broken(&self, error: &reqwest::Error) -> Failure {
        let failure = failure::from_transport(error, self.timeout);
        Failure { message: self.redact(&failure.message), ..failure }
    }

    /// Removes the key from a text that a server sent.
    pub(super) fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text))
    }
}

/// A reply of which the body is still to come.
pub(super) struct Incoming<'a> {
    provider: &'a OpenaiProvider,
    response: Response,
    pub(super) content_type: ContentType,
    /// Bytes of the body so far.
    read: usize,
}

impl Incoming<'_> {
    /// The next bytes, up to a size that no honest reply reaches; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]>>, Failure> {
        const LARGEST: usize = 64 << 20;
        let chunk = self.response.chunk().await.map_err(|e| self.provider.broken(&e))?;
        self.read += chunk.as_ref().map_or(0, |chunk| chunk.len());
        if self.read > LARGEST {
            return Err(Failure::new(ModelErrorKind::BadReply, "the reply is larger than 64 MiB"));
        }
        Ok(chunk)
    }

    /// All that is still to come.
    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(chunk.as_ref());
        }
        Ok(body)
    }
}

/// The request as a part of a trace.
fn traced(request: RequestBuilder, trace: Option<&TraceContext>) -> RequestBuilder {
    let Some(TraceContext { parent, state }) = trace else { return request };
    let request = request.header("traceparent", parent);
    match state {
        Some(state) => request.header("tracestate", state),
        None => request,
    }
}

/// What kind of body a server says it sent.
pub(super) struct ContentType(Option<String>);

impl ContentType {
    /// The kind, where it is stated and is not JSON.
    pub(super) fn other_than_json(&self) -> Option<&str> {
        self.0.as_deref().filter(|kind| !kind.contains("json"))
    }

    /// Whether it is a stream of events.
    pub(super) fn is_events(&self) -> bool {
        self.0.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"))
    }
}

fn parse_url(provider: &str, text: &str) -> Result<Url, ModelError> {
    let bad = |why: &str| {
        // The text itself is not repeated: it may hold a key.
        ModelError::new(ModelErrorKind::Refused, format!("provider {provider:?}: `base_url` {why}"))
            .hint("give the address up to and including the version, such as http://127.0.0.1:8000/v1")
    };
    let url = Url::parse(text).map_err(|e| bad(&format!("is no URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(bad("must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must hold neither a key nor a query; keys belong into the variable of `api_key_env`"));
    }
    Ok(url)
}

/// HTTP/1.1 only: over HTTP/2 all calls would share one connection, whose stream limit (about 100) would cap them.
fn client(provider: &str, url: &Url) -> Result<Client, ModelError> {
    crate::tls::install_crypto();
    let mut builder = Client::builder()
        .user_agent(concat!("agenttts/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        // Below the 5 s after which common servers close idle connections: a call must not meet a closing one.
        .pool_idle_timeout(Duration::from_secs(4));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // No certificates are needed, and a machine without any must not be turned away.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|e| {
        ModelError::new(ModelErrorKind::Engine, format!("provider {provider:?}: no HTTP client: {e:?}"))
            .hint("HTTPS needs the system's CA certificates (Debian: apt install ca-certificates)")
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_work_are_refused_without_repeating_them() {
        for text in ["", "ftp://x/v1", "http://user:secret@host/v1", "https://host/v1?key=secret", "host:8000/v1"] {
            let error = parse_url("p", text).unwrap_err();
            assert!(error.hint.is_some() && !format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn https_works_or_says_what_the_system_lacks() {
        match client("p", &Url::parse("https://api.example.com/v1").unwrap()) {
            Ok(_) => {}
            Err(error) => assert!(error.hint.unwrap().contains("ca-certificates")),
        }
    }

    #[test]
    fn http_needs_no_certificates() {
        assert!(client("p", &Url::parse("http://10.0.0.1/v1").unwrap()).is_ok());
    }

    #[test]
    fn loopback_addresses_go_past_proxies() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(loopback("http://localhost:1/v1") && loopback("http://127.0.0.9/v1") && loopback("http://[::1]:8/v1"));
        assert!(!loopback("https://api.example.com/v1"));
    }
}
