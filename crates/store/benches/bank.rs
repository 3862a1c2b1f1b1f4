//! Reading the samples of a request out of the bank, beside the same rows read by a prepared statement of plain SQLite.
//!
//! `cargo xtask bench inner bank`
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first error")]

use std::hint::black_box;
use std::path::Path;

use agenttts_core::{Cost, Decoding, Draw, Finish, Message, ModelIdentity, Request, Temperature, Usage};
use agenttts_store::{Amounts, Limits, NewSample, NewStudy, Purpose, SampleHome, Settlement, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Requests in the bank, each with as many samples as are read of one at most.
const REQUESTS: u32 = 1_000;
const SAMPLES: u32 = 64;

const TEXT: &str = "Answer: 42. The first document says that the bridge was opened in 1894, the second one in 1931.";

fn bank(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    tokio::runtime::Runtime::new().unwrap().block_on(fill(&file));
    let store = Store::open(&file).unwrap();
    let plain = rusqlite::Connection::open(&file).unwrap();
    let mut select = plain
        .prepare(
            "SELECT id, idx, short, finish, prompt_tokens, decode_tokens, latency_us, prompt_shared_by FROM samples
             WHERE key = ?1 AND stream = 0 AND idx < ?2 ORDER BY idx",
        )
        .unwrap();
    let keys: Vec<_> = (0..REQUESTS).map(|question| home(question).key).collect();
    let mut group = criterion.benchmark_group("bank");
    for n in [1, SAMPLES] {
        group.throughput(Throughput::Elements(u64::from(n)));
        let mut turn = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("plain", n), |bencher| {
            bencher.iter(|| {
                let key = turn.next().map(|key| &key.0[..]);
                let rows = select.query_map(rusqlite::params![key, n], |row| {
                    let texts: (i64, u32, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                    let counts: (u32, u32, i64, u32) = (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
                    Ok((texts, counts))
                });
                let read: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
                assert_eq!(read.len(), n as usize);
                read
            });
        });
        let mut turn = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("store", n), |bencher| {
            bencher.iter(|| {
                let read = turn.next().map(|key| store.samples(black_box(key), 0, n).unwrap()).unwrap_or_default();
                assert_eq!(read.len(), n as usize);
                read
            });
        });
    }
    group.finish();
}

/// A store with all requests' samples.
async fn fill(file: &Path) {
    let new =
        NewStudy { name: None, pipeline: "bank".into(), snapshot: "{}".into(), settings: "{}".into(), started_ms: 0 };
    let study = Store::open(file).unwrap().create_study(new).await.unwrap();
    let amounts = Amounts { tokens: 500, usd: Cost(500), flops: Cost(500), calls: 1 };
    let usage = Usage { prompt: 200, cached_prompt: 0, decode: 30, calls: 1 };
    let draw = Draw {
        text: TEXT.into(),
        finish: Finish::Stop,
        prompt_tokens: 200,
        decode_tokens: 30,
        latency_us: 1_500,
        prompt_shared_by: 8,
    };
    for question in 0..REQUESTS {
        let purpose = Purpose { kind: "sample".into(), model: "small".into() };
        let reservation = study.reserve(purpose, amounts, &Limits::default()).await.unwrap().unwrap();
        let samples = (0..SAMPLES).map(|index| NewSample { index, draw: draw.clone(), fingerprint: None }).collect();
        let settlement = Settlement { amounts, usage, error: None };
        study.settle(reservation, settlement, Some((home(question), samples))).await.unwrap();
    }
}

fn home(question: u32) -> SampleHome {
    let identity = ModelIdentity { model: "fake:p70".into(), revision: "1".into() };
    let decoding =
        Decoding { temperature: Temperature::GREEDY, top_p: None, max_tokens: 64, stop: vec![], constraint: None };
    let prompt = format!("{} Question {question}", TEXT.repeat(16));
    let request = Request { messages: vec![Message::user(prompt)], decoding };
    SampleHome { key: request.key(&identity), stream: 0, identity, request }
}

criterion_group!(benches, bank);
criterion_main!(benches);
