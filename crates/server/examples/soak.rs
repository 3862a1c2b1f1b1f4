//! Mixed traffic on a real server for a while, over model servers that misbehave: is a request ever lost, is all that was
//! billed accounted for, does memory stay flat? `cargo xtask soak` builds what this needs and calls it.
//!
//! `soak PROGRAM FOLDER MINUTES`: everything is on loopback, and ends by itself.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an experiment"
)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agenttts_testkit::{Config, Fault, FaultServer};
use futures::StreamExt;
use rand::RngExt;
use reqwest::Client;
use serde_json::{Value, json};

use pipeline::{PIPELINE, write_pipeline};

#[path = "../tests/support/pipeline.rs"]
mod pipeline;

/// Requests under way at once, and how long each sender rests between two: what one core answers easily.
const SENDERS: u64 = 8;
const REST: Duration = Duration::from_millis(300);
/// Requests of a burst, which is more than the server lets wait.
const BURST: usize = 60;
/// How often there is a burst, a plan file changes, and memory is looked at.
const BURSTS: Duration = Duration::from_secs(60);
const CHANGES: Duration = Duration::from_secs(20);
const LOOKS: Duration = Duration::from_secs(5);
/// The share of the time that counts as warming up.
const WARM: f64 = 0.2;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder, minutes] = args.as_slice() else { panic!("soak PROGRAM FOLDER MINUTES") };
    let time = Duration::from_secs_f64(minutes.parse::<f64>().expect("minutes") * 60.0);
    let soak = Soak::begin(PathBuf::from(program), PathBuf::from(folder)).await;
    let ended = soak.run(time).await;
    ended.print();
    if !ended.wrong.is_empty() {
        std::process::exit(1);
    }
}

/// A server, the model servers behind it, and what was sent to it.
struct Soak {
    program: PathBuf,
    folder: PathBuf,
    /// Behind the plans `a` and `b`: every reply that leaves it arrives, so what it decoded is what was billed.
    counted: FaultServer,
    /// Behind the plan `c`, whose requests are given up.
    given_up: FaultServer,
    server: Child,
    base: String,
    keys: BTreeMap<&'static str, String>,
    sent: Arc<Sent>,
}

/// What was sent, and what came back.
#[derive(Default)]
struct Sent {
    /// By kind and what became of them.
    outcomes: Mutex<BTreeMap<(&'static str, String), u64>>,
    /// Of every request that a plan had to answer: what its reply said was decoded, where it had one.
    usage: Mutex<HashMap<String, Option<u64>>>,
    /// Answers that were none.
    wrong: Mutex<Vec<String>>,
    /// Milliseconds of requests that were answered.
    times: Mutex<Vec<f64>>,
    number: AtomicU64,
    reloads: AtomicU64,
    refused: AtomicU64,
}

/// What it came to.
struct Ended {
    lines: Vec<String>,
    wrong: Vec<String>,
}

impl Soak {
    /// Searches three plans over a model server without faults, and serves them over two with them.
    async fn begin(program: PathBuf, folder: PathBuf) -> Self {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let transient = |each: f64| {
            let faults = [
                Fault::TooManyRequests(Some("0".into())),
                Fault::Status(500),
                Fault::Status(503),
                Fault::Reset,
                Fault::Truncated,
                Fault::WrongJson,
                Fault::Html,
            ];
            let slow = [Fault::SlowDrip(Duration::from_millis(1)), Fault::Hang(Duration::from_millis(400))];
            faults.into_iter().chain(slow).map(|fault| (fault, each)).collect::<Vec<_>>()
        };
        let latency = Duration::from_millis(10);
        let counted = Config { latency, faults: transient(0.02), ..Config::default() };
        let given_up = Config { latency: latency * 4, faults: transient(0.01), fault_seed: 1, ..Config::default() };
        let counted = FaultServer::start(counted).await.unwrap();
        let given_up = FaultServer::start(given_up).await.unwrap();
        let healthy = FaultServer::start(Config::default()).await.unwrap();
        let mut keys = BTreeMap::new();
        for (name, upstream) in [("a", &counted), ("b", &counted), ("c", &given_up)] {
            let text = PIPELINE
                .replace("\"sums\"", &format!("{name:?}"))
                .replace("trials = 6", "trials = 6\nseed = 3")
                .replace("BASE_URL", &healthy.base_url())
                .replace("retries = 0", "retries = 2");
            write_pipeline(&folder, &text);
            say(&program, &folder, &["search", ".", "--name", name]);
            say(&program, &folder, &["plan", name, "-o", "found.toml"]);
            let plan = fs::read_to_string(folder.join("found.toml")).unwrap();
            let plan = plan.replace(&healthy.base_url(), &upstream.base_url());
            // Another file of the same plan: it is served anew.
            let other = plan.replace("retries = 2", "retries = 3");
            assert_ne!(plan, other);
            fs::write(folder.join(format!("{name}-1.toml")), plan).unwrap();
            fs::write(folder.join(format!("{name}-2.toml")), other).unwrap();
            fs::copy(folder.join(format!("{name}-1.toml")), folder.join(format!("{name}.plan.toml"))).unwrap();
        }
        healthy.stop().await;
        for (name, scopes) in [("alice", "use"), ("bob", "use"), ("ops", "view,administrate")] {
            keys.insert(name, say(&program, &folder, &["keys", "new", name, "--scopes", scopes]).trim().to_owned());
        }
        let (server, base) = serve(&program, &folder).await;
        Soak { program, folder, counted, given_up, server, base, keys, sent: Arc::default() }
    }

    async fn run(mut self, time: Duration) -> Ended {
        let begun = Instant::now();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        let senders = (0..SENDERS).map(|number| self.sender(number));
        for sender in senders.collect::<Vec<_>>() {
            let (is_over, sent) = (is_over.clone(), self.sent.clone());
            tasks.spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    sender.one(&sent).await;
                    let rest = REST.mul_f64(rand::rng().random_range(0.5..1.5));
                    tokio::time::sleep(rest).await;
                }
            });
        }
        let burst = self.sender(SENDERS);
        let (mut memory, mut next_burst, mut next_change) = (Vec::new(), BURSTS / 2, CHANGES);
        let mut change = 0;
        while begun.elapsed() < time {
            tokio::time::sleep(LOOKS.min(time.saturating_sub(begun.elapsed()))).await;
            if let Some(status) = self.server.try_wait().unwrap() {
                self.sent.wrong(format!("the server ended by itself: {status}"));
                break;
            }
            memory.push((begun.elapsed().as_secs_f64(), resident(self.server.id())));
            if begun.elapsed() >= next_change {
                next_change += CHANGES;
                change += 1;
                self.change(change).await;
            }
            if begun.elapsed() >= next_burst {
                next_burst += BURSTS;
                let all = (0..BURST).map(|_| burst.chat("burst", "a", false, &self.sent));
                futures::future::join_all(all).await;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        self.end(begun.elapsed(), &memory).await
    }

    fn sender(&self, number: u64) -> Sender {
        // A connection of its own for some, one for all requests of others.
        let idle = if number.is_multiple_of(2) { 1 } else { 0 };
        let client = Client::builder().pool_max_idle_per_host(idle).timeout(Duration::from_secs(60)).build().unwrap();
        let key = self.keys[if number.is_multiple_of(3) { "alice" } else { "bob" }].clone();
        Sender { client, base: self.base.clone(), key, ops: self.keys["ops"].clone() }
    }

    /// Writes another plan into a plan file; every fifth time, one that is none.
    async fn change(&self, number: u64) {
        let name = ["a", "b", "c"][(number % 3) as usize];
        let file = self.folder.join(format!("{name}.plan.toml"));
        let new = self.folder.join("new.toml");
        if number.is_multiple_of(5) {
            fs::write(&new, "version = 1\nthis is no plan").unwrap();
            self.sent.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            fs::copy(self.folder.join(format!("{name}-{}.toml", 1 + number / 3 % 2)), &new).unwrap();
            self.sent.reloads.fetch_add(1, Ordering::Relaxed);
        }
        // Whole or not at all, as careful editors write.
        fs::rename(&new, &file).unwrap();
    }

    /// Sums up, and ends the server.
    async fn end(mut self, time: Duration, memory: &[(f64, f64)]) -> Ended {
        let ops = self.sender(0);
        // What was given up is booked when its calls have ended.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let metrics = ops.get("/metrics", &self.keys["ops"]).await;
        let threads = threads(self.server.id());
        kill(self.server.id());
        let status = self.server.wait().unwrap();
        if !status.success() {
            self.sent.wrong(format!("the server ended with {status}"));
        }
        let log = Log::read(&self.folder.join("server.log"));
        let mut lines = self.account(&metrics, &log);
        lines.push(String::new());
        lines.extend(self.flat(memory, threads));
        let times = &mut *self.sent.times.lock().unwrap();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        let mut head = vec![
            format!(
                "{:.1} minutes, {} requests, {} plan files changed, {} of them into nothing that could be served",
                time.as_secs_f64() / 60.0,
                self.sent.outcomes.lock().unwrap().values().sum::<u64>(),
                self.sent.reloads.load(Ordering::Relaxed) + self.sent.refused.load(Ordering::Relaxed),
                self.sent.refused.load(Ordering::Relaxed)
            ),
            format!("answered in p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms", at(0.5), at(0.95), at(0.99)),
            String::new(),
            "| sent | came to | requests |".into(),
            "|---|---|---|".into(),
        ];
        for ((kind, outcome), count) in &*self.sent.outcomes.lock().unwrap() {
            head.push(format!("| {kind} | {outcome} | {count} |"));
        }
        head.push(String::new());
        head.extend(lines);
        let wrong = std::mem::take(&mut *self.sent.wrong.lock().unwrap());
        let _ = (&self.program, &self.given_up);
        Ended { lines: head, wrong }
    }

    /// Whether replies, the server's log, its totals and the model servers tell the same.
    fn account(&self, metrics: &str, log: &Log) -> Vec<String> {
        let usage = self.sent.usage.lock().unwrap();
        let (mut replies, mut in_log) = (0, 0);
        for (id, said) in &*usage {
            let Some(logged) = log.requests.get(id) else {
                // Refused before it was a plan's: no tokens, and the client was told.
                if said.is_some() {
                    self.sent.wrong(format!("{id} was answered and is not in the log"));
                }
                continue;
            };
            in_log += 1;
            if let Some(said) = said {
                replies += said;
                if *said != logged.decode {
                    self.sent.wrong(format!("{id}: its reply says {said} tokens, the log {}", logged.decode));
                }
            }
        }
        let sum = |of: &dyn Fn(&Logged) -> bool| log.requests.values().filter(|l| of(l)).map(|l| l.decode).sum::<u64>();
        let (all, of_c) = (sum(&|_| true), sum(&|l| l.plan.starts_with("c-")));
        let total = metric(metrics, "agenttts_tokens_total", "kind=\"decode\"");
        let failed = sum(&|l| !l.plan.starts_with("c-") && l.outcome != "ok");
        let (counted, given_up) = (self.counted.served().decoded, self.given_up.served().decoded);
        if all != total {
            self.sent.wrong(format!("the log adds up to {all} decoded tokens, the metrics to {total}"));
        }
        // Of streams that break off an upper bound is booked: no less than was decoded, and no more beyond that than such
        // requests were billed.
        let billed = all - of_c;
        if !(counted..=counted + failed).contains(&billed) || replies > counted {
            self.sent.wrong(format!(
                "plans a and b were billed {billed} decoded tokens, {failed} of them of failed requests, and {counted} were \
                 decoded"
            ));
        }
        if of_c > given_up {
            self.sent.wrong(format!("plan c was billed {of_c} decoded tokens, and only {given_up} were decoded"));
        }
        if log.twice > 0 {
            self.sent.wrong(format!("{} requests are in the log twice", log.twice));
        }
        vec![
            "| decoded tokens | |".into(),
            "|---|---|".into(),
            format!("| in the usage of replies | {replies} |"),
            format!("| of requests to a and b that failed | {failed} |"),
            format!("| of a and b in the server's log | {} |", all - of_c),
            format!("| decoded by the model server of a and b | {counted} |"),
            format!("| of c, whose requests are given up, in the log | {of_c} |"),
            format!("| decoded by the model server of c | {given_up} |"),
            format!("| in the server's metrics | {total} |"),
            format!("| requests in the log | {in_log} |"),
        ]
    }

    /// Whether memory stays flat after the warm-up.
    fn flat(&self, memory: &[(f64, f64)], threads: usize) -> Vec<String> {
        let warm = memory.last().map_or(0.0, |m| m.0) * WARM;
        let after: Vec<(f64, f64)> = memory.iter().copied().filter(|m| m.0 >= warm).collect();
        let Some((slope, error)) = slope(&after) else {
            return vec!["too short to say whether memory stays flat".into()];
        };
        let mean = after.iter().map(|m| m.1).sum::<f64>() / after.len() as f64;
        let hours = (after[after.len() - 1].0 - after[0].0) / 3600.0;
        // Of the allocator's and the log's own making: a leak of a request's size would be many times that.
        let allowed = (mean * 0.1).max(4.0);
        if slope * hours > allowed {
            self.sent.wrong(format!("memory grew by {:.1} MB", slope * hours));
        }
        let most = after.iter().map(|m| m.1).fold(0.0, f64::max);
        vec![format!(
            "memory after {:.0} s: mean {mean:.1} MB, most {most:.1} MB, trend {slope:+.2} ± {:.2} MB an hour over {} looks; {threads} threads at the end",
            warm,
            2.0 * error,
            after.len(),
        )]
    }
}

/// Sends requests.
struct Sender {
    client: Client,
    base: String,
    key: String,
    ops: String,
}

impl Sender {
    /// One request of any kind.
    async fn one(&self, sent: &Sent) {
        let (kind, plan) = {
            let mut rng = rand::rng();
            (rng.random_range(0..100), ["a", "b", "a@cheap", "b@best"][rng.random_range(0..4usize)])
        };
        match kind {
            0..35 => self.chat("chat", plan, false, sent).await,
            35..60 => self.chat("streamed chat", plan, true, sent).await,
            60..72 => {
                self.plain("run", "/v1/run", json!({"model": plan, "input": {"question": question(sent)}}), sent).await
            }
            72..80 => {
                let body = json!({"model": plan, "prompt": question(sent)});
                self.plain("completion", "/v1/completions", body, sent).await;
            }
            80..90 => self.give_up(kind % 2 == 0, sent).await,
            90..93 => {
                self.refused("unknown model", 404, json!({"model": "none", "messages": []}).to_string(), None, sent)
                    .await
            }
            93..95 => self.refused("no JSON", 400, "{\"model\": ".into(), None, sent).await,
            95..97 => self.refused("wrong key", 401, "{}".into(), Some("atts-wrong"), sent).await,
            97..98 => self.refused("key of another scope", 403, "{}".into(), Some(&self.ops), sent).await,
            _ => {
                let text = self.get("/api/serving", &self.ops).await;
                let is_proper = serde_json::from_str::<Value>(&text).is_ok_and(|v| v["plans"].is_array());
                sent.came("look at the traffic", if is_proper { "200" } else { "nothing" });
                if !is_proper {
                    sent.wrong(format!("/api/serving said {text}"));
                }
            }
        }
    }

    async fn get(&self, path: &str, key: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(key);
        match request.send().await {
            Ok(response) => response.text().await.unwrap_or_else(|e| e.to_string()),
            Err(error) => error.to_string(),
        }
    }

    fn post(&self, path: &str, id: &str, body: String) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        request.header("x-request-id", id).header("content-type", "application/json").body(body)
    }

    async fn chat(&self, kind: &'static str, plan: &str, streamed: bool, sent: &Sent) {
        let content = json!([{"role": "user", "content": question(sent)}]);
        let body = json!({"model": plan, "messages": content});
        if !streamed {
            return self.plain(kind, "/v1/chat/completions", body, sent).await;
        }
        let mut body = body;
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        let id = sent.id();
        let since = Instant::now();
        let response = match self.post("/v1/chat/completions", &id, body.to_string()).send().await {
            Ok(response) => response,
            Err(error) => return sent.lost(kind, &id, &error.to_string()),
        };
        let status = response.status().as_u16();
        let text = match response.text().await {
            Ok(text) => text,
            Err(error) => return sent.lost(kind, &id, &error.to_string()),
        };
        if status != 200 {
            return sent.error(kind, &id, status, &text);
        }
        let events: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("data: ")).collect();
        let parsed: Vec<Value> = events.iter().filter_map(|e| serde_json::from_str(e).ok()).collect();
        let finished = parsed.iter().any(|e| e["choices"][0]["finish_reason"] == "stop");
        let error = parsed.iter().find_map(|e| e["error"]["message"].as_str());
        let usage = parsed.iter().find_map(|e| e["usage"]["completion_tokens"].as_u64());
        match (events.last(), finished, usage, error) {
            (Some(&"[DONE]"), true, Some(usage), None) => {
                sent.came(kind, "200");
                sent.answered(&id, Some(usage), since);
            }
            (Some(&"[DONE]"), false, None, Some(_)) => {
                sent.came(kind, "an error event");
                sent.answered(&id, None, since);
            }
            _ => sent.lost(kind, &id, &text),
        }
    }

    async fn plain(&self, kind: &'static str, path: &str, body: Value, sent: &Sent) {
        let id = sent.id();
        let since = Instant::now();
        let response = match self.post(path, &id, body.to_string()).send().await {
            Ok(response) => response,
            Err(error) => return sent.lost(kind, &id, &error.to_string()),
        };
        let status = response.status().as_u16();
        let has_retry = response.headers().contains_key("retry-after");
        let text = match response.text().await {
            Ok(text) => text,
            Err(error) => return sent.lost(kind, &id, &error.to_string()),
        };
        if status == 429 && !has_retry {
            sent.wrong(format!("{id}: 429 without Retry-After"));
        }
        if status != 200 {
            return sent.error(kind, &id, status, &text);
        }
        let reply: Value = serde_json::from_str(&text).unwrap_or_default();
        let usage = reply["usage"]["completion_tokens"].as_u64().or(reply["usage"]["decode"].as_u64());
        let has_answer = reply["choices"][0]["message"]["content"].is_string()
            || reply["choices"][0]["text"].is_string()
            || !reply["output"].is_null();
        if usage.is_none() || !has_answer {
            return sent.lost(kind, &id, &text);
        }
        sent.came(kind, "200");
        sent.answered(&id, usage, since);
    }

    /// A request that goes away before its answer is there.
    async fn give_up(&self, streamed: bool, sent: &Sent) {
        let content = json!([{"role": "user", "content": question(sent)}]);
        let body = json!({"model": "c", "messages": content, "stream": streamed});
        let id = sent.id();
        let wait = Duration::from_millis(rand::rng().random_range(1..80));
        let request = async {
            let Ok(response) = self.post("/v1/chat/completions", &id, body.to_string()).send().await else { return };
            let mut parts = response.bytes_stream();
            while parts.next().await.is_some() {}
        };
        let outcome = if tokio::time::timeout(wait, request).await.is_ok() { "ended before" } else { "given up" };
        sent.came("given up", outcome);
    }

    async fn refused(&self, kind: &'static str, wanted: u16, body: String, key: Option<&str>, sent: &Sent) {
        let request = self.client.post(format!("{}/v1/chat/completions", self.base)).body(body);
        let response = match request.bearer_auth(key.unwrap_or(&self.key)).send().await {
            Ok(response) => response,
            Err(error) => return sent.lost(kind, "-", &error.to_string()),
        };
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let is_error = serde_json::from_str::<Value>(&text).is_ok_and(|v| v["error"]["message"].is_string());
        if status == wanted && is_error {
            sent.came(kind, &status.to_string());
        } else {
            sent.lost(kind, "-", &format!("{status} {text}"));
        }
    }
}

/// A question that was not asked before, so that no model server can have an answer at hand.
fn question(sent: &Sent) -> String {
    let number = sent.number.load(Ordering::Relaxed);
    format!("how much is {number}?\nanswer: {}", number % 97)
}

impl Sent {
    fn id(&self) -> String {
        format!("soak-{}", self.number.fetch_add(1, Ordering::Relaxed))
    }

    fn came(&self, kind: &'static str, outcome: &str) {
        *self.outcomes.lock().unwrap().entry((kind, outcome.to_owned())).or_default() += 1;
    }

    fn answered(&self, id: &str, usage: Option<u64>, since: Instant) {
        self.usage.lock().unwrap().insert(id.to_owned(), usage);
        self.times.lock().unwrap().push(since.elapsed().as_secs_f64() * 1e3);
    }

    /// A proper error, or an answer that is none.
    fn error(&self, kind: &'static str, id: &str, status: u16, text: &str) {
        let error = serde_json::from_str::<Value>(text).unwrap_or_default()["error"].clone();
        let proper = matches!(status, 400..=599) && error["message"].is_string() && error["type"].is_string();
        if !proper {
            return self.lost(kind, id, &format!("{status} {text}"));
        }
        self.came(kind, &format!("{status} {}", error["code"].as_str().unwrap_or("-")));
        self.usage.lock().unwrap().insert(id.to_owned(), None);
    }

    fn lost(&self, kind: &'static str, id: &str, what: &str) {
        self.came(kind, "lost");
        self.wrong(format!("{kind} {id} got no proper answer: {what}"));
    }

    fn wrong(&self, what: String) {
        eprintln!("{what}");
        self.wrong.lock().unwrap().push(what);
    }
}

impl Ended {
    fn print(&self) {
        self.lines.iter().for_each(|line| println!("{line}"));
        match self.wrong.as_slice() {
            [] => println!("\nno request was lost, every request's cost is accounted for, and memory did not grow"),
            wrong => {
                println!("\n{} things are wrong:", wrong.len());
                wrong.iter().take(20).for_each(|what| println!("* {what}"));
            }
        }
    }
}

/// The server's log: what it says of every request.
#[derive(Default)]
struct Log {
    requests: HashMap<String, Logged>,
    twice: u64,
}

struct Logged {
    plan: String,
    outcome: String,
    decode: u64,
}

impl Log {
    fn read(file: &Path) -> Self {
        let mut log = Log::default();
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let fields = serde_json::from_str::<Value>(line).unwrap_or_default()["fields"].clone();
            let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
            if text("message") != "request" {
                continue;
            }
            let decode = fields["decode_tokens"].as_u64().unwrap_or_default();
            let logged = Logged { plan: text("plan"), outcome: text("outcome"), decode };
            if log.requests.insert(text("request"), logged).is_some() {
                log.twice += 1;
            }
        }
        log
    }
}

/// The sum of a metric over all its labels that hold a text.
fn metric(text: &str, name: &str, label: &str) -> u64 {
    let lines = text.lines().filter(|l| l.starts_with(&format!("{name}{{")) && l.contains(label));
    lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// The slope of a line through points, an hour, with its standard error. Looks a few seconds apart are alike, so the error is
/// that of looks a minute apart.
fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    const APART: usize = 12;
    let n = points.len() as f64;
    if n < 10.0 {
        return None;
    }
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let left: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    let apart = (n / APART as f64).max(3.0);
    let error = (left / n / (spread / n) / (apart - 2.0)).sqrt();
    Some((slope * 3600.0, error * 3600.0))
}

/// Begins the server; its address.
async fn serve(program: &Path, folder: &Path) -> (Child, String) {
    let log = fs::File::create(folder.join("server.log")).unwrap();
    let mut command = Command::new(program);
    command.args(["serve", "a.plan.toml", "b.plan.toml", "c.plan.toml", "--keys", "agenttts-keys.toml"]);
    command.args(["--listen", "127.0.0.1:0", "--at-once", "16", "--queue", "24", "--log", "json"]);
    command.args(["--log-examples", "examples", "--store", "store.db"]);
    let mut server = command.current_dir(folder).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    for _ in 0..600 {
        let said = fs::read_to_string(folder.join("server.log")).unwrap();
        if let Some(base) = said.split_whitespace().find_map(|word| word.strip_suffix("/v1")) {
            return (server, base.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let _ = server.kill().and_then(|()| server.wait());
    panic!("the server did not begin: see {}", folder.join("server.log").display());
}

/// Runs the program to its end; what it prints.
fn say(program: &Path, folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).args(["--store", "store.db"]).current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn kill(process: u32) {
    let _ = Command::new("kill").args(["-TERM", &process.to_string()]).status();
}

/// Resident memory in megabytes.
fn resident(process: u32) -> f64 {
    status(process, "VmRSS:") / 1024.0
}

fn threads(process: u32) -> usize {
    status(process, "Threads:") as usize
}

fn status(process: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}
