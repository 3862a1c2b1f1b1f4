//! The embedded model on real weights. Tests are skipped, with a message, where the model file is not at hand.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use agenttts_core::{Constraint, Decoding, Draw, Finish, Message, Request, Temperature};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model, ModelErrorKind, PromptTokens, Reply};
use support::model_file;

fn smol() -> Option<Embedded> {
    Some(Embedded::open(&model_file("smollm2-135m")?, EmbeddedOptions::default()).unwrap())
}

fn ask(text: &str, temperature: f64, max_tokens: u32) -> Request {
    Request {
        messages: vec![Message::user(text)],
        decoding: Decoding {
            temperature: Temperature::new(temperature).unwrap(),
            top_p: None,
            max_tokens,
            stop: vec![],
            constraint: None,
        },
    }
}

async fn draw(model: &Embedded, request: &Request, n: u32, first_seed: u32) -> Reply {
    model.draw(Call::new(request, n, first_seed)).await
}

fn texts(reply: &Reply) -> Vec<&str> {
    reply.draws.iter().map(|d| d.as_ref().unwrap().text.as_str()).collect()
}

fn only(reply: &Reply) -> &Draw {
    reply.draws[0].as_ref().unwrap()
}

#[tokio::test]
async fn eight_samples_share_one_prompt() {
    let Some(model) = smol() else { return };
    let request = ask("Name an animal that lives in the sea. Tell me something about it.", 0.9, 24);
    let PromptTokens::Exact(prompt) = model.prompt_tokens(&request).unwrap() else { panic!("not exact") };
    let reply = draw(&model, &request, 8, 100).await;
    assert_eq!(reply.draws.len(), 8);
    let draws: Vec<&Draw> = reply.draws.iter().map(|d| d.as_ref().unwrap()).collect();
    assert!(draws.iter().all(|d| d.prompt_tokens == prompt && d.prompt_shared_by == 0 && d.latency_us > 0));
    assert!(draws.iter().all(|d| (1..=24).contains(&d.decode_tokens)));
    assert_eq!(reply.billed.prompt, u64::from(prompt));
    assert_eq!(reply.billed.decode, draws.iter().map(|d| u64::from(d.decode_tokens)).sum::<u64>());
    let mut different = texts(&reply);
    different.sort_unstable();
    different.dedup();
    assert!(different.len() >= 6, "{different:?}");
}

#[tokio::test]
async fn a_seed_gives_its_text_alone_or_among_others() {
    let Some(model) = smol() else { return };
    let request = ask("What is the capital of France?", 0.7, 12);
    let together = draw(&model, &request, 4, 7).await;
    let again = draw(&model, &request, 4, 7).await;
    assert_eq!(texts(&together), texts(&again));
    let third = draw(&model, &request, 1, 9).await;
    assert_eq!(texts(&third)[0], texts(&together)[2]);
}

#[tokio::test]
async fn the_models_default_system_prompt_is_part_of_the_prompt() {
    let Some(model) = smol() else { return };
    let request = ask("Hello", 0.0, 8);
    let text = model.render(&request).unwrap();
    assert!(text.starts_with("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"), "{text}");
    assert!(text.ends_with("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"), "{text}");
    let mut own = request.clone();
    own.messages.insert(0, Message::system("Answer in one word."));
    let text = model.render(&own).unwrap();
    assert!(text.starts_with("<|im_start|>system\nAnswer in one word.<|im_end|>") && !text.contains("SmolLM"));
}

#[tokio::test]
async fn greedy_samples_are_drawn_once_and_repeat_the_text() {
    let Some(model) = smol() else { return };
    let request = ask("Name three colours.", 0.0, 16);
    let reply = draw(&model, &request, 3, 0).await;
    // The text that llama.cpp's own server gives for these weights and this question.
    assert_eq!(texts(&reply), ["1. Red: This is the most obvious colour, but it's also the"; 3]);
    assert_eq!(reply.billed.decode, u64::from(only(&reply).decode_tokens));
}

#[tokio::test]
async fn stop_strings_and_max_tokens_end_a_text() {
    let Some(model) = smol() else { return };
    let mut request = ask("Count from 1 to 20, separated by commas.", 0.0, 60);
    let whole = draw(&model, &request, 1, 0).await;
    let whole = &only(&whole).text;
    let stop: String = whole.chars().skip(5).take(3).collect();
    request.decoding.stop = vec![stop.clone()];
    let stopped = draw(&model, &request, 1, 0).await;
    assert_eq!(only(&stopped).finish, Finish::Stop);
    assert_eq!(only(&stopped).text, whole[..whole.find(&stop).unwrap()]);
    request.decoding.stop.clear();
    request.decoding.max_tokens = 4;
    let short = draw(&model, &request, 1, 0).await;
    assert_eq!((only(&short).finish, only(&short).decode_tokens), (Finish::Length, 4));
    assert!(whole.starts_with(&only(&short).text));
}

#[tokio::test]
async fn a_json_schema_is_kept_to() {
    let Some(model) = smol() else { return };
    let mut request = ask("Invent a person. Reply with JSON.", 0.9, 60);
    request.decoding.constraint = Some(Constraint::JsonSchema(serde_json::json!({
        "type": "object",
        "properties": { "name": { "enum": ["Ann", "Bob"] }, "age": { "type": "integer", "minimum": 1, "maximum": 99 } },
        "required": ["name", "age"],
        "additionalProperties": false
    })));
    let reply = draw(&model, &request, 6, 1).await;
    for text in texts(&reply) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert!(["Ann", "Bob"].contains(&value["name"].as_str().unwrap()), "{text}");
        assert!((1..=99).contains(&value["age"].as_i64().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn grammars_are_kept_to_and_bad_ones_are_refused() {
    let Some(model) = smol() else { return };
    let mut request = ask("Is the sky blue?", 1.2, 20);
    request.decoding.constraint = Some(Constraint::Grammar("root ::= \"yes\" | \"no\"".into()));
    let reply = draw(&model, &request, 8, 1).await;
    assert!(texts(&reply).iter().all(|t| ["yes", "no"].contains(t)), "{:?}", texts(&reply));
    for bad in ["", "root ::= undefined", "root ::= (", "other ::= \"x\"", "root ::= root \"x\" | \"y\"", "nonsense"] {
        request.decoding.constraint = Some(Constraint::Grammar(bad.into()));
        let error = draw(&model, &request, 1, 0).await.draws.remove(0).unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Refused, "{bad}: {error}");
    }
}

#[tokio::test]
async fn letters_that_begin_as_a_refused_one_are_found() {
    let Some(model) = smol() else { return };
    // À to ÿ but é: no likely token is among them, and all their first bytes may begin an é.
    let mut request = ask("Write a letter.", 1.0, 12);
    request.decoding.constraint = Some(Constraint::Grammar("root ::= [^\\x00-\\xBF\\xE9\\u0100-\\U0010FFFF]".into()));
    let reply = draw(&model, &request, 8, 1).await;
    let fits = |text: &str| text.chars().count() == 1 && text.chars().all(|c| ('À'..='ÿ').contains(&c) && c != 'é');
    assert!(texts(&reply).iter().all(|text| fits(text)), "{:?}", texts(&reply));
}

#[tokio::test]
async fn the_name_of_a_control_token_is_no_text() {
    let Some(model) = smol() else { return };
    let mut request = ask("Say something.", 1.0, 20);
    request.decoding.constraint = Some(Constraint::JsonSchema(serde_json::json!({ "enum": ["<|im_start|>"] })));
    let reply = draw(&model, &request, 4, 1).await;
    assert!(texts(&reply).iter().all(|text| *text == "\"<|im_start|>\""), "{:?}", texts(&reply));
}

#[tokio::test]
async fn what_does_not_fit_the_context_is_refused_with_numbers() {
    let Some(model) = smol() else { return };
    let request = ask(&"many words ".repeat(20_000), 0.7, 10);
    let error = draw(&model, &request, 2, 0).await.draws.remove(1).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::ContextOverflow);
    assert!(error.message.contains(&format!("the context holds {}", model.context())), "{error}");
    let error = draw(&model, &ask("Hi", 0.7, 1_000_000), 1, 0).await.draws.remove(0).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::ContextOverflow);
    let error = draw(&model, &ask("Hi", 0.7, 0), 1, 0).await.draws.remove(0).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Refused);
}

#[tokio::test]
async fn different_prompts_decode_together_and_give_their_own_texts() {
    let Some(model) = smol() else { return };
    let questions = ["Name three colours.", "Name three animals.", "Who wrote Hamlet?", "What is two plus two?"];
    let requests: Vec<Request> = questions.iter().map(|q| ask(q, 0.0, 12)).collect();
    let together = futures::future::join_all(requests.iter().map(|r| draw(&model, r, 1, 0))).await;
    for (request, reply) in requests.iter().zip(&together) {
        let alone = draw(&model, request, 1, 0).await;
        assert_eq!(texts(reply), texts(&alone));
    }
    assert_ne!(texts(&together[0]), texts(&together[1]));
}

#[tokio::test]
async fn a_common_beginning_is_evaluated_once() {
    let Some(model) = smol() else { return };
    let story = "Once upon a time there was a fox who lived at the edge of a large and dark forest. ".repeat(6);
    let first = ask(&format!("{story}Where did the fox live?"), 0.0, 8);
    let second = ask(&format!("{story}Who lived there?"), 0.0, 8);
    let a = draw(&model, &first, 1, 0).await;
    let b = draw(&model, &second, 1, 0).await;
    assert!(b.billed.cached_prompt > 100 && b.billed.cached_prompt < b.billed.prompt, "{:?}", b.billed);
    let again = draw(&model, &first, 1, 0).await;
    assert_eq!(again.billed.cached_prompt + 1, again.billed.prompt);
    assert_eq!(texts(&a), texts(&again));
}

#[tokio::test]
async fn a_long_prompt_that_grows_is_evaluated_from_where_it_grew() {
    let Some(model) = smol() else { return };
    // So long that two of them and their samples do not fit the cache side by side.
    let log = "1: a fox = 0.95, 235 GFLOP; 2: a hare = 0.41, 87 GFLOP. ".repeat(150);
    let first = draw(&model, &ask(&format!("{log}Which is best?"), 0.0, 2), 1, 0).await;
    let tokens = first.billed.prompt;
    assert!(tokens > 6_000, "{tokens} {:?}", first.draws);
    let second = ask(&format!("{log}3: an owl = 0.50, 90 GFLOP. Which is best?"), 0.0, 2);
    let second = draw(&model, &second, 3, 0).await;
    assert!(second.billed.cached_prompt + 100 > tokens, "{:?}", second.billed);
}

#[tokio::test]
async fn more_samples_than_sequences_come_in_waves() {
    let Some(model) = smol() else { return };
    let request = ask("Say a word.", 1.0, 2);
    let reply = draw(&model, &request, 150, 0).await;
    assert_eq!(reply.draws.iter().filter(|d| d.is_ok()).count(), 150);
    assert_eq!(draw(&model, &request, 1, 149).await.draws[0].as_ref().unwrap().text, texts(&reply)[149]);
}

#[tokio::test]
async fn a_dropped_call_frees_its_place() {
    let Some(model) = smol() else { return };
    let long = ask("Write a long story about a dragon.", 1.0, 2000);
    for _ in 0..5 {
        let cancelled = tokio::time::timeout(Duration::from_millis(300), draw(&model, &long, 64, 0)).await;
        assert!(cancelled.is_err(), "2000 tokens of 64 samples within 300 ms?");
    }
    // 640000 tokens would be ahead of this one if the cancelled samples went on.
    let next = ask("Name three colours.", 0.0, 8);
    let reply = tokio::time::timeout(Duration::from_secs(60), draw(&model, &next, 1, 0)).await.expect("still busy");
    assert!(only(&reply).text.starts_with("1. Red"), "{reply:?}");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    std::fs::write(&path, "GGUF").unwrap();
    let error = Embedded::open(&path, EmbeddedOptions::default()).err().unwrap();
    assert_eq!(error.kind, ModelErrorKind::BadFile);
    assert!(error.message.contains("truncated"), "{error}");
    let missing = Embedded::open(&dir.path().join("none.gguf"), EmbeddedOptions::default()).err().unwrap();
    assert!(missing.message.contains("none.gguf"), "{missing}");
}

#[tokio::test]
async fn the_identity_pins_file_template_and_engine() {
    let Some(model) = smol() else { return };
    let id = model.identity();
    assert_eq!(id.model, "embedded:smollm2-135m");
    for part in ["sha256 b179c9523d0e", "template ", "llama-cpp-2 ", "cpu", "sampler "] {
        assert!(id.revision.contains(part), "{part} is missing in {}", id.revision);
    }
}
