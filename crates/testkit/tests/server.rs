//! The test server itself: determinism, the record and its log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use agenttts_testkit::{Config, Fault, FaultServer};
use serde_json::{Value, json};

fn client() -> reqwest::Client {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn ask(base_url: &str, n: u32, seed: u32) -> reqwest::Result<Value> {
    let body = json!({"model": "p50", "messages": [{"role": "user", "content": "answer: 7"}], "temperature": 0.9,
        "max_tokens": 16, "n": n, "seed": seed});
    client().post(format!("{base_url}/chat/completions")).json(&body).send().await?.json().await
}

fn texts(reply: &Value) -> Vec<&str> {
    reply["choices"].as_array().unwrap().iter().map(|c| c["message"]["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_choice_depends_on_the_request_and_its_own_seed_alone() {
    let server = FaultServer::start(Config::default()).await.unwrap();
    let together = ask(&server.base_url(), 12, 100).await.unwrap();
    let distinct: HashSet<_> = texts(&together).into_iter().collect();
    assert!(distinct.len() > 1);
    for j in 0..12 {
        let alone = ask(&server.base_url(), 1, 100 + j).await.unwrap();
        assert_eq!(texts(&alone)[0], texts(&together)[j as usize]);
    }
    // All twelve were drawn twice, and the record says so.
    let served = server.served();
    assert_eq!((served.total(), served.repeated(), served.requests), (24, 12, 13));
}

#[tokio::test]
async fn a_struck_request_serves_nothing_and_a_stopped_server_is_gone() {
    let script = vec![Some(Fault::Truncated), Some(Fault::Reset), Some(Fault::WrongJson)];
    let server = FaultServer::start(Config { script, ..Config::default() }).await.unwrap();
    for _ in 0..3 {
        assert!(ask(&server.base_url(), 1, 1).await.is_err());
    }
    assert_eq!(server.served().total(), 0);
    assert!(ask(&server.base_url(), 1, 1).await.is_ok());
    let (address, port) = (server.base_url(), server.port());
    server.stop().await;
    assert!(ask(&address, 1, 1).await.is_err());
    // The port is free for the next one: a server that comes back.
    let back = FaultServer::start(Config { port, ..Config::default() }).await.unwrap();
    assert!(ask(&back.base_url(), 1, 1).await.is_ok());
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_program_logs_what_it_serves_and_appends_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("served.jsonl");
    for (run, seed) in [(1, 5), (2, 7)] {
        let child = Command::new(env!("CARGO_BIN_EXE_testkit-server"))
            .args(["--latency-ms", "1", "--log"])
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Killed(child);
        let mut address = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        ask(address.trim(), 2, seed).await.unwrap();
        drop(server);
        let lines = std::fs::read_to_string(&log).unwrap();
        let seeds: Vec<u64> =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seed"].as_u64().unwrap()).collect();
        assert_eq!(seeds, [5, 6, 7, 8][..2 * run]);
    }
}
