//! Language models behind one trait: embedded (llama.cpp in process), any OpenAI-compatible HTTP API, and fakes.
//!
//! This is the only crate that knows a provider's wire format. A model draws samples and measures the tokens and
//! latency of each; it never stores anything and knows nothing of pipelines.

use std::fmt;

use agenttts_core::{Draw, ModelIdentity, Request, Usage};
use async_trait::async_trait;
use std::time::Duration;

#[cfg(feature = "embedded")]
mod embedded;
mod error;
pub mod fake;
pub mod gguf;
mod nearest;
pub mod openai;
mod provider;
pub mod registry;
mod retry;
mod tls;
mod toll;

#[cfg(feature = "embedded")]
pub use embedded::{Embedded, EmbeddedOptions, LazyEmbedded};
pub use error::{ModelError, ModelErrorKind};
pub use provider::{ConnectOptions, EmbeddedFactory, Env, connect};
pub use retry::RetryPolicy;
pub use tls::install_crypto;
pub use toll::{Free, Toll};

/// A model from which samples are drawn.
#[async_trait]
pub trait Model: Send + Sync {
    /// Which weights answer; part of every sample's key. Known before the first call.
    fn identity(&self) -> &ModelIdentity;

    /// The tokens of the rendered prompt: exact where the tokenizer is at hand, otherwise an upper bound.
    fn prompt_tokens(&self, request: &Request) -> Result<PromptTokens, ModelError>;

    /// Draws `call.n` samples of the request with consecutive seeds from `call.first_seed`.
    ///
    /// The reply holds a result for every sample asked for, in order. A sample that failed is an error and is never
    /// a text; `billed` covers everything that was paid, failed draws and retries included where the provider says so.
    ///
    /// A model that can tell a text while it decodes it tells it to `call.on_text`. After something was told, the call is
    /// not tried again.
    async fn draw(&self, call: Call<'_>) -> Reply;

    /// As [`draw`](Model::draw), but asks before every attempt. `billed` is then the sum of what the toll was told. As it
    /// stands, all of the call is one attempt.
    async fn draw_paid(&self, call: Call<'_>, toll: &dyn Toll) -> Reply {
        let prompts = match (self.prompt_tokens(call.request), self.prompt_shared_by()) {
            (Err(error), _) => return Reply::failed(call.n, error, Usage::default()),
            // Only a counted prompt comes from an engine that is sure to share it.
            (Ok(PromptTokens::AtMost(_)), _) => call.n,
            (Ok(PromptTokens::Exact(_)), 0) => 1,
            (Ok(PromptTokens::Exact(_)), by) => call.n.div_ceil(by),
        };
        if !toll.begin(prompts, call.n).await {
            return Reply::failed(call.n, ModelError::withheld(), Usage::default());
        }
        let reply = self.draw(call).await;
        toll.end(prompts, call.n, reply.billed);
        reply
    }

    /// Where the provider has failed so often in a row that it is not called for now: that it is so.
    fn outage(&self) -> Option<Outage> {
        None
    }

    /// Looks for a sign of life of a provider that is not called for now; whether there is one, so that it may be called.
    async fn revive(&self) -> bool {
        true
    }

    /// How many samples may share one prompt evaluation (or bill): 0 = no limit, 1 = none. May sink while running,
    /// when a provider is found to ignore or cap `n`.
    fn prompt_shared_by(&self) -> u32 {
        0
    }
}

/// Tokens of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptTokens {
    /// Counted by the model's own tokenizer.
    Exact(u32),
    /// At most this many.
    AtMost(u32),
}

impl PromptTokens {
    /// The count to reserve for.
    pub fn upper_bound(self) -> u32 {
        match self {
            PromptTokens::Exact(n) | PromptTokens::AtMost(n) => n,
        }
    }
}

/// Hears the text of a sample while it is decoded, part by part. What it heard is together a beginning of the draw's text,
/// which need not be all of it. It must not wait.
pub type OnText<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// One call: `n` samples of a request.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// How many samples, at least 1.
    pub n: u32,
    /// The seed of the first sample; sample `j` has `first_seed + j`.
    pub first_seed: u32,
    /// Who hears the text while it is decoded; only told of calls for one sample.
    pub on_text: Option<&'a OnText<'a>>,
    /// The trace that the call is part of, for servers that take part in it.
    pub trace: Option<&'a TraceContext>,
}

impl<'a> Call<'a> {
    /// A call that nobody listens to.
    pub fn new(request: &'a Request, n: u32, first_seed: u32) -> Self {
        Call { request, n, first_seed, on_text: None, trace: None }
    }

    /// Who hears the text, where it can be told.
    pub(crate) fn listener(&self) -> Option<&'a OnText<'a>> {
        self.on_text.filter(|_| self.n == 1 && !self.request.is_embedding())
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", self.request)
            .field("n", &self.n)
            .field("first_seed", &self.first_seed)
            .field("on_text", &self.on_text.is_some())
            .field("trace", &self.trace)
            .finish()
    }
}

/// Where a call stands in a trace, as the headers of [W3C Trace Context](https://www.w3.org/TR/trace-context/) say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`, where there is one.
    pub state: Option<String>,
}

/// A provider that is not called for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// How long it has not answered.
    pub for_so_long: Duration,
    /// When it may be looked for again.
    pub retry_in: Duration,
    /// Whether it has ever answered this process: if not, its address may be wrong.
    pub answered: bool,
}

/// What a call returned.
#[derive(Debug, Default)]
pub struct Reply {
    /// One entry per sample asked for, in order.
    pub draws: Vec<Result<Draw, ModelError>>,
    /// All tokens and calls that this took.
    pub billed: Usage,
    /// Things a person should know once, such as a provider that ignores `n`.
    pub warnings: Vec<String>,
    /// The provider's fingerprint of the weights, where it reports one.
    pub fingerprint: Option<String>,
    /// The provider's name of the reply, where it gives one; of several replies, of the first.
    pub response_id: Option<String>,
    /// The model that answered, as the provider calls it.
    pub response_model: Option<String>,
}

impl Reply {
    /// A reply in which every sample failed for the same reason.
    pub fn failed(n: u32, error: ModelError, billed: Usage) -> Self {
        Reply { draws: (0..n).map(|_| Err(error.clone())).collect(), billed, ..Reply::default() }
    }
}
