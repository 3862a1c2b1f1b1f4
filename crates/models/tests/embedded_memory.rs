//! Embedded models within a limit of memory, on real weights. Apart from the other tests, whose models it would give up.
//! Skipped, with a message, where the model file is not at hand.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use agenttts_core::{Decoding, Message, Request, Temperature};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model, Reply};
use support::model_file;

async fn draw(model: &Embedded, request: &Request) -> Reply {
    model.draw(Call::new(request, 2, 7)).await
}

fn texts(reply: &Reply) -> Vec<&str> {
    reply.draws.iter().map(|d| d.as_ref().unwrap().text.as_str()).collect()
}

/// Two files with room for one of them: whoever draws gets its model, and answers as if it were alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_make_room_for_each_other() {
    let Some(file) = model_file("smollm2-135m") else { return };
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, memory: u64| {
        let path = folder.path().join(name);
        std::fs::copy(&file, &path).unwrap();
        Embedded::open(&path, EmbeddedOptions { memory: Some(memory), ..EmbeddedOptions::default() })
    };
    let bytes = std::fs::metadata(&file).unwrap().len();
    let error = open("c.gguf", bytes).err().unwrap();
    assert!(error.message.contains("all together may take") && error.hint.unwrap().contains("memory_mb"));

    // The weights and a cache of 256 MB, once and not twice.
    let limit = bytes + (300 << 20);
    let (a, b) = (open("a.gguf", limit).unwrap(), open("b.gguf", limit).unwrap());
    let temperature = Temperature::new(0.7).unwrap();
    let decoding = Decoding { temperature, top_p: None, max_tokens: 12, stop: vec![], constraint: None };
    let words = "A long enough beginning that is worth to be remembered by the model that has read it. ".repeat(3);
    let request = Request { messages: vec![Message::user(words + "What is the capital of France?")], decoding };
    let first = draw(&a, &request).await;
    assert_eq!(first.billed.cached_prompt, 0);
    assert!(draw(&a, &request).await.billed.cached_prompt > 0, "it has the prompt still");
    let (from_a, from_b) = tokio::join!(draw(&a, &request), draw(&b, &request));
    assert_eq!((texts(&from_a), texts(&from_b)), (texts(&first), texts(&first)));
    assert_eq!(draw(&b, &request).await.draws.len(), 2);
    let again = draw(&a, &request).await;
    assert_eq!((again.billed.cached_prompt, texts(&again)), (0, texts(&first)), "it was given up and is back");
}
