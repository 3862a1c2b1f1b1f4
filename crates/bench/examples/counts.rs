//! Hot paths for an instruction counter: `counts PATH SIZE TIMES` goes along one of them so many times.
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
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, size, times] = args.as_slice() else { return Err("counts tape|search|keys SIZE TIMES".into()) };
    let (size, times): (u32, u32) = (size.parse()?, times.parse()?);
    for _ in 0..times {
        let done = match path.as_str() {
            "tape" => read_tape(Path::new(TAPE)).map(|_| 0)?,
            "search" => search(size)?,
            "keys" => keys(size),
            _ => return Err("the paths are tape, search and keys".into()),
        };
        std::hint::black_box(done);
    }
    Ok(())
}

/// The planner's trials, asks and surrogates over so many evaluations.
fn search(evaluations: u32) -> Result<usize, Box<dyn Error>> {
    let arenas = open(&["sim:insights:1".to_owned()])?;
    let options = Options { seeds: 1, budget: Some(f64::from(evaluations)), threads: 1, racing: false };
    let played = play(&arenas, &[contestant("planner")?], &options, &AtomicBool::new(false), &|_, _| {})?;
    Ok(played.map_or(0, |series| series.len()))
}

/// What the bank is asked with: the keys of so many requests.
fn keys(requests: u32) -> usize {
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
    (0..requests).map(|i| usize::from(key(i).0[0])).sum()
}
