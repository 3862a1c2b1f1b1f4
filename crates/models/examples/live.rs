//! Many calls at once to a model server: through this crate, and through a plain loop over the same HTTP library.
//!
//! `live ours|adaptive|plain CALLERS CALLS BASE_URL` lets CALLERS tasks make CALLS calls each, one after another, and prints one
//! line of JSON. `cargo xtask bench live` starts a mock with a latency and compares the two with Python's client.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use agenttts_core::{Decoding, Message, Request, Temperature};
use agenttts_models::{Call, Model};
use futures::future::join_all;
use serde_json::json;
use support::served;

mod support;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [how, callers, calls, url] = args.as_slice() else { panic!("live ours|adaptive|plain CALLERS CALLS BASE_URL") };
    let (callers, calls) = (callers.parse().unwrap(), calls.parse().unwrap());
    let begin = Instant::now();
    let tasks: Vec<_> = match how.as_str() {
        "ours" | "adaptive" => {
            let model = served(url, Some(1), callers, how == "adaptive");
            (0..callers).map(|caller| tokio::spawn(ours(model.clone(), caller, calls))).collect()
        }
        "plain" => {
            let client = client();
            (0..callers).map(|caller| tokio::spawn(plain(client.clone(), url.clone(), caller, calls))).collect()
        }
        other => panic!("{other} is none of them"),
    };
    let answered: u32 = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    let seconds = begin.elapsed().as_secs_f64();
    let (cpu_seconds, peak_mb) = used();
    println!(
        "{}",
        json!({"seconds": seconds, "answered": answered, "failed": callers * calls - answered,
               "cpu_seconds": cpu_seconds, "peak_mb": peak_mb})
    );
}

async fn ours(model: Arc<dyn Model>, caller: u32, calls: u32) -> u32 {
    let mut answered = 0;
    for call in 0..calls {
        let request = Request {
            messages: vec![Message::user(format!("two and two, {caller} {call}"))],
            decoding: Decoding {
                temperature: Temperature::new(0.7).unwrap(),
                top_p: None,
                max_tokens: 20,
                stop: vec![],
                constraint: None,
            },
        };
        let reply = model.draw(Call::new(&request, 1, call)).await;
        answered += u32::from(reply.draws.iter().all(|draw| draw.as_ref().is_ok_and(|draw| draw.text == "4")));
    }
    answered
}

/// What a person would write: no limits, no retries, no booking.
async fn plain(client: reqwest::Client, url: String, caller: u32, calls: u32) -> u32 {
    let mut answered = 0;
    for call in 0..calls {
        let body = json!({
            "model": "m", "temperature": 0.7, "max_tokens": 20, "n": 1, "seed": call,
            "messages": [{"role": "user", "content": format!("two and two, {caller} {call}")}],
        });
        let sent = client.post(format!("{url}/chat/completions")).json(&body).send().await;
        let Ok(reply) = sent.and_then(reqwest::Response::error_for_status) else { continue };
        let Ok(value) = reply.json::<serde_json::Value>().await else { continue };
        answered += u32::from(value["choices"][0]["message"]["content"] == "4");
    }
    answered
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// Processor seconds that this process has used, and its highest resident memory in MB; NaN where the system does not tell.
fn used() -> (f64, f64) {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| after_name.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = peak.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN);
    ((ticks(11) + ticks(12)) / TICKS_A_SECOND, kb / 1024.0)
}
