//! Embeddings: draws that decode nothing.

use agenttts_testkit::{Config, Fault};

use super::*;

#[tokio::test]
async fn an_embedding_is_a_draw_that_pays_for_its_prompt() {
    let setup = Setup::new(Config::default()).await;
    let request = Request::embedding("a requirement and its code");
    let reply = draw(&setup.model(), &request, 1).await;
    let drawn = reply.draws[0].as_ref().unwrap();
    let vector: Vec<f32> = serde_json::from_str(&drawn.text).unwrap();
    assert_eq!((vector.len(), drawn.decode_tokens), (64, 0));
    assert_eq!((reply.billed.prompt, reply.billed.decode, reply.billed.calls), (u64::from(drawn.prompt_tokens), 0, 1));
    assert_eq!(reply.warnings, [""; 0]);
}

#[tokio::test]
async fn a_server_without_embeddings_says_so() {
    let setup = Setup::new(Config { script: vec![Some(Fault::Status(404))], ..Config::default() }).await;
    let reply = draw(&setup.model(), &Request::embedding("a text"), 1).await;
    assert!(reply.draws[0].as_ref().unwrap_err().message.contains("404"), "{:?}", reply.draws);
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again() {
    let setup = Setup::new(Config { script: vec![Some(Fault::transient().remove(0))], ..Config::default() }).await;
    let reply = draw(&setup.model(), &Request::embedding("a text"), 1).await;
    assert!(reply.draws[0].is_ok(), "{:?}", reply.draws);
    assert_eq!(reply.billed.calls, 2);
}
