//! How fast an embedded model decodes alone and beside one busy process: `contention FILE.gguf [SECONDS]`.
//!
//! The busy process is a shell loop. Prints tokens a second for one and eight samples at a time, and the ratios: a model
//! that degrades in proportion keeps at least a third to a half on two cores, one that collapses a fortieth.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "an example talks to a person")]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use agenttts_core::{Decoding, Message, Request, Temperature};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = args.first() else {
        eprintln!("usage: contention FILE.gguf [SECONDS]");
        return;
    };
    let seconds = args.get(1).map_or(6.0, |t| t.parse().unwrap());
    let model = Embedded::open(path.as_ref(), EmbeddedOptions::default()).unwrap();
    speed(&model, 1, 1.0).await;
    for n in [1, 8] {
        println!("load average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
        let alone = speed(&model, n, seconds).await;
        let busy = Busy::start();
        let beside = speed(&model, n, seconds).await;
        drop(busy);
        let after = speed(&model, n, seconds).await;
        println!(
            "N={n}: alone {alone:.1} tokens/s, beside a busy process {beside:.1} ({:.2} of it), after it {after:.1}",
            beside / alone
        );
    }
}

/// Decoded tokens a second over about `seconds`.
async fn speed(model: &Embedded, n: u32, seconds: f64) -> f64 {
    let request = Request {
        messages: vec![Message::user("Write a long story about a fox who learns to read.")],
        decoding: Decoding {
            temperature: Temperature::new(0.9).unwrap(),
            top_p: None,
            max_tokens: 64,
            stop: vec![],
            constraint: None,
        },
    };
    let started = Instant::now();
    let mut tokens = 0;
    let mut seed = 0;
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        tokens += model.draw(Call::new(&request, n, seed)).await.billed.decode;
        seed += n;
    }
    tokens as f64 / started.elapsed().as_secs_f64()
}

struct Busy(Child);

impl Busy {
    fn start() -> Self {
        Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
