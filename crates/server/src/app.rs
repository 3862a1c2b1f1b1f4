//! All routes together, with what every request goes through.

use std::sync::Arc;
use std::time::Duration;

use agenttts_engine::Adaptive;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rand::RngExt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::access::{Access, Scope, guard, login, login_page};
use crate::api_error::ApiError;
use crate::dashboard::{self, DashboardState};
use crate::examples::Examples;
use crate::metrics::Metrics;
use crate::openai;
use crate::plans::{Catalogue, Gate};
use crate::telemetry::{RequestSpan, Telemetry};
use crate::{run, serving};

/// What all requests share.
pub(crate) struct App {
    pub(crate) catalogue: Catalogue,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) limits: AppLimits,
    pub(crate) adaptive: Option<Adaptive>,
    pub(crate) examples: Option<Examples>,
    pub(crate) telemetry: Option<Arc<Telemetry>>,
    pub(crate) access: Arc<Access>,
    pub(crate) dashboard: DashboardState,
}

/// What a request may take of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppLimits {
    /// Bytes of its body.
    pub(crate) body: usize,
    /// Time until its answer.
    pub(crate) deadline: Duration,
    /// Time until its body is there.
    pub(crate) silence: Duration,
}

/// The whole application.
pub(crate) fn router(app: Arc<App>) -> Router {
    let scoped = |routes: Router<Arc<App>>, scope| {
        // Whose request it is is asked before its body is read.
        let routes = routes.layer(middleware::from_fn_with_state(app.clone(), whole_body));
        routes.layer(middleware::from_fn_with_state((app.access.clone(), scope), guard))
    };
    let answers = Router::new()
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{name}", get(openai::model))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/run", post(run::run));
    let document = Router::new().route("/openapi.json", get(the_document));
    let views = Router::new().route("/api/serving", get(serving::serving)).route("/metrics", get(metrics));
    let changes = Router::new().route("/api/serving/reload", post(serving::reload));
    let signing_in = Router::new().route("/login", get(login_page).post(login)).with_state(app.access.clone());
    let signing_in = signing_in.layer(middleware::from_fn_with_state(app.clone(), whole_body));
    Router::new()
        .merge(scoped(answers, Some(Scope::Use)))
        .merge(scoped(document, None))
        .merge(scoped(views, Some(Scope::View)))
        .merge(scoped(changes, Some(Scope::Administrate)))
        .merge(scoped(dashboard::views(app.dashboard.clone()), Some(Scope::View)))
        .merge(scoped(dashboard::tries(app.dashboard.clone()), Some(Scope::Use)))
        .merge(scoped(dashboard::changes(app.dashboard.clone()), Some(Scope::Administrate)))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .merge(signing_in)
        .fallback(|| async { ApiError::no_route() })
        .method_not_allowed_fallback(|| async {
            let error = ApiError::invalid("this address does not take this method");
            (StatusCode::METHOD_NOT_ALLOWED, Json(error.json()))
        })
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(middleware::from_fn_with_state(app.clone(), identify))
        .with_state(app)
}

/// The document of all this.
async fn the_document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::COMMITTED).into_response()
}

/// That all is well.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// Whether the process lives.
async fn healthy() -> Response {
    Json(Health { status: "ok" }).into_response()
}

/// Whether requests are taken: not while the server ends.
async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.gate.is_closed() { ApiError::ending().into_response() } else { healthy().await }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.metrics.text(&app)
}

/// What tells a request from all others.
#[derive(Clone)]
pub(crate) struct Identity {
    /// What the client calls it, where that is a plain word, else a name of ours.
    pub(crate) id: String,
    /// Its span, where requests are traced.
    pub(crate) span: Option<Arc<RequestSpan>>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    const LONGEST: usize = 100;
    let plain = |id: &&str| {
        (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let sent = request.headers().get(REQUEST_ID).and_then(|v| v.to_str().ok()).filter(plain);
    let id = sent.map_or_else(|| format!("req-{:032x}", rand::rng().random::<u128>()), str::to_owned);
    let span = app.telemetry.as_ref().and_then(|telemetry| {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned())?;
        let is_ours = route.starts_with("/v1/");
        is_ours.then(|| telemetry.request(&request, &route, app.access.scheme()))
    });
    request.extensions_mut().insert(Identity { id: id.clone(), span: span.clone() });
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    app.metrics.replied(status);
    span.iter().for_each(|span| span.replies(status));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Reads the body of a request whole, and in time: one that comes byte by byte holds no place for longer.
async fn whole_body(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let silence = app.limits.silence;
    let read = Body::from_request(Request::from_parts(parts.clone(), body), &app);
    match tokio::time::timeout(silence, read).await {
        Ok(Ok(Body(bytes))) => next.run(Request::from_parts(parts, bytes.into())).await,
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError::slow(silence.as_secs_f64()).into_response(),
    }
}

/// A body, read whole, or refused as the API refuses.
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest<Arc<App>> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        match Bytes::from_request(request, app).await {
            Ok(bytes) => Ok(Body(bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::too_large(app.limits.body))
            }
            Err(_) => Err(ApiError::invalid("the body broke off")),
        }
    }
}
