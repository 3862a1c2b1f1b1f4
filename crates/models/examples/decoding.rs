//! How many tokens a second an embedded model gives end to end, one request at a time and all at once:
//! `decoding FILE.gguf [REQUESTS [SAMPLES [SHARED [TAIL [MAX_TOKENS [ALONE]]]]]]`.
//!
//! The requests begin with the same SHARED tokens and end with TAIL tokens of their own, like the few-shot prompts of a
//! pipeline's stage over its examples. Both passes begin with nothing evaluated: prompts count. Load beside it spoils
//! the numbers without a word, so the load average is printed first. ALONE limits the requests of the first pass.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "an example talks to a person")]

use std::time::Instant;

use agenttts_core::{Decoding, Message, Request, Temperature, Usage};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model, PromptTokens};
use futures::future::join_all;

/// The prompts' material; any text does.
const WORDS: &str = "a fox learns to read and tells other animals about rivers plates market copper winter stones that \
                     nobody had seen before seven boats came home late from islands where bread was made of chestnuts";

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else {
        eprintln!("usage: decoding FILE.gguf [REQUESTS [SAMPLES [SHARED [TAIL [MAX_TOKENS [ALONE]]]]]]");
        return;
    };
    let mut number = |default: u32| args.next().map_or(default, |t| t.parse().unwrap());
    let (requests, samples) = (number(32), number(8));
    let (shared, tail, max_tokens) = (number(450), number(30), number(40));
    let few = number(requests) as usize;
    let model = Embedded::open(path.as_ref(), EmbeddedOptions::default()).unwrap();
    println!("load average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());

    let prompts = |pass: u32| {
        let beginning = text(&model, pass, shared, max_tokens);
        (0..requests)
            .map(|r| ask(format!("{beginning} {}", text(&model, 100 + pass * requests + r, tail, 1)), max_tokens))
            .collect::<Vec<_>>()
    };
    // Pages the weights in and creates the context.
    model.draw(Call { request: &ask("Hello".into(), 4), n: 1, first_seed: 0 }).await;

    let mut alone = prompts(0);
    alone.truncate(few);
    let started = Instant::now();
    let mut usage = Usage::default();
    for request in &alone {
        usage += model.draw(Call { request, n: samples, first_seed: 0 }).await.billed;
    }
    let one = report("one at a time", &usage, started);

    let together = prompts(1);
    let started = Instant::now();
    let replies =
        join_all(together.iter().map(|request| model.draw(Call { request, n: samples, first_seed: 0 }))).await;
    let mut usage = Usage::default();
    replies.iter().for_each(|r| usage += r.billed);
    let all = report("all at once", &usage, started);
    if !alone.is_empty() {
        println!("ratio {:.2}", all / one);
    }
}

fn report(what: &str, usage: &Usage, started: Instant) -> f64 {
    let seconds = started.elapsed().as_secs_f64();
    let speed = usage.decode as f64 / seconds;
    println!(
        "{what:<14} {seconds:6.1} s, {} tokens decoded: {speed:.1}/s; {} of {} prompt tokens were shared",
        usage.decode, usage.cached_prompt, usage.prompt
    );
    speed
}

/// About `tokens` tokens of words, different from the first one on for each `variant`.
fn text(model: &Embedded, variant: u32, tokens: u32, max_tokens: u32) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut state = u64::from(variant).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("{variant}:");
    let length = |text: &str| match model.prompt_tokens(&ask(text.to_owned(), max_tokens)).unwrap() {
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

fn ask(text: String, max_tokens: u32) -> Request {
    Request {
        messages: vec![Message::user(text)],
        decoding: Decoding {
            temperature: Temperature::new(0.9).unwrap(),
            top_p: None,
            max_tokens,
            stop: vec![],
            constraint: None,
        },
    }
}
