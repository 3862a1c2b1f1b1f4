//! The OpenAI-compatible client against a server that misbehaves on demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod embeddings;
mod faults;
mod hedging;
mod samples;
mod streams;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use agenttts_core::{
    Constraint, Decoding, Message, ModelSpec, OpenaiSpec, ProviderKind, ProviderSpec, Request, Temperature,
};
use agenttts_models::{Call, ConnectOptions, Model, Reply, RetryPolicy, connect};
use agenttts_testkit::{Config, FaultServer};

/// A key that no message may show.
const KEY: &str = "sk-very-secret-0123456789";

/// A server, and what a pipeline file would say of it.
struct Setup {
    server: FaultServer,
    provider: ProviderSpec,
    spec: ModelSpec,
}

impl Setup {
    async fn new(config: Config) -> Self {
        let server = FaultServer::start(config).await.unwrap();
        let (provider, spec) = specs(&server.base_url());
        Setup { server, provider, spec }
    }

    fn openai(&mut self) -> &mut OpenaiSpec {
        match &mut self.provider.kind {
            ProviderKind::Openai(openai) => openai,
            _ => unreachable!(),
        }
    }

    fn model(&self) -> Arc<dyn Model> {
        model(&self.provider, &self.spec)
    }
}

fn specs(base_url: &str) -> (ProviderSpec, ModelSpec) {
    let openai = OpenaiSpec {
        base_url: base_url.into(),
        api_key_env: None,
        requests_per_minute: None,
        tokens_per_minute: None,
        timeout_seconds: 20,
        retries: 3,
        max_n: None,
        adaptive: true,
        hedge: None,
    };
    let provider =
        ProviderSpec { name: "local".into(), kind: ProviderKind::Openai(openai), concurrency: 8, memory_mb: None };
    let spec = serde_json::from_value(serde_json::json!({"name": "m", "provider": "local", "id": "p50"})).unwrap();
    (provider, spec)
}

fn model(provider: &ProviderSpec, spec: &ModelSpec) -> Arc<dyn Model> {
    connect(std::slice::from_ref(provider), std::slice::from_ref(spec), &options()).unwrap().remove("m").unwrap()
}

/// Short waits, and a key in the only variable that there is.
fn options() -> ConnectOptions {
    ConnectOptions {
        env: Arc::new(|name| (name == "TEST_KEY").then(|| KEY.to_owned())),
        retry: RetryPolicy {
            first_delay: Duration::from_millis(2),
            longest_delay: Duration::from_millis(20),
            longest_retry_after: Duration::from_secs(60),
        },
        embedded: None,
    }
}

fn request(prompt: &str) -> Request {
    Request {
        messages: vec![Message::user(prompt)],
        decoding: Decoding {
            temperature: Temperature::new(0.8).unwrap(),
            top_p: Some(0.95),
            max_tokens: 64,
            stop: vec!["\n\n".into()],
            constraint: None,
        },
    }
}

fn question() -> Request {
    request("Which river flows through Bern?\nanswer: Aare\nwrong: Rhine | Rhone | Danube")
}

async fn draw(model: &Arc<dyn Model>, request: &Request, n: u32) -> Reply {
    model.draw(Call::new(request, n, 1000)).await
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.draws.iter().map(|draw| draw.as_ref().unwrap().text.clone()).collect()
}

/// What a server without faults would say.
async fn expected(request: &Request, n: u32) -> Vec<String> {
    let setup = Setup::new(Config::default()).await;
    texts(&draw(&setup.model(), request, n).await)
}

fn json_schema(request: &mut Request) {
    let schema = serde_json::json!({"type": "object", "properties": {"answer": {"type": "string"}},
        "required": ["answer"], "additionalProperties": false});
    request.decoding.constraint = Some(Constraint::JsonSchema(schema));
}
