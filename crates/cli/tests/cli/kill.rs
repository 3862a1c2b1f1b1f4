//! kill -9 at moments of a search over a real server on loopback, resumed each time: nothing that was stored is drawn
//! again, nothing is lost, no limit is passed, and the result is that of a search that was never interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use agenttts_core::RequestKey;
use agenttts_testkit::{Config, Fault, Served};
use serde_json::Value;

use crate::support::{Bench, Server, store, trials};

/// A sequence of moments that is the same in every run of the test (Knuth's MMIX generator).
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(120 + (self.0 >> 33) % 230)
    }
}

/// The seeds of all stored samples: with a server that seeds each sample, a seed names a sample.
fn stored(bench: &Bench) -> BTreeSet<u32> {
    let Ok(connection) = rusqlite::Connection::open(store(bench)) else { return BTreeSet::new() };
    let Ok(mut query) = connection.prepare("SELECT key, stream, idx FROM samples") else { return BTreeSet::new() };
    let rows =
        query.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?)));
    rows.unwrap()
        .map(|row| row.unwrap())
        .map(|(key, stream, index)| RequestKey(key).seed(stream as u64, index))
        .collect()
}

/// How often each seed was served since `before`.
fn served(now: &Served, before: &Served) -> BTreeMap<u32, u32> {
    let count = |key| now.samples[key] - before.samples.get(key).copied().unwrap_or(0);
    now.samples.keys().map(|key| (key.seed, count(key))).filter(|(_, times)| *times > 0).collect()
}

#[test]
fn ten_kills_lose_nothing_and_draw_nothing_twice() {
    assert_eq!(kills(10, 11, "", Config { latency: LATENCY, ..Config::default() }, 2), 10);
}

/// The same where trials run on part of the examples: which part comes next follows from the store alone.
#[test]
fn kills_between_parts_of_the_examples_lose_nothing() {
    assert_eq!(kills(5, 11, "\nexamples_per_trial = 4", Config { latency: LATENCY, ..Config::default() }, 2), 5);
}

/// Trials that are raced end where they would have.
#[test]
fn kills_within_blocks_of_a_race_lose_nothing() {
    kills(5, 11, "\nracing = true", Config { latency: LATENCY, ..Config::default() }, 2);
}

/// As `docs/results/budgets.md` reports it.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_kills_over_a_faulty_server_lose_nothing() {
    let (mut made, mut searches) = (0, 0);
    while made < 100 {
        let each = 0.3 / Fault::transient().len() as f64;
        let faults = Fault::transient().into_iter().map(|fault| (fault, each)).collect();
        let config = Config { latency: LATENCY, faults, fault_seed: searches, ..Config::default() };
        made += kills(100 - made, 100 + searches, "", config, 8);
        searches += 1;
        eprintln!("{made} kills in {searches} searches");
    }
}

const LATENCY: Duration = Duration::from_millis(25);

/// The search's limit in tokens: more than it needs, so that it ends as it would without.
const LIMIT: u64 = 2_000_000;

/// At most so many kills of a search with more settings, and what comes out against a search that was never interrupted.
/// Tells how many were made before the search was over.
fn kills(wanted: u32, seed: u64, settings: &str, config: Config, concurrency: u32) -> u32 {
    let server = Server::start(config);
    let prepared = || {
        let bench = Bench::new();
        // So many faults in a row are no accident, so that none ends a sample.
        bench.on_server(&server.base_url(), &format!("concurrency = {concurrency}"));
        bench
            .edit_pipeline("retries = 2", "retries = 12")
            .edit_pipeline("[search]\n", &format!("[search_budget]\ntokens = {LIMIT}\n\n[search]\n"))
            .edit_pipeline("trials = 6", &format!("trials = 16{settings}"))
            .edit_pipeline("method = \"grid\"", "method = \"rules\"");
        bench
    };
    let whole = prepared().run("search p --json").exits(0).json();
    let before = server.get().served();
    assert_eq!(before.repeated(), 0);

    let bench = prepared();
    let mut moments = Moments(seed);
    let mut known = BTreeSet::new();
    // For every kill, the stored samples and how often each had been sent until then.
    let mut frozen: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut kills = 0;
    while kills < wanted {
        let args =
            if known.is_empty() && !exists_study(&bench) { "search p --name killed" } else { "search --resume killed" };
        let mut child = bench.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(moments.next());
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let now = stored(&bench);
        assert!(now.is_superset(&known), "a stored sample was lost at kill {kills}");
        let drawn = served(&server.get().served(), &before);
        for seed in &now {
            assert!(drawn.contains_key(seed), "a sample is stored that the server never sent");
        }
        // What is stored now must never be asked for again: remember how often it was sent until now.
        known = now;
        frozen.push(known.iter().map(|seed| (*seed, drawn[seed])).collect());
    }

    let done = bench.run("search --resume killed --json").exits(0).json();
    let drawn = served(&server.get().served(), &before);
    for (kill, samples) in frozen.iter().enumerate() {
        for (seed, times) in samples {
            assert_eq!(drawn[seed], *times, "a sample that was stored at kill {} was drawn again", kill + 1);
        }
    }
    assert!(stored(&bench).is_superset(&known));
    // What was drawn between the kills is all that a search from the study's tape needs, and it finds the same.
    bench.run("tape export killed -o killed.tape").exits(0);
    let replayed = bench.run("search --tape killed.tape --store replayed.db --json").exits(0).json();
    for found in [&done, &replayed] {
        assert_eq!(trials(found), trials(&whole));
        assert_eq!(found["recommended"]["plan"], whole["recommended"]["plan"]);
        assert_eq!(confirmed(found), confirmed(&whole));
    }
    assert!(bench.run("store verify").exits(0).stdout.ends_with("the store holds together\n"));
    // A call that was under way at a kill counts as spent in full, so the ledger has at least what the server decoded.
    let used = done["spend"]["limits"][0]["used"].as_f64().unwrap();
    let decoded: f64 = (server.get().served().decoded - before.decoded) as f64;
    assert!(decoded <= used && used <= LIMIT as f64, "{decoded} decoded, {used} booked");
    kills
}

fn exists_study(bench: &Bench) -> bool {
    bench.run("studies --json").json().as_array().is_some_and(|all| !all.is_empty())
}

fn confirmed(summary: &Value) -> Vec<Value> {
    let plans = summary["confirmation"]["plans"].as_array().unwrap();
    plans.iter().map(|p| serde_json::json!([p["label"], p["plan"], p["scores"], p["cost"]])).collect()
}
