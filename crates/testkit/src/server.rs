//! The server: routes, faults on the way out, and the record.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::chat;
use crate::connection::{CuttableListener, Switch};
use crate::fault::{fault_of, poison_of};
use crate::served::Log;
use crate::{Config, Fault, Served, UsageReport};

/// A running test server. Dropping it stops it.
pub struct FaultServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    all: Switch,
    task: JoinHandle<()>,
}

struct Shared {
    config: Config,
    served: Mutex<Served>,
    log: Option<Mutex<Log>>,
}

impl FaultServer {
    /// Starts a server on loopback. Errors if the port is taken or the log cannot be opened.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let address = listener.local_addr()?;
        let tls = config.tls.as_ref().map(|certificate| certificate.acceptor()).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log = config.log.as_deref().map(Log::open).transpose()?.map(Mutex::new);
        let shared = Arc::new(Shared { config, served: Mutex::default(), log });
        let app = Router::new()
            .route("/v1/models", get(models))
            .route("/v1/chat/completions", post(completions))
            .route("/v1/embeddings", post(embeddings))
            .route("/tokenize", post(tokenize))
            .with_state(Arc::clone(&shared));
        let all = Switch::default();
        let listener = CuttableListener { inner: listener, tls, all: all.clone() };
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app.into_make_service_with_connect_info::<Switch>()).await;
        });
        Ok(FaultServer { address, scheme, shared, all, task })
    }

    /// The address for a pipeline file: `http://127.0.0.1:PORT/v1`, with `https` where it speaks TLS.
    pub fn base_url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has been served so far.
    pub fn served(&self) -> Served {
        self.shared.served().clone()
    }

    /// Stops the server and cuts its connections; its port is free afterwards.
    pub async fn stop(mut self) {
        self.all.cut();
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.all.cut();
        self.task.abort();
    }
}

impl Shared {
    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; whether the server is down for it.
    fn is_down(&self) -> bool {
        let mut served = self.served();
        served.arrived += 1;
        self.config.down.contains(&(served.arrived - 1))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        self.config.api_key.as_ref().is_none_or(|key| {
            headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) == Some(&format!("Bearer {key}"))
        })
    }
}

/// Counts a request as under way for as long as it lives.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn new(shared: &Arc<Shared>, headers: &HeaderMap, body: &Value) -> (Self, usize) {
        let mut served = shared.served();
        let arrival = served.requests;
        served.requests += 1;
        served.bodies.push(body.clone());
        served.traces.push(headers.get("traceparent").and_then(|v| v.to_str().ok()).map(str::to_owned));
        served.under_way += 1;
        served.most_at_once = served.most_at_once.max(served.under_way);
        drop(served);
        (UnderWay(Arc::clone(shared)), arrival)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.served().under_way -= 1;
    }
}

async fn models(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Switch>,
    headers: HeaderMap,
) -> Response {
    if shared.is_down() {
        return struck(&Fault::Reset, &connection, &Value::Null);
    }
    if !shared.admits(&headers) {
        return unauthorised(&headers);
    }
    let names = match shared.config.models.as_slice() {
        [] => vec!["p70".to_owned()],
        names => names.to_vec(),
    };
    let data: Vec<Value> = names.iter().map(|name| json!({"id": name, "object": "model"})).collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

/// Embeddings: a fake's, and faults as for completions.
async fn embeddings(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Switch>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let (_under_way, arrival) = UnderWay::new(&shared, &headers, &body);
    if shared.is_down() {
        return struck(&Fault::Reset, &connection, &Value::Null);
    }
    if !shared.admits(&headers) {
        return unauthorised(&headers);
    }
    let answered = chat::embed(&body);
    match fault_of(&shared.config, arrival) {
        Some(fault) => struck(&fault, &connection, &answered),
        None => Json(answered).into_response(),
    }
}

/// llama.cpp's tokenizer endpoint: four bytes are a token.
async fn tokenize(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    if shared.config.usage != UsageReport::LlamaServer {
        return StatusCode::NOT_FOUND.into_response();
    }
    let tokens = body["content"].as_str().unwrap_or_default().len().div_ceil(4);
    Json(json!({"tokens": vec![0; tokens]})).into_response()
}

async fn completions(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Switch>,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let config = &shared.config;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (under_way, arrival) = UnderWay::new(&shared, &headers, &body);
    {
        let mut served = shared.served();
        served.http = served.http.max(Some(version));
    }
    if shared.is_down() {
        return struck(&Fault::Reset, &connection, &Value::Null);
    }
    if !config.latency.is_zero() {
        tokio::time::sleep(config.latency).await;
    }
    if !shared.admits(&headers) {
        return unauthorised(&headers);
    }
    let asked = match chat::ask(config, &body, arrival) {
        Ok(asked) => asked,
        Err((status, body)) => return (status_code(status), Json(body)).into_response(),
    };
    let mut answered = chat::answer(config, &asked);
    let fault = poison_of(config, &body).or_else(|| fault_of(config, arrival));
    if let (Some(stream), Some(Fault::Truncated | Fault::Stalled | Fault::ErrorInBody)) = (asked.stream, &fault) {
        let mut events = chat::events(&answered.body, stream);
        events.truncate(events.len() / 2);
        shared.served().decoded += chat::words(&events);
        return streamed(events, fault, under_way);
    }
    match &fault {
        None | Some(Fault::SlowDrip(_)) => {}
        Some(Fault::Hang(time)) => tokio::time::sleep(*time).await,
        Some(Fault::NullContent) => {
            answered.body["choices"][0]["message"]["content"] = Value::Null;
            // The choice without content is no sample.
            answered.keys.remove(0);
        }
        Some(fault) => return struck(fault, &connection, &answered.body),
    }
    if let Some(log) = &shared.log {
        let written = log.lock().unwrap_or_else(PoisonError::into_inner).append(&answered.keys);
        if let Err(error) = written {
            return (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response();
        }
    }
    let mut served = shared.served();
    served.decoded += answered.decoded;
    for key in answered.keys {
        *served.samples.entry(key).or_default() += 1;
    }
    drop(served);
    if let Some(stream) = asked.stream {
        return streamed(chat::events(&answered.body, stream), fault, under_way);
    }
    match fault {
        Some(Fault::SlowDrip(pause)) => drip(answered.body.to_string(), pause),
        _ => Json(answered.body).into_response(),
    }
}

/// A reply that is none.
fn struck(fault: &Fault, connection: &Switch, whole: &Value) -> Response {
    let json = |body: Value| Json(body).into_response();
    match fault {
        Fault::TooManyRequests(retry_after) => {
            let body = json!({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}});
            let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
            if let Some(value) = retry_after.as_ref().and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        Fault::Status(status) => {
            (status_code(*status), Json(json!({"error": {"message": "injected fault"}}))).into_response()
        }
        Fault::Truncated => {
            let text = whole.to_string();
            let half = text.as_bytes()[..text.len() / 2].to_vec();
            let broken = stream::once(async {
                // The half is to be on its way before the connection breaks.
                tokio::time::sleep(Duration::from_millis(10)).await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            let parts = stream::iter([Ok(half)]).chain(broken);
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
        }
        Fault::WrongJson => ([(header::CONTENT_TYPE, "application/json")], "{\"choices\": [{").into_response(),
        Fault::Html => ([(header::CONTENT_TYPE, "text/html")], "<html>Welcome</html>").into_response(),
        Fault::EmptyChoices => json(json!({"choices": [], "usage": whole["usage"]})),
        Fault::ErrorInBody => json(json!({"error": {"code": 502, "message": "upstream failed"}})),
        Fault::Redirect => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "http://example.com/v1/chat/completions")])
                .into_response()
        }
        Fault::Stalled => {
            let text = whole.to_string();
            let half = Ok::<_, Infallible>(text.as_bytes()[..text.len() / 2].to_vec());
            let parts = stream::iter([half]).chain(stream::pending());
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
        }
        Fault::Reset | Fault::Hang(_) | Fault::SlowDrip(_) | Fault::NullContent => {
            connection.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Events, with what is to happen after them or between them. The request is under way until the last one is sent.
fn streamed(events: Vec<String>, fault: Option<Fault>, under_way: UnderWay) -> Response {
    let pause = match fault {
        Some(Fault::SlowDrip(pause)) => pause,
        // Those before are to be on their way before the end.
        Some(Fault::Truncated) => Duration::from_millis(5),
        _ => Duration::ZERO,
    };
    let events = stream::iter(events).then(move |data| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(format!("data: {data}\n\n"))
    });
    let end = async move {
        let _under_way = under_way;
        match fault {
            Some(Fault::Truncated) => {
                tokio::time::sleep(pause).await;
                Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
            }
            Some(Fault::Stalled) => std::future::pending().await,
            Some(Fault::ErrorInBody) => {
                Some(Ok("data: {\"error\": {\"code\": 502, \"message\": \"upstream failed\"}}\n\n".into()))
            }
            _ => None,
        }
    };
    let parts = events.chain(stream::once(end).filter_map(std::future::ready));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(parts)).into_response()
}

/// A body that comes byte by byte.
fn drip(text: String, pause: Duration) -> Response {
    let bytes = stream::iter(text.into_bytes()).then(move |byte| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, Infallible>(vec![byte])
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(bytes)).into_response()
}

/// A refusal that repeats the key it was sent, as careless servers do.
fn unauthorised(headers: &HeaderMap) -> Response {
    let sent = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("none");
    let message = format!("Incorrect API key provided: {sent}");
    (StatusCode::UNAUTHORIZED, Json(json!({"error": {"message": message}}))).into_response()
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
