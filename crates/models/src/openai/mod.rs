//! Models behind any OpenAI-compatible HTTP API: vLLM, SGLang, llama.cpp's server, Ollama, hosted ones.
//!
//! `provider` owns the address, key, connections and limits; `call` makes one call with its retries and books what it
//! took, `hedge` makes a second one beside one that is late; `draw` turns `n` samples into as many calls as the provider needs. `wire`, `reply`, `usage` and `failure`
//! are pure: bytes in, meaning out.

mod breaker;
mod call;
mod draw;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod hedge;
mod key;
mod knee;
mod limits;
mod model;
mod provider;
mod quirks;
mod reply;
mod stream;
mod usage;
mod wire;

pub use model::OpenaiModel;
pub use provider::OpenaiProvider;
