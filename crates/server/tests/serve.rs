//! Serving a found plan: what clients of the OpenAI API get, and what becomes of the calls behind it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use agenttts_server::{KeyFile, Scope, ServeOptions, Server, ServerError, Tls};
use agenttts_testkit::{Certificate, Config, Fault, FaultServer};
use serde_json::{Value, json};
use support::{Found, Running, question, read, with};

async fn upstream(config: Config) -> FaultServer {
    FaultServer::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_gets_the_plans_answer_with_usage_cost_and_trace() {
    let upstream = upstream(Config { models: vec!["p55".into(), "p90".into()], ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let (status, reply) = server.chat(&with(question("42"), json!({"agenttts": {"trace": true}}))).await;
    assert_eq!(status, 200, "{reply}");
    let message = &reply["choices"][0]["message"];
    assert_eq!((message["role"].as_str(), &reply["object"]), (Some("assistant"), &json!("chat.completion")));
    assert_eq!(reply["usage"]["total_tokens"].as_u64().unwrap(), {
        let tokens = |k: &str| reply["usage"][k].as_u64().unwrap();
        tokens("prompt_tokens") + tokens("completion_tokens")
    });
    let ours = &reply["agenttts"];
    assert!(ours["cost"].as_f64().unwrap() > 0.0 && ours["cost_text"][0].as_str().unwrap().ends_with("USD"), "{ours}");
    let stages = ours["trace"][0]["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[1]["output"].as_str(), message["content"].as_str());
    // The same request draws the same samples: what is served can be repeated, and another seed draws others.
    let calls = upstream.served().total();
    let (_, again) = server.chat(&question("42")).await;
    assert_eq!(again["choices"], reply["choices"]);
    assert_eq!(upstream.served().total(), 2 * calls);
    let (_, models) = server.get("/v1/models").await;
    assert_eq!(models["data"][0]["id"], "sums");
    let (status, one) = server.get("/v1/models/sums@cheap").await;
    assert_eq!((status, &one["object"]), (200, &json!("model")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_done_and_says_the_same() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let (_, whole) = server.chat(&question("7")).await;
    let streamed = with(question("7"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let response = server.post("/v1/chat/completions", &streamed).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = events(&response.text().await.unwrap());
    let content: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
    assert!(events.iter().any(|e| e["choices"][0]["finish_reason"] == "stop"));
}

fn events(text: &str) -> Vec<Value> {
    let lines: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("data: ")).collect();
    let (last, events) = lines.split_last().unwrap();
    assert_eq!(*last, "[DONE]");
    events.iter().map(|e| serde_json::from_str(e).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_inputs_and_older_clients_are_answered_too() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let input = json!({"model": "sums@best", "input": {"question": "q\nanswer: 5"}, "trace": true});
    let (status, reply) = read(server.post("/v1/run", &input).send().await.unwrap()).await;
    assert_eq!((status, reply["stages"].as_array().unwrap().len()), (200, 2));
    let old = json!({"model": "sums@best", "prompt": "q\nanswer: 5"});
    let (status, completion) = read(server.post("/v1/completions", &old).send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(completion["choices"][0]["text"], reply["output"]);
    let (status, error) =
        read(server.post("/v1/run", &json!({"model": "sums", "input": {"qestion": "x"}})).send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(error["error"]["message"].as_str().unwrap().contains("\"question\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_in_the_apis_own_form_and_cost_nothing() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let url = format!("{}/v1/chat/completions", server.base);
    let raw = |body: Vec<u8>| server.client.post(&url).header("content-type", "application/json").body(body).send();
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"{".to_vec(), 400, "line 1 column"),
        (b"{\"model\": \"\xff\"}".to_vec(), 400, "not UTF-8"),
        (b"{\"model\": \"sums\", \"messages\": []}".to_vec(), 400, "no user message"),
        (question("1").to_string().replace("\"sums\"", "\"sum\"").into_bytes(), 404, "do you mean \\\"sums\\\"?"),
        (question("1").to_string().replace("\"sums\"", "\"sums@fast\"").into_bytes(), 404, "`cheap`"),
        (with(question("1"), json!({"n": -1})).to_string().into_bytes(), 400, "from 1 to"),
        (with(question("1"), json!({"tools": [{"type": "function"}]})).to_string().into_bytes(), 400, "tools"),
        (with(question("1"), json!({"agenttts": {"deadline_seconds": -3}})).to_string().into_bytes(), 400, "deadline"),
        (with(question("1"), json!({"agenttts": {"limit": {}}})).to_string().into_bytes(), 400, "unknown field"),
        (vec![b' '; 100_001], 413, "100000 bytes"),
    ];
    for (body, status, said) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let (got, error) = read(raw(body).await.unwrap()).await;
        assert_eq!(got, status, "{shown}: {error}");
        assert!(error["error"]["type"].is_string() && error.to_string().contains(said), "{shown}: {error}");
    }
    let (status, error) = server.get("/v1/nothing").await;
    assert_eq!((status, error["error"]["type"].as_str()), (404, Some("invalid_request_error")));
    assert_eq!(server.get("/v1/chat/completions").await.0, 405);
    assert_eq!(upstream.served().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_request_stops_its_calls_and_is_booked() {
    let slow = Config { latency: Duration::from_millis(300), ..Config::default() };
    let upstream = upstream(slow).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let sent = server.post("/v1/chat/completions", &question("3")).timeout(Duration::from_millis(100)).send().await;
    assert!(sent.unwrap_err().is_timeout());
    // The second stage would begin after 300 ms.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(upstream.served().requests, 1);
    assert_eq!(server.outcomes().await, json!({"cancelled": 1}));
    let (_, serving) = server.get("/api/serving").await;
    let traffic = &serving["plans"][0]["traffic"];
    assert_eq!(traffic["usage"]["calls"], 0, "nobody knows what it was billed");
    assert!(traffic["tokens_at_most"].as_u64().unwrap() > 0, "so the most that it can be counts: {traffic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_limit_end_an_answer_before_it_takes_more() {
    let upstream = upstream(Config { latency: Duration::from_millis(300), ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let (status, error) = server.chat(&with(question("3"), json!({"agenttts": {"deadline_seconds": 0.1}}))).await;
    assert_eq!((status, error["error"]["code"].as_str()), (504, Some("deadline_exceeded")));
    let before = upstream.served().requests;
    let (status, error) = server.chat(&with(question("3"), json!({"agenttts": {"limits": {"usd": 1e-9}}}))).await;
    assert_eq!((status, error["error"]["code"].as_str()), (400, Some("limit_exceeded")), "{error}");
    assert_eq!(upstream.served().requests, before, "the first call could pass it already");
    assert_eq!(server.outcomes().await, json!({"deadline": 1, "limit": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_told_also_in_mid_stream_and_hides_its_address() {
    let upstream = upstream(Config { faults: vec![(Fault::Status(500), 1.0)], ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let (status, error) = server.chat(&question("3")).await;
    assert_eq!((status, error["error"]["code"].as_str()), (502, Some("upstream_failed")));
    let streamed = with(question("3"), json!({"stream": true}));
    let response = server.post("/v1/chat/completions", &streamed).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert_eq!(events(&text).last().unwrap()["error"]["code"], "upstream_failed");
    assert!(!text.contains("127.0.0.1") && !error.to_string().contains("127.0.0.1"));
    assert_eq!(server.outcomes().await, json!({"upstream": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_is_no_fault_of_the_client() {
    let upstream = upstream(Config { faults: vec![(Fault::Status(400), 1.0)], ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let (status, error) = server.chat(&question("3")).await;
    assert_eq!((status, error["error"]["code"].as_str()), (502, Some("upstream_refused")), "{error}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    assert_eq!(server.outcomes().await, json!({"failed": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_with_the_time_to_come_again() {
    let upstream = upstream(Config { latency: Duration::from_millis(400), ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let mut options = found.options();
    (options.at_once, options.queue) = (1, 1);
    let server = Running::start(options).await;
    let replies = futures::future::join_all((0..4).map(|i| {
        let request = server.post("/v1/chat/completions", &question(&i.to_string()));
        async move { request.send().await.unwrap() }
    }))
    .await;
    let refused: Vec<_> = replies.iter().filter(|r| r.status() == 429).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|r| r.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1));
    assert_eq!(server.outcomes().await, json!({"busy": 2, "ok": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_faults_every_request_is_answered_and_every_one_counts() {
    let faults = Fault::transient().into_iter().map(|fault| (fault, 0.03)).collect();
    let upstream = upstream(Config { faults, fault_seed: 3, ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let mut options = found.options();
    options.queue = 200;
    let server = Running::start(options).await;
    let replies = futures::future::join_all((0..100).map(|i| {
        let question = question(&i.to_string());
        let server = &server;
        async move { server.chat(&question).await.0 }
    }))
    .await;
    let ok = replies.iter().filter(|status| **status == 200).count() as u64;
    assert!((10..100).contains(&ok), "{ok} of 100 were answered");
    assert!(replies.iter().all(|s| matches!(s, 200 | 500 | 502 | 503 | 504)), "{replies:?}");
    let outcomes = server.outcomes().await;
    assert_eq!(outcomes["ok"].as_u64().unwrap(), ok);
    assert_eq!(outcomes.as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum::<u64>(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_plan_file_is_served_anew_and_a_broken_one_is_not() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let plan = async || server.get("/v1/models/sums").await.1["agenttts"]["plan"].clone();
    let first = plan().await;
    let text = std::fs::read_to_string(found.file("sums")).unwrap();
    std::fs::write(found.file("sums"), text.replace("max_tokens = 20", "max_tokens = 21")).unwrap();
    let (status, told) = read(server.post("/api/serving/reload", &json!({})).send().await.unwrap()).await;
    assert_eq!((status, &told["changed"]), (200, &json!(["sums"])));
    let second = plan().await;
    assert_ne!(first, second);
    std::fs::write(found.file("sums"), "version = 1\nstudy = 3").unwrap();
    let (status, told) = read(server.post("/api/serving/reload", &json!({})).send().await.unwrap()).await;
    assert_eq!((status, told["failed"].as_array().unwrap().len()), (409, 1));
    assert_eq!(plan().await, second);
    assert_eq!(server.chat(&question("1")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_what_they_are_for() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let file = found.folder.path().join("keys.toml");
    let mut keys = KeyFile::default();
    let user = keys.issue("user", &[Scope::Use]).unwrap();
    let viewer = keys.issue("viewer", &[Scope::View]).unwrap();
    keys.write(&file).unwrap();
    let mut options = found.options();
    options.keys = Some(file);
    let server = Running::start(options).await;
    let status = async |key: Option<&str>, path: &str| {
        let request = server.client.get(format!("{}{path}", server.base));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None, "/v1/models").await, 401);
    assert_eq!(status(Some("atts-wrong"), "/v1/models").await, 401);
    assert_eq!(status(Some(&user), "/v1/models").await, 200);
    assert_eq!(status(Some(&user), "/metrics").await, 403);
    assert_eq!(status(Some(&viewer), "/metrics").await, 200);
    assert_eq!(status(Some(&viewer), "/v1/models").await, 403);
    assert_eq!(status(None, "/healthz").await, 200);
    let reload = server.client.post(format!("{}/api/serving/reload", server.base)).bearer_auth(&viewer);
    assert_eq!(reload.send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_answers_what_is_under_way() {
    let upstream = upstream(Config { latency: Duration::from_millis(300), ..Config::default() }).await;
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    let request = tokio::spawn(server.post("/v1/chat/completions", &question("3")).send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ended = server.stop();
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_wants_keys_and_tls() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let mut options = found.options();
    options.address = "0.0.0.0:0".parse().unwrap();
    let refused = async |options| match Server::bind(options).await {
        Err(ServerError::OpenToAll { lacks, .. }) => lacks,
        _ => panic!("it listens"),
    };
    assert_eq!(refused(options.clone()).await, "API keys");
    let file = found.folder.path().join("keys.toml");
    let mut keys = KeyFile::default();
    keys.issue("user", &[Scope::Use]).unwrap();
    keys.write(&file).unwrap();
    options.keys = Some(file);
    assert_eq!(refused(options.clone()).await, "TLS");
    options.behind_proxy = true;
    assert!(Server::bind(options).await.is_ok());
    // A port that is taken is told as that.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = found.options();
    options.address = taken.local_addr().unwrap();
    let Err(error) = Server::bind(options).await else { panic!("it listens") };
    assert!(error.hint().unwrap().contains("another program listens there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_trusts_the_certificate_speaks_tls_with_the_server() {
    let upstream = upstream(Config::default()).await;
    let found = Found::over(&upstream).await;
    let certificate = Certificate::new().unwrap();
    let file = |name: &str| found.folder.path().join(name);
    std::fs::write(file("cert.pem"), &certificate.certificate).unwrap();
    std::fs::write(file("key.pem"), &certificate.key).unwrap();
    let tls = |key| Some(Tls { certificate: file("cert.pem"), key: file(key) });
    let options = ServeOptions { tls: tls("key.pem"), ..found.options() };
    let server = Running::start(options.clone()).await;
    let url = format!("{}/v1/chat/completions", server.base.replace("http://", "https://"));
    let trusted = reqwest::Certificate::from_pem(certificate.certificate.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    let reply = client.post(&url).json(&question("3")).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, reqwest::Version::HTTP_2));
    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    assert!(stranger.post(&url).json(&question("3")).send().await.is_err(), "the certificate is not taken on trust");

    let Err(error) = Server::bind(ServeOptions { tls: tls("cert.pem"), ..options }).await else { panic!("it listens") };
    assert!(error.hint().unwrap().contains("--tls-key"), "{error}");
}
