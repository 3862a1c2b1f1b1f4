//! Models of every kind from one description.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails; a skipped one says so")]

use agenttts_core::{Decoding, Message, ModelSpec, ProviderKind, ProviderSpec, Request, Temperature};
use agenttts_models::{Call, ConnectOptions, connect};

fn provider(name: &str, kind: ProviderKind) -> ProviderSpec {
    ProviderSpec { name: name.into(), kind, concurrency: 2, memory_mb: None }
}

fn model(name: &str, provider: &str, id: &str) -> ModelSpec {
    serde_json::from_value(serde_json::json!({"name": name, "provider": provider, "id": id})).unwrap()
}

fn request(prompt: &str) -> Request {
    Request {
        messages: vec![Message::user(prompt)],
        decoding: Decoding {
            temperature: Temperature::new(0.7).unwrap(),
            top_p: None,
            max_tokens: 12,
            stop: vec![],
            constraint: None,
        },
    }
}

#[tokio::test]
async fn a_fake_answers_without_network_or_weights() {
    let providers = [provider("fake", ProviderKind::Fake)];
    let models = connect(&providers, &[model("small", "fake", "p100")], &ConnectOptions::default()).unwrap();
    let request = request("6 * 7?\nanswer: 42");
    let reply = models["small"].draw(Call::new(&request, 3, 1)).await;
    assert!(reply.draws.iter().all(|draw| draw.as_ref().unwrap().text == "42"));
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn an_embedded_model_is_known_before_it_is_loaded() {
    use agenttts_models::registry::Registry;

    let Some(dir) = Registry::default_dir(|name| std::env::var_os(name)) else {
        println!("skipped: neither AGENTTTS_MODELS nor HOME is set");
        return;
    };
    let registry = Registry::open(dir);
    let Ok(file) = registry.find("smollm2-135m") else {
        println!("skipped: `agenttts models pull smollm2-135m` gets the model for this test");
        return;
    };
    let providers = [provider("here", ProviderKind::Embedded)];
    let options = ConnectOptions::default().with_registry(registry);
    let models = connect(&providers, &[model("small", "here", "smollm2-135m")], &options).unwrap();
    let lazy = &models["small"];
    let name = agenttts_models::EmbeddedOptions { name: Some("smollm2-135m".into()), context: None, memory: None };
    let eager = agenttts_models::Embedded::open(&file.path, name).unwrap();
    assert_eq!(lazy.identity(), agenttts_models::Model::identity(&eager));
    let request = request("Say hello.");
    let reply = lazy.draw(Call::new(&request, 2, 1)).await;
    assert_eq!(reply.draws.iter().filter(|draw| draw.is_ok()).count(), 2, "{:?}", reply.draws);
}
