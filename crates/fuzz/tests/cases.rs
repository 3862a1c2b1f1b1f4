//! Every target with its seeds, with all that was ever found, and with mutations of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use agenttts_fuzz::{TARGETS, Target};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Mutated inputs of each target.
const MUTATIONS: u64 = 400;

/// What formats are made of, to be put where it does not belong.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"```",
    b"{{",
    b"{%",
    b"%}",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"NaN",
    b"null",
    b"data: ",
    b"[DONE]",
    b"\xf0\x9f\x99\x82",
    b",",
];

#[test]
fn pipeline() {
    hold("pipeline");
}

#[test]
fn template() {
    hold("template");
}

#[test]
fn dataset() {
    hold("dataset");
}

#[test]
fn landscape() {
    hold("landscape");
}

#[test]
fn tape() {
    hold("tape");
}

#[test]
fn completion() {
    hold("completion");
}

#[test]
fn agent_reply() {
    hold("agent-reply");
}

#[test]
fn sample() {
    hold("sample");
}

#[test]
fn request_body() {
    hold("request-body");
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let programs = fs::read_to_string(root().join("../../fuzz/Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(!inputs(target.name).is_empty(), "{} has no seeds", target.name);
        assert!(programs.contains(&format!("name = \"{}\"", target.name)), "{} has no program", target.name);
    }
}

fn hold(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let inputs = inputs(name);
    for (file, input) in &inputs {
        try_out(target, input, || file.display().to_string());
    }
    let known: Vec<&Vec<u8>> = inputs.iter().map(|(_, input)| input).collect();
    for seed in 0..MUTATIONS {
        let mutated = mutated(&known, seed);
        try_out(target, &mutated, || {
            let file = std::env::temp_dir().join(format!("agenttts-fuzz-{name}-{seed}"));
            fs::write(&file, &mutated).unwrap();
            format!("mutation {seed}, written to {}", file.display())
        });
    }
}

fn try_out(target: Target, input: &[u8], describe: impl FnOnce() -> String) {
    if catch_unwind(|| (target.feed)(input)).is_err() {
        panic!("{} fails on {}", target.name, describe());
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds and the found cases of a target.
fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = |folder: &str| {
        let entries = fs::read_dir(root().join(folder).join(name)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<PathBuf>>()
    };
    let mut files: Vec<PathBuf> = files("seeds").into_iter().chain(files("found")).collect();
    files.sort();
    let read = |file: PathBuf| (file.clone(), read(&file));
    files.into_iter().map(read).collect()
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap()
}

/// An input with some of it changed, cut out, repeated, or from elsewhere.
fn mutated(known: &[&Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = known.choose(&mut random).map_or_else(Vec::new, |input| (*input).clone());
    for _ in 0..random.random_range(1..=6) {
        let from = random.random_range(0..=bytes.len());
        let to = (from + random.random_range(0..=32)).min(bytes.len());
        match random.random_range(0..6) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let part = bytes[from..to].to_vec();
                let times = random.random_range(1..=64);
                bytes.splice(to..to, part.repeat(times));
            }
            2 => bytes[from..to].iter_mut().for_each(|byte| *byte = random.random()),
            3 => {
                let piece = PIECES.choose(&mut random).copied().unwrap_or_default();
                bytes.splice(from..from, piece.iter().copied());
            }
            4 => {
                let other = known.choose(&mut random).map_or(&[][..], |input| &input[..]);
                let at = random.random_range(0..=other.len());
                bytes.truncate(from);
                bytes.extend_from_slice(&other[at..]);
            }
            _ => bytes.truncate(from),
        }
    }
    bytes
}
