//! What a server adds to a call: a mock model server, and a load that is sent to it directly and through others.
//!
//! `cargo xtask bench-serve` starts all that and calls this.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["upstream", port, latency_ms] => upstream(port.parse().unwrap(), latency_ms.parse().unwrap()).await,
        ["load", requests, connections, name, url, model, key] => {
            let target = Target { url: (*url).into(), model: (*model).into(), key: (*key).into() };
            let line = load(Arc::new(target), requests.parse().unwrap(), connections.parse().unwrap()).await;
            println!("{}", json!({"name": name, "connections": connections, "load": line}));
        }
        ["eight", rounds, direct, through] => println!("{}", eight(rounds.parse().unwrap(), direct, through).await),
        _ => panic!("upstream PORT LATENCY_MS | load REQUESTS CONNECTIONS NAME URL MODEL KEY | eight ROUNDS URL URL"),
    }
}

/// Answers every call alike after `latency_ms`; the model `spread` takes up to half as long again, by the seed, so that of eight
/// seeds in a row each takes another time.
async fn upstream(port: u16, latency_ms: u64) {
    let answer = move |Json(body): Json<Value>| async move {
        let seed = if body["model"] == "spread" { body["seed"].as_u64().unwrap_or(0) } else { 0 };
        let spread = latency_ms * (seed % 8) / 16;
        tokio::time::sleep(Duration::from_millis(latency_ms + spread)).await;
        let message = json!({"role": "assistant", "content": "4"});
        Json(json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
        }))
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    axum::serve(listener, Router::new().route("/v1/chat/completions", post(answer))).await.unwrap();
}

struct Target {
    url: String,
    model: String,
    key: String,
}

/// Latencies of many requests in milliseconds, and how many were answered a second.
async fn load(target: Arc<Target>, requests: u64, connections: u64) -> Value {
    let client = client();
    let next = Arc::new(AtomicU64::new(0));
    let warm = connections.min(32);
    futures::future::join_all((0..warm).map(|_| one(&client, &target))).await;
    let begin = Instant::now();
    let workers = (0..connections).map(|_| {
        let (client, target, next) = (client.clone(), target.clone(), next.clone());
        tokio::spawn(async move {
            let (mut times, mut failed) = (Vec::new(), 0u64);
            while next.fetch_add(1, Ordering::Relaxed) < requests {
                let start = Instant::now();
                match one(&client, &target).await {
                    true => times.push(start.elapsed().as_secs_f64() * 1e3),
                    false => failed += 1,
                }
            }
            (times, failed)
        })
    });
    let done = futures::future::join_all(workers).await;
    let seconds = begin.elapsed().as_secs_f64();
    let (mut times, mut failed) = (Vec::new(), 0);
    for (some, bad) in done.into_iter().map(Result::unwrap) {
        times.extend(some);
        failed += bad;
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().max(1) - 1)).copied();
    json!({"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "per_second": times.len() as f64 / seconds, "failed": failed})
}

async fn one(client: &reqwest::Client, target: &Target) -> bool {
    let body = json!({"model": target.model, "messages": [{"role": "user", "content": "two and two\nanswer: 4"}]});
    let sent = client.post(&target.url).bearer_auth(&target.key).json(&body).send().await;
    match sent {
        Ok(reply) if reply.status().is_success() => {
            reply.bytes().await.is_ok_and(|b| b.windows(3).any(|w| w == b"\"4\""))
        }
        _ => false,
    }
}

/// Eight samples of one stage through a plan, beside the slowest of eight direct calls at once: what they take at least. Both in
/// turn, so that the machine is in the same state for both; the mock takes equally long for any eight seeds in a row.
async fn eight(rounds: u64, direct: &str, through: &str) -> Value {
    let client = client();
    let (mut of_direct, mut of_through, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let start = Instant::now();
        let calls = (0..8u64).map(|j| {
            let body =
                json!({"model": "spread", "seed": round * 8 + j, "messages": [{"role": "user", "content": "x"}]});
            let call = client.post(direct).json(&body).send();
            async move { call.await.unwrap().bytes().await.unwrap() }
        });
        futures::future::join_all(calls).await;
        let slowest = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let messages = json!([{"role": "user", "content": "two and two\nanswer: 4"}]);
        let body = json!({"model": "bench", "seed": round, "messages": messages});
        let reply = client.post(through).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "the plan answers");
        reply.bytes().await.unwrap();
        let took = start.elapsed().as_secs_f64() * 1e3;
        // The first ones open connections.
        if round >= rounds / 10 {
            of_direct.push(slowest);
            of_through.push(took);
            added.push(took - slowest);
        }
    }
    let at = |times: &mut Vec<f64>, percent: usize| {
        times.sort_by(f64::total_cmp);
        times[times.len() * percent / 100]
    };
    json!({
        "direct_p50": at(&mut of_direct, 50), "direct_p95": at(&mut of_direct, 95),
        "through_p50": at(&mut of_through, 50), "through_p95": at(&mut of_through, 95),
        "added_p50": at(&mut added, 50), "added_p95": at(&mut added, 95),
    })
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().pool_max_idle_per_host(512).timeout(Duration::from_secs(60)).build().unwrap()
}
