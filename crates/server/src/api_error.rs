//! Errors as the OpenAI API tells them. What a client reads names no path, key or address of ours: the log has it all.

use agenttts_engine::{EngineError, EngineErrorKind};
use agenttts_models::ModelErrorKind;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// How errors are told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorReply {
    error: Body,
}

/// A refusal or failure of a request.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    body: Box<Body>,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u64>,
}

/// What is wrong with a request, or went wrong.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct Body {
    /// In words.
    message: String,
    /// `invalid_request_error`, `rate_limit_error`, `timeout_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The parameter that it is about.
    param: Option<String>,
    /// For programs.
    code: Option<&'static str>,
    /// What to do about it, where the message does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        ApiError {
            status,
            body: Box::new(Body { message: message.into(), kind, param: None, code, hint: None }),
            retry_after: None,
        }
    }

    /// The request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// The request wants what a plan cannot do.
    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("unsupported_parameter"), message)
            .param(param)
    }

    /// There is no such model.
    pub(crate) fn no_model(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("model_not_found"), message).param("model")
    }

    /// There is no such address.
    pub(crate) fn no_route() -> Self {
        let message = "there is nothing at this address: the API is /v1/models, /v1/chat/completions, /v1/completions and \
                       /v1/run";
        ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// No key, or a wrong one.
    pub(crate) fn unauthorised(message: &str) -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key"), message)
    }

    /// A key without the right to this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::FORBIDDEN, "invalid_request_error", Some("insufficient_permissions"), message)
    }

    /// The body is larger than allowed.
    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the body is larger than the {most} bytes that this server takes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", Some("request_too_large"), message)
    }

    /// The body did not come in time.
    pub(crate) fn slow(seconds: f64) -> Self {
        let message = format!("the body was not there within {seconds} s");
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", Some("request_timeout"), message)
    }

    /// Too many requests wait already.
    pub(crate) fn busy(retry_after: u64) -> Self {
        let message = format!("too many requests are waiting: try again in {retry_after} s");
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("queue_full"), message);
        error.retry_after = Some(retry_after);
        error
    }

    /// The answer was not there in time.
    pub(crate) fn deadline(seconds: f64) -> Self {
        let message = format!("no answer within the deadline of {seconds} s; calls under way were given up");
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout_error", Some("deadline_exceeded"), message)
    }

    /// Something of ours failed.
    pub(crate) fn internal() -> Self {
        let message = "the server failed at this request; its log has the reason under the request's id";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
    }

    /// The server ends.
    pub(crate) fn ending() -> Self {
        let mut error =
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("draining"), "the server is ending");
        error.retry_after = Some(5);
        error
    }

    /// Whatever a status says, in these words.
    pub(crate) fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        ApiError::new(status, kind, None, message)
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.body.hint = hint;
        self
    }

    /// The message, and what to do, in one line.
    pub(crate) fn words(&self) -> String {
        match &self.body.hint {
            Some(hint) => format!("{} ({hint})", self.body.message),
            None => self.body.message.clone(),
        }
    }

    /// Which parameter it is about.
    pub(crate) fn param(mut self, param: &str) -> Self {
        self.body.param = Some(param.to_owned());
        self
    }

    /// The status, as a label of metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.status.as_u16() {
            400 => "invalid",
            429 => "busy",
            504 => "deadline",
            502 | 503 => "upstream",
            _ => "failed",
        }
    }

    /// The body, for event streams.
    pub(crate) fn json(&self) -> Value {
        json!({ "error": self.body })
    }

    /// An engine's error, in words that may leave the house.
    pub(crate) fn of(error: &EngineError) -> Self {
        let upstream = |status, code, message: &str| ApiError::new(status, "server_error", Some(code), message);
        match error.kind() {
            EngineErrorKind::Input => {
                let said = error.problems().and_then(|p| p.0.first()).map_or("", |p| p.message.as_str());
                let message = format!("the pipeline cannot answer this input: {}", first_line(said));
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request_error", Some("no_answer"), message)
            }
            EngineErrorKind::Program => upstream(
                StatusCode::BAD_GATEWAY,
                "step_failed",
                "a program of the plan failed; the server's log says why",
            ),
            EngineErrorKind::Limit => {
                let message = format!("given up before it could take more than allowed: {error}");
                ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some("limit_exceeded"), message)
            }
            EngineErrorKind::Model(ModelErrorKind::ContextOverflow) => ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                Some("context_length_exceeded"),
                "the input is too long for a model of the plan",
            ),
            EngineErrorKind::Model(ModelErrorKind::Timeout) => {
                upstream(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "a model did not reply in time")
            }
            EngineErrorKind::Model(ModelErrorKind::RateLimited) => {
                let mut error = upstream(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "upstream_rate_limited",
                    "a model's provider takes no more requests just now",
                );
                error.retry_after = Some(10);
                error
            }
            EngineErrorKind::Model(kind) if kind.is_transient() => {
                upstream(StatusCode::BAD_GATEWAY, "upstream_failed", "a model's provider failed")
            }
            EngineErrorKind::Model(ModelErrorKind::Refused) => {
                upstream(StatusCode::BAD_GATEWAY, "upstream_refused", "a model's provider refused the request")
            }
            EngineErrorKind::Model(_) => upstream(
                StatusCode::INTERNAL_SERVER_ERROR,
                "model_unavailable",
                "a model of the plan cannot be used; the server's log says why",
            ),
            EngineErrorKind::Store | EngineErrorKind::Sandbox | EngineErrorKind::Budget | EngineErrorKind::Internal => {
                ApiError::internal()
            }
        }
    }
}

fn first_line(text: &str) -> String {
    const MOST: usize = 300;
    text.lines().next().unwrap_or_default().chars().take(MOST).collect()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
