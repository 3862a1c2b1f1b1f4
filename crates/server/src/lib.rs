//! Serving found plans over HTTP: the OpenAI-compatible API, structured inputs, and the dashboard.
//!
//! The only crate that knows our HTTP types. What answers a request is the engine's `Runner`, which is what the search
//! measured with.

mod access;
mod answering;
mod api_error;
mod app;
mod dashboard;
mod error;
mod examples;
mod metrics;
mod openai;
mod openapi;
mod options;
mod plans;
mod run;
mod server;
mod serving;
mod telemetry;

#[doc(hidden)]
pub mod fuzzing;

pub use access::{ApiKey, KeyFile, KeyFileError, Scope};
pub use error::ServerError;
pub use examples::ExampleLog;
pub use openapi::document as openapi;
pub use options::{ServeOptions, Tls};
pub use plans::{PlanSource, Unusable};
pub use server::Server;
pub use telemetry::{Otel, TelemetryError};
