//! What examples share: a model behind an OpenAI-compatible server.

use std::sync::Arc;

use agenttts_core::{ModelSpec, OpenaiSpec, ProviderKind, ProviderSpec};
use agenttts_models::{ConnectOptions, Model, connect};

/// The model `m` of the server at `url`; a call is tried once and may take ten minutes.
pub(crate) fn served(url: &str, max_n: Option<u32>, concurrency: u32, adaptive: bool) -> Arc<dyn Model> {
    let openai = OpenaiSpec {
        base_url: url.to_owned(),
        api_key_env: None,
        requests_per_minute: None,
        tokens_per_minute: None,
        timeout_seconds: 600,
        retries: 0,
        max_n,
        adaptive,
        hedge: None,
    };
    let provider =
        ProviderSpec { name: "server".into(), kind: ProviderKind::Openai(openai), concurrency, memory_mb: None };
    let models = [ModelSpec::named("m", "server", "m")];
    connect(&[provider], &models, &ConnectOptions::default()).unwrap().remove("m").unwrap()
}
