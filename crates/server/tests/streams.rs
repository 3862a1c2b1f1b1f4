//! Streamed answers: told while the last stage decodes them where they are its text, and in the end the same as whole ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use agenttts_testkit::{Config, Fault, FaultServer};
use serde_json::{Value, json};
use support::{Found, Running, question, read, with};

const SENTENCE: &str = "nine plates are twelve euros, and forks are extra";

/// The last stage draws once, and its text is the answer.
const ONCE: &str = "samples = 1";

/// An upstream server that does this to the last stage's first call; the stage before it makes one call.
async fn upstream(fault: Option<Fault>) -> FaultServer {
    FaultServer::start(Config { script: vec![None, fault], ..Config::default() }).await.unwrap()
}

fn streamed(answer: &str) -> Value {
    with(question(answer), json!({"stream": true, "stream_options": {"include_usage": true}}))
}

/// The events of a reply, as they come.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn of(server: &Running, path: &str, body: &Value) -> Self {
        let response = server.post(path, body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events { response, text: String::new() }
    }

    async fn chat(server: &Running, body: &Value) -> Self {
        Events::of(server, "/v1/chat/completions", body).await
    }

    /// The next event; `None` after the last, which must be `[DONE]`.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("data: ").map(str::to_owned);
                self.text = rest.to_owned();
                match data.as_deref() {
                    Some("[DONE]") => return None,
                    Some(data) => return Some(serde_json::from_str(data).unwrap()),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next text that is not empty.
    async fn text(&mut self) -> String {
        loop {
            let event = self.next().await.unwrap();
            let text = text(&event);
            if !text.is_empty() {
                return text;
            }
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn text(event: &Value) -> String {
    let choice = &event["choices"][0];
    choice["delta"]["content"].as_str().or(choice["text"].as_str()).unwrap_or_default().to_owned()
}

/// The texts that are not empty, of the answer with that index.
fn texts(events: &[Value], index: u64) -> Vec<String> {
    let of_answer = events.iter().filter(|e| e["choices"][0]["index"] == index);
    of_answer.map(text).filter(|text| !text.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_word_comes_before_the_upstream_is_at_its_end() {
    let upstream = upstream(Some(Fault::SlowDrip(Duration::from_millis(30)))).await;
    let found = Found::with_last_stage(ONCE, &upstream).await;
    let server = Running::start(found.options()).await;
    assert_eq!(server.get("/v1/models/sums").await.1["agenttts"]["streams"], true);
    let mut events = Events::chat(&server, &streamed(SENTENCE)).await;
    assert_eq!(events.text().await, "nine");
    assert_eq!((upstream.served().under_way, upstream.served().requests), (1, 2));
    let rest = events.rest().await;
    let words = texts(&rest, 0);
    assert!(words.len() > 4, "{words:?}");
    assert_eq!(format!("nine{}", words.concat()), SENTENCE);
    let (_, whole) = server.chat(&question(SENTENCE)).await;
    assert_eq!(whole["choices"][0]["message"]["content"], SENTENCE);
    assert_eq!(rest.last().unwrap()["usage"], whole["usage"]);
    let last = rest.iter().find(|e| e["choices"][0]["finish_reason"] == "stop").unwrap();
    assert_eq!(last["agenttts"]["cost"], whole["agenttts"]["cost"]);
    assert_eq!(server.outcomes().await, json!({"ok": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_streamed_answer_are_the_whole_one() {
    let upstream = upstream(None).await;
    let found = Found::with_last_stage(ONCE, &upstream).await;
    let server = Running::start(found.options()).await;
    let spaced = ["7", "a b", "  led  by   space ", "é € \u{1F37D} plates", "tabs\tand more  "];
    for (seed, answer) in spaced.iter().enumerate() {
        let more = json!({"n": 2, "seed": seed});
        let (_, whole) = server.chat(&with(question(answer), more.clone())).await;
        let events = Events::chat(&server, &with(streamed(answer), more.clone())).await.rest().await;
        let prompt = json!({"model": "sums", "prompt": format!("how much?\nanswer: {answer}"), "stream": true});
        let older = Events::of(&server, "/v1/completions", &with(prompt, more)).await.rest().await;
        for index in 0..2 {
            let content = whole["choices"][index]["message"]["content"].as_str().unwrap();
            assert_eq!(texts(&events, index as u64).concat(), content);
            assert_eq!(texts(&older, index as u64).concat(), content);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_and_parsed_answers_come_whole_and_a_fusion_is_told_while_it_is_written() {
    let parser = "samples = 1\nparser = { kind = \"last-line\" }";
    let fusion = "samples = 2\naggregator = \"fuse\"";
    for (last_stage, streams) in [("samples = 2", false), (parser, false), (fusion, true)] {
        let upstream = upstream(None).await;
        let found = Found::with_last_stage(last_stage, &upstream).await;
        let server = Running::start(found.options()).await;
        assert_eq!(server.get("/v1/models/sums").await.1["agenttts"]["streams"], streams, "{last_stage}");
        let words = texts(&Events::chat(&server, &streamed(SENTENCE)).await.rest().await, 0);
        // How many pieces a text comes in depends on how busy the machine is; where nothing streams it is one.
        assert!(streams || words.len() == 1, "{last_stage}: {words:?}");
        let asked: Vec<bool> = upstream.served().bodies.iter().map(|b| b["stream"] == true).collect();
        let expected: &[bool] = if streams { &[false, false, true] } else { &[false, false] };
        assert_eq!(asked, expected, "{last_stage}");
        let (_, whole) = server.chat(&question(SENTENCE)).await;
        assert_eq!(whole["choices"][0]["message"]["content"], words.concat(), "{last_stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_in_mid_stream_is_told_once_and_booked() {
    let upstream = upstream(Some(Fault::Truncated)).await;
    let found = Found::with_last_stage(ONCE, &upstream).await;
    let server = Running::start(found.options()).await;
    let mut events = Events::chat(&server, &streamed(SENTENCE)).await;
    let first = events.text().await;
    let rest = events.rest().await;
    let told = format!("{first}{}", texts(&rest, 0).concat());
    assert!(SENTENCE.starts_with(&told) && told != SENTENCE, "{told}");
    let error = &rest.last().unwrap()["error"];
    assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some("upstream_failed"), Some("server_error")));
    assert_eq!(upstream.served().requests, 2, "it is not tried again, as something was told");
    assert_eq!(server.outcomes().await, json!({"upstream": 1}));
    let (_, serving) = server.get("/api/serving").await;
    let traffic = &serving["plans"][0]["traffic"];
    // The first stage's four bytes are one token; of the last one a bound is booked, from the text that came.
    assert_eq!(traffic["usage"]["calls"], 2);
    assert!(traffic["usage"]["decode"].as_u64().unwrap() > first.len() as u64, "{traffic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_in_mid_stream_ends_the_upstream_call() {
    let upstream = upstream(Some(Fault::Stalled)).await;
    let found = Found::with_last_stage(ONCE, &upstream).await;
    let server = Running::start(found.options()).await;
    let mut events = Events::chat(&server, &streamed(SENTENCE)).await;
    assert_eq!(events.text().await, "nine");
    assert_eq!(upstream.served().under_way, 1);
    drop(events);
    while upstream.served().under_way > 0 || server.outcomes().await != json!({"cancelled": 1}) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, serving) = server.get("/api/serving").await;
    let traffic = &serving["plans"][0]["traffic"];
    assert!(traffic["tokens_at_most"].as_u64() > traffic["usage"]["prompt"].as_u64(), "{traffic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_stream_with_an_error() {
    let upstream = upstream(Some(Fault::Stalled)).await;
    let found = Found::with_last_stage(ONCE, &upstream).await;
    let server = Running::start(found.options()).await;
    let hurried = with(streamed(SENTENCE), json!({"agenttts": {"deadline_seconds": 0.5}}));
    let events = Events::chat(&server, &hurried).await.rest().await;
    assert!(!texts(&events, 0).is_empty());
    assert_eq!(events.last().unwrap()["error"]["code"], "deadline_exceeded");
    let (status, _) = read(server.post("/v1/chat/completions", &question("1")).send().await.unwrap()).await;
    assert_eq!(status, 200, "the next one is answered");
}
