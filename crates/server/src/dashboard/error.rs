//! What goes wrong in the dashboard, as JSON that says what to do.

use agenttts_engine::{EngineError, EngineErrorKind, LookError};
use agenttts_store::{StoreError, StoreErrorKind};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;

/// An [`ApiError`] in the words of whoever may see studies: it says more than those of requests that plans answer.
#[derive(Clone, Debug)]
pub(super) struct Fault(ApiError);

impl Fault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault(ApiError::of_status(status, message).hint(Some(hint.into())))
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
        self.0.words()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<&StoreError> for Fault {
    fn from(error: &StoreError) -> Self {
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
        let message = StoreError { path: None, ..error.clone() }.to_string();
        Fault(ApiError::of_status(status, message).hint(hint))
    }
}

impl From<&EngineError> for Fault {
    fn from(error: &EngineError) -> Self {
        if let EngineError::Store(error) = error {
            return error.into();
        }
        let status = match error.kind() {
            EngineErrorKind::Input => StatusCode::UNPROCESSABLE_ENTITY,
            EngineErrorKind::Program | EngineErrorKind::Model(_) | EngineErrorKind::Sandbox => {
                StatusCode::FAILED_DEPENDENCY
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problems = error.problems().into_iter().flat_map(|p| &p.0);
        let hint = error.hint().or_else(|| problems.clone().find_map(|p| p.hint.clone()));
        let messages: Vec<String> = problems.map(|p| p.message.clone()).collect();
        let message = if messages.is_empty() { error.to_string() } else { messages.join("; ") };
        Fault(ApiError::of_status(status, message).hint(hint))
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Fault(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        (&error).into()
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        (&error).into()
    }
}

impl From<LookError> for Fault {
    fn from(error: LookError) -> Self {
        (&*error).into()
    }
}
