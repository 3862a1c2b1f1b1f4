//! Serving found plans over HTTP: the OpenAI-compatible API, structured inputs, and the dashboard.
//!
//! The only crate that knows our HTTP types. What answers a request is the engine's `Runner`, which is what the search
//! measured with.

mod app;
mod error;
mod options;
mod server;

pub use error::ServerError;
pub use options::{ServeOptions, Tls};
pub use server::Server;
