//! What a pipeline file says of providers and models: addresses, limits, size, prices, speed.

use serde::{Deserialize, Serialize};

/// Where models run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderSpec {
    /// The name that models refer to.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// The most calls under way at once; see [`OpenaiSpec::adaptive`].
    pub concurrency: u32,
    /// The most memory that embedded models may take together, in MB; absent = all that are used stay loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
}

/// The kinds of provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// llama.cpp in this process.
    Embedded,
    /// An OpenAI-compatible HTTP API.
    Openai(OpenaiSpec),
    /// Deterministic stand-ins for tests, documentation and first steps; chosen by the model's name.
    Fake,
}

impl ProviderKind {
    /// Calls under way at once where the pipeline file does not say.
    pub fn usual_concurrency(&self) -> u32 {
        match self {
            ProviderKind::Openai(_) => 64,
            ProviderKind::Embedded => 32,
            ProviderKind::Fake => 64,
        }
    }
}

/// An OpenAI-compatible HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenaiSpec {
    /// The address up to and including the version, such as `http://127.0.0.1:8000/v1`.
    pub base_url: String,
    /// The environment variable that holds the key; none is sent where absent. The key itself is never stored.
    pub api_key_env: Option<String>,
    /// Requests per minute that the provider allows.
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute that the provider allows.
    pub tokens_per_minute: Option<u32>,
    /// Seconds until a call counts as lost.
    pub timeout_seconds: u32,
    /// Retries after a transient failure.
    pub retries: u32,
    /// The largest `n` that the provider accepts in one call: absent = any, until it is found to ignore or cap it.
    pub max_n: Option<u32>,
    /// Whether the calls under way follow what the provider is found to bear, up to its concurrency.
    #[serde(default = "yes")]
    pub adaptive: bool,
    /// A call that takes longer than this quantile of the latest ones of its kind is made a second time, and the first answer
    /// counts; absent = never.
    #[serde(default)]
    pub hedge: Option<f64>,
}

fn yes() -> bool {
    true
}

/// A model as the pipeline file describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The name that stages, plans and reports use.
    pub name: String,
    /// The provider that runs it.
    pub provider: String,
    /// What the provider calls it: a served model's name, a pulled model's name or GGUF path, a fake's name.
    pub id: String,
    /// A revision that the user declares, for providers that do not report one.
    pub revision: Option<String>,
    /// Parameters (non-embedding where known); needed by the FLOPs cost models.
    pub params: Option<u64>,
    /// Transformer layers and width, for the attention term of `flops`.
    pub shape: Option<Shape>,
    /// Prices; needed by `usd` and `usd-batch`.
    pub price: Option<Price>,
    /// Speed; needed by `seconds` before anything is measured.
    pub speed: Option<Speed>,
    /// The longest prompt and continuation together, in tokens.
    pub context: Option<u32>,
    /// Nucleus sampling mass, where the stage does not say.
    pub top_p: Option<f64>,
}

impl ModelSpec {
    /// A model of which nothing is known but how it is called.
    pub fn named(name: impl Into<String>, provider: impl Into<String>, id: impl Into<String>) -> Self {
        ModelSpec {
            name: name.into(),
            provider: provider.into(),
            id: id.into(),
            revision: None,
            params: None,
            shape: None,
            price: None,
            speed: None,
            context: None,
            top_p: None,
        }
    }
}

/// The size of a transformer, as far as attention needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
}

/// Prices in 1e-12 dollars a token, which is millionths of a dollar per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// A prompt token.
    pub prompt: u64,
    /// A prompt token read from the provider's cache.
    pub cached_prompt: u64,
    /// A decoded token.
    pub decode: u64,
    /// What the provider's batch API asks for any of them, in thousandths of its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

impl Price {
    /// A share above 0 and at most 1 as [`Price::batch`] holds it: never nothing.
    pub fn batch_share(share: f64) -> u32 {
        ((share * 1000.0).round() as u32).max(1)
    }
}

/// How fast a model answers, for costs in seconds before anything is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Prompt tokens a second.
    pub prompt: f64,
    /// Tokens a second within one sample.
    pub decode: f64,
    /// Samples that decode at that speed side by side.
    pub parallel: u32,
}
