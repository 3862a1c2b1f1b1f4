//! Answered requests as examples of a later search.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use agenttts_engine::load_pipeline;
use agenttts_server::{ExampleLog, KeyFile, Scope, Server, ServerError};
use agenttts_testkit::{Config, FaultServer};
use serde_json::{Value, json};
use support::{Found, Running, question, with};

fn log(folder: &Path, answer: &str) -> Option<ExampleLog> {
    Some(ExampleLog { folder: folder.to_owned(), answer: answer.into(), most: 1 << 20 })
}

fn lines(file: &Path) -> Vec<Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_requests_are_examples_that_a_pipeline_loads() {
    let upstream = FaultServer::start(Config::default()).await.unwrap();
    let found = Found::over(&upstream).await;
    let folder = found.folder.path().join("log");
    let mut options = found.options();
    options.examples = log(&folder, "answer");
    let mut keys = KeyFile::default();
    let key = keys.issue("alice", &[Scope::Use, Scope::View]).unwrap();
    keys.write(&found.folder.path().join("keys.toml")).unwrap();
    options.keys = Some(found.folder.path().join("keys.toml"));
    let server = Running::start(options).await;
    let send = |path: &str, body: Value| server.post(path, &body).bearer_auth(&key).send();
    let mut answers = Vec::new();
    for i in 0..3 {
        let ours = json!({"agenttts": {"input": {"session": "what the plan does not read"}}});
        let body = with(question(&i.to_string()), ours);
        let reply: Value = send("/v1/chat/completions", body).await.unwrap().json().await.unwrap();
        answers.push(reply["choices"][0]["message"]["content"].clone());
    }
    let streamed = with(question("7"), json!({"stream": true}));
    send("/v1/chat/completions", streamed).await.unwrap().text().await.unwrap();
    // Neither refused nor failed requests are examples.
    send("/v1/chat/completions", json!({"model": "none", "messages": []})).await.unwrap();
    let limited = with(question("9"), json!({"agenttts": {"limits": {"calls": 0}}}));
    send("/v1/chat/completions", limited).await.unwrap();
    server.stop().await.unwrap().unwrap();

    let file = folder.join("sums.jsonl");
    let kept = lines(&file);
    assert_eq!(kept.len(), 4, "the end waits for what is not written yet");
    assert_eq!(kept[0]["question"], "how much?\nanswer: 0");
    assert_eq!(kept.iter().take(3).map(|e| e["answer"].clone()).collect::<Vec<_>>(), answers);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&key) && !text.contains("alice") && !text.contains("does not read"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
    }

    // A later search takes the file as it is.
    let pipeline = found.folder.path().join("pipeline.toml");
    let text = fs::read_to_string(&pipeline).unwrap();
    fs::write(&pipeline, text.replace("search = \"search.jsonl\"", "search = \"log/sums.jsonl\"")).unwrap();
    let loaded = load_pipeline(found.folder.path(), &|_| None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(loaded.pipeline.search_split.examples.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_loses_examples_and_no_request_and_is_told() {
    let upstream = FaultServer::start(Config::default()).await.unwrap();
    let found = Found::over(&upstream).await;
    let folder = found.folder.path().join("log");
    let mut options = found.options();
    options.examples = log(&folder, "served");
    // A folder in the file's place: no disk takes it.
    fs::create_dir_all(folder.join("sums.jsonl")).unwrap();
    let server = Running::start(options).await;
    let until = async |wanted: Value| {
        for _ in 0..200 {
            let (_, serving) = server.get("/api/serving").await;
            if serving["examples"] == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("never {wanted}");
    };
    assert_eq!(server.chat(&question("1")).await.0, 200);
    until(json!({"written": 0, "lost": 1, "failing": true})).await;
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("agenttts_examples{outcome=\"lost\"} 1"), "{metrics}");
    fs::remove_dir(folder.join("sums.jsonl")).unwrap();
    assert_eq!(server.chat(&question("2")).await.0, 200);
    until(json!({"written": 1, "lost": 1, "failing": false})).await;
    assert_eq!(lines(&folder.join("sums.jsonl")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_plan_reads_is_no_place_for_its_answer() {
    let upstream = FaultServer::start(Config::default()).await.unwrap();
    let found = Found::over(&upstream).await;
    let mut options = found.options();
    options.examples = log(&found.folder.path().join("log"), "question");
    let refused = Server::bind(options).await.err().unwrap();
    assert!(matches!(refused, ServerError::Examples { .. }), "{refused}");
    assert!(refused.to_string().contains("reads a field \"question\""), "{refused}");
}
