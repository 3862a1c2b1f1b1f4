//! All routes together.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::options::ServeOptions;

/// The whole application.
pub(crate) fn router(_options: &ServeOptions) -> Router {
    Router::new().route("/healthz", get(|| async { StatusCode::NO_CONTENT }))
}
