//! What goes wrong in the dashboard, as JSON that says what to do.

use agenttts_engine::{EngineError, EngineErrorKind};
use agenttts_store::{StoreError, StoreErrorKind};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer that says what is wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    status: StatusCode,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { status, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::new(StatusCode::NOT_FOUND, message, hint)
    }

    pub(super) fn bad(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::new(StatusCode::BAD_REQUEST, message, hint)
    }

    pub(super) fn conflict(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault::new(StatusCode::CONFLICT, message, hint)
    }

    /// The message, and what to do, in one line.
    pub(super) fn words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "message": self.message, "hint": self.hint } });
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let status = match error.kind {
            StoreErrorKind::NoStudy => StatusCode::NOT_FOUND,
            StoreErrorKind::StudyLocked { .. } => StatusCode::CONFLICT,
            StoreErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!("the dashboard cannot read: {error}");
        }
        let hint = error.hint().map(str::to_owned);
        // Where the store lies is nobody's business who sees the dashboard from elsewhere; the log has it.
        let message = StoreError { path: None, ..error }.to_string();
        Fault { status, message, hint }
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        if let EngineError::Store(error) = error {
            return error.into();
        }
        let status = match error.kind() {
            EngineErrorKind::Input => StatusCode::UNPROCESSABLE_ENTITY,
            EngineErrorKind::Model(_) | EngineErrorKind::Sandbox => StatusCode::FAILED_DEPENDENCY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problems = error.problems().into_iter().flat_map(|p| &p.0);
        let hint = error.hint().or_else(|| problems.clone().find_map(|p| p.hint.clone()));
        let messages: Vec<String> = problems.map(|p| p.message.clone()).collect();
        let message = if messages.is_empty() { error.to_string() } else { messages.join("; ") };
        Fault { status, message, hint }
    }
}
