//! How many tokens a second an embedded model gives end to end, in one process and in one run:
//! `decoding FILE.gguf [requests=1] [samples=8] [shared=0] [tail=128] [tokens=64] [alone=4] [runs=3] [json] [server=BASE_URL] [salt=0]`.
//!
//! The requests begin with the same `shared` tokens and end with `tail` tokens of their own, like the few-shot prompts of a
//! pipeline's stage over its examples. Each run draws them in these ways, in turn, and every way begins with nothing
//! evaluated, so prompts count:
//!
//! * alone: one sample a call, one call at a time, each with a prompt of its own (`alone` calls);
//! * one request at a time with its samples, where there are several;
//! * together: all requests with their samples at once;
//! * constrained: the same under a JSON Schema that asks for no less text, with `json`;
//! * server: the same requests to an OpenAI-compatible server, once with `n` and once as single calls. Another `salt` gives other
//!   prompts, so that the server does not know those of an earlier run.
//!
//! Prints the medians as one line of JSON. Load beside it spoils the numbers without a word: see the load average.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "an example talks to a person")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use agenttts_core::{Constraint, Decoding, Message, Request, Temperature, Usage};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model, PromptTokens};
use futures::future::join_all;
use serde_json::{Map, json};
use support::served;

mod support;

/// The prompts' material; any text does.
const WORDS: &str = "a fox learns to read and tells other animals about rivers plates market copper winter stones that \
                     nobody had seen before seven boats came home late from islands where bread was made of chestnuts";

/// What every prompt ends with: the answer should not end before its tokens do.
const TASK: &str = "Now write down the numbers from 1 to 1000, separated by commas.";

struct Load {
    requests: u32,
    samples: u32,
    shared: u32,
    tail: u32,
    tokens: u32,
    alone: u32,
    salt: u32,
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else {
        eprintln!("usage: decoding FILE.gguf [requests=1] [samples=8] [shared=0] [tail=128] [tokens=64] ...");
        return;
    };
    let named: HashMap<String, String> = args
        .map(|arg| arg.split_once('=').map_or((arg.clone(), String::new()), |(k, v)| (k.into(), v.into())))
        .collect();
    let number = |name: &str, default: u32| named.get(name).map_or(default, |text| text.parse().unwrap());
    let load = Load {
        requests: number("requests", 1),
        samples: number("samples", 8),
        shared: number("shared", 0),
        tail: number("tail", 128),
        tokens: number("tokens", 64),
        alone: number("alone", 4),
        salt: number("salt", 0),
    };
    let model: Arc<dyn Model> = Arc::new(Embedded::open(path.as_ref(), EmbeddedOptions::default()).unwrap());
    let servers = named
        .get("server")
        .map(|url| [("server, n", served(url, None, 1_024, false)), ("server", served(url, Some(1), 1_024, false))]);
    // Pages the weights in and creates the contexts.
    let warm = ask("Hello".into(), 4, false);
    for model in servers.iter().flatten().map(|(_, model)| model).chain([&model]) {
        model.draw(Call::new(&warm, 1, 0)).await;
    }
    let mut speeds: HashMap<&str, Vec<f64>> = HashMap::new();
    for run in 0..number("runs", 3) {
        let mut variants = (0..).map(|way| load.salt * 1_000 + run * 10 + way);
        let mut prompts = |constrained| load.prompts(&*model, variants.next().unwrap(), constrained);
        let mut note = |way, (usage, seconds): (Usage, f64)| {
            speeds.entry(way).or_default().push(usage.decode as f64 / seconds);
        };
        if load.alone > 0 {
            note("alone", one_at_a_time(&*model, &load.apart(&*model, run), 1).await);
        }
        if load.requests > 1 {
            note("one request at a time", one_at_a_time(&*model, &prompts(false), load.samples).await);
        }
        note("together", together(&*model, &prompts(false), load.samples).await);
        if named.contains_key("json") {
            note("constrained", together(&*model, &prompts(true), load.samples).await);
        }
        for (way, server) in servers.iter().flatten() {
            note(way, together(&**server, &prompts(false), load.samples).await);
        }
    }
    let mut line = Map::new();
    for (way, speeds) in &mut speeds {
        speeds.sort_by(f64::total_cmp);
        line.insert((*way).into(), json!(speeds[speeds.len() / 2]));
    }
    line.insert("load average".into(), json!(std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim()));
    println!("{}", serde_json::Value::Object(line));
}

impl Load {
    /// The requests of one way: alike among themselves, unlike those of every other `variant`.
    fn prompts(&self, model: &dyn Model, variant: u32, constrained: bool) -> Vec<Request> {
        let beginning = text(model, variant, self.shared);
        (0..self.requests)
            .map(|r| {
                let own = text(model, 1_000 + variant * self.requests + r, self.tail);
                ask(format!("{beginning} {own} {TASK}"), self.tokens, constrained)
            })
            .collect()
    }

    /// Requests that share nothing.
    fn apart(&self, model: &dyn Model, run: u32) -> Vec<Request> {
        let prompt = |call| text(model, (self.salt + 1) * 1_000_000 + run * self.alone + call, self.shared + self.tail);
        (0..self.alone).map(|call| ask(format!("{} {TASK}", prompt(call)), self.tokens, false)).collect()
    }
}

/// What was drawn, and the seconds that it took.
async fn one_at_a_time(model: &dyn Model, requests: &[Request], n: u32) -> (Usage, f64) {
    let started = Instant::now();
    let mut usage = Usage::default();
    for request in requests {
        usage += model.draw(Call::new(request, n, 0)).await.billed;
    }
    (usage, started.elapsed().as_secs_f64())
}

async fn together(model: &dyn Model, requests: &[Request], n: u32) -> (Usage, f64) {
    let started = Instant::now();
    let replies = join_all(requests.iter().map(|request| model.draw(Call::new(request, n, 0)))).await;
    let seconds = started.elapsed().as_secs_f64();
    let mut usage = Usage::default();
    for reply in replies {
        assert!(reply.draws.iter().all(Result::is_ok), "{:?}", reply.draws);
        usage += reply.billed;
    }
    (usage, seconds)
}

/// About `tokens` tokens of words, different from the first one on for each `variant`.
fn text(model: &dyn Model, variant: u32, tokens: u32) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut state = u64::from(variant).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("{variant}:");
    let length = |text: &str| match model.prompt_tokens(&ask(text.to_owned(), 1, false)).unwrap() {
        PromptTokens::Exact(n) | PromptTokens::AtMost(n) => n,
    };
    let frame = length("");
    while length(&text) < frame + tokens {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(' ');
        text.push_str(words[(state >> 33) as usize % words.len()]);
    }
    text
}

fn ask(text: String, max_tokens: u32, constrained: bool) -> Request {
    let numbers = json!({"type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "integer"},
                         "minItems": 100}}, "required": ["numbers"]});
    Request {
        messages: vec![Message::user(text)],
        decoding: Decoding {
            temperature: Temperature::new(0.9).unwrap(),
            top_p: None,
            max_tokens,
            stop: vec![],
            constraint: constrained.then_some(Constraint::JsonSchema(numbers)),
        },
    }
}
