//! Hot paths for an instruction counter: `counts PATH TIMES` goes along one of them so many times.
//!
//! `cargo xtask bench counts` runs this under callgrind, once and twice along each path: the difference is the path without
//! the program's start. Everything is seeded and on one thread.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use agenttts_bench::{Options, contestant, open, play, read_tape};
use agenttts_core::{Decoding, Message, ModelIdentity, Request, Temperature};

const TAPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/demo/demo.tape");

fn main() -> Result<(), Box<dyn Error>> {
    let (path, times) = (std::env::args().nth(1), std::env::args().nth(2));
    let times: u32 = times.ok_or("counts tape|search|keys TIMES")?.parse()?;
    for _ in 0..times {
        let done = match path.as_deref() {
            Some("tape") => read_tape(Path::new(TAPE)).map(|_| 0)?,
            Some("search") => search()?,
            Some("keys") => keys(),
            _ => return Err("the paths are tape, search and keys".into()),
        };
        std::hint::black_box(done);
    }
    Ok(())
}

/// The planner's trials, asks and surrogates over a small search budget.
fn search() -> Result<usize, Box<dyn Error>> {
    let arenas = open(&["sim:insights:1".to_owned()])?;
    let options = Options { seeds: 1, budget: Some(200.0), threads: 1, racing: false };
    let played = play(&arenas, &[contestant("planner")?], &options, &AtomicBool::new(false), &|_, _| {})?;
    Ok(played.map_or(0, |series| series.len()))
}

/// What the bank is asked with: the keys of a thousand requests.
fn keys() -> usize {
    let identity = ModelIdentity { model: "embedded:small".into(), revision: "sha256 0".into() };
    let decoding = Decoding {
        temperature: Temperature::GREEDY,
        top_p: None,
        max_tokens: 64,
        stop: vec!["\n\n".into()],
        constraint: None,
    };
    let prompt = "Copper Market sells plates at 12 and caps at 5. ".repeat(40);
    let key = |i: u32| {
        let messages = vec![Message::user(format!("{prompt} How much are {i} plates?"))];
        Request { messages, decoding: decoding.clone() }.key(&identity)
    };
    (0..1_000).map(|i| usize::from(key(i).0[0])).sum()
}
