//! Stored samples per second: many tasks that reserve and settle, beside a plain loop over SQLite in the same run.
//!
//! `cargo run --release -p agenttts-store --example throughput [ROWS]`
//!
//! Both write the same rows, durably (WAL, synchronous=FULL). The plain loop commits 1,000 rows at a time into the same
//! table and does nothing else: it is the most that SQLite gives here. The store also keeps the ledger and the requests, one of
//! 1.6 kB for every 64 samples, which begin alike.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use agenttts_core::{Cost, Decoding, Draw, Finish, Message, ModelIdentity, Request, Temperature, Usage};
use agenttts_store::{Amounts, Limits, NewSample, NewStudy, Purpose, SampleHome, Settlement, Store};

/// Calls that are under way at once.
const TASKS: u32 = 256;

/// About a short answer.
const TEXT: &str = "Answer: 42. The first document says that the bridge was opened in 1894, the second one in 1931.";

fn main() -> Result<(), Box<dyn Error>> {
    let rows: u32 = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let plain = plain_loop(&folder.path().join("plain.db"), rows)?;
    println!("plain SQLite loop, 1000 rows a commit: {plain:>9.0} rows/s");
    for per_call in [1, 8, 64] {
        let file = folder.path().join(format!("store-{per_call}.db"));
        let rate = tokio::runtime::Runtime::new()?.block_on(store(&file, rows, per_call))?;
        println!("store, {per_call:>2} samples a call:             {rate:>9.0} rows/s, {:.2} of plain", rate / plain);
    }
    Ok(())
}

/// The samples table alone, filled by one loop.
fn plain_loop(file: &Path, rows: u32) -> Result<f64, Box<dyn Error>> {
    drop(Store::open(file)?);
    let mut connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // The keys are no part of what SQLite is measured for.
    let keys: Vec<_> = (0..=rows / 64).map(|question| home(question).key).collect();
    let start = Instant::now();
    let mut index = 0;
    while index < rows {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO samples (key, stream, idx, short, finish, prompt_tokens, decode_tokens, latency_us,
                                      prompt_shared_by, fingerprint)
                 VALUES (?1, 0, ?2, ?3, 'stop', 200, 30, 1500, 8, NULL)",
            )?;
            for i in index..rows.min(index + 1_000) {
                insert.execute(rusqlite::params![&keys[(i / 64) as usize].0[..], i % 64, TEXT])?;
            }
        }
        transaction.commit()?;
        index += 1_000;
    }
    Ok(f64::from(rows) / start.elapsed().as_secs_f64())
}

/// The same rows through the store: each call is reserved, then settled with its samples.
async fn store(file: &Path, rows: u32, per_call: u32) -> Result<f64, Box<dyn Error>> {
    let new = NewStudy {
        name: None,
        pipeline: "throughput".into(),
        snapshot: "{}".into(),
        settings: "{}".into(),
        started_ms: 0,
    };
    let study = Arc::new(Store::open(file)?.create_study(new).await?);
    let start = Instant::now();
    let calls = rows / per_call;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let study = study.clone();
            tokio::spawn(async move {
                for call in (task..calls).step_by(TASKS as usize) {
                    one_call(&study, call, per_call).await.map_err(|e| e.to_string())?;
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(f64::from(calls * per_call) / start.elapsed().as_secs_f64())
}

async fn one_call(study: &agenttts_store::Study, call: u32, n: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
    let amounts = Amounts { tokens: 500, usd: Cost(500), flops: Cost(500), calls: 1 };
    let purpose = Purpose { kind: "sample".into(), model: "small".into() };
    let Ok(reservation) = study.reserve(purpose, amounts, &Limits::default()).await? else {
        return Err("refused without a limit".into());
    };
    let first = call * n;
    let draw = Draw {
        text: TEXT.into(),
        finish: Finish::Stop,
        prompt_tokens: 200,
        decode_tokens: 30,
        latency_us: 1_500,
        prompt_shared_by: 8,
    };
    let samples =
        (0..n).map(|j| NewSample { index: (first + j) % 64, draw: draw.clone(), fingerprint: None }).collect();
    let usage = Usage { prompt: 200, cached_prompt: 0, decode: 30 * u64::from(n), calls: 1 };
    let settlement = Settlement { amounts, usage, error: None };
    study.settle(reservation, settlement, Some((home(first / 64), samples))).await?;
    Ok(())
}

fn home(question: u32) -> SampleHome {
    let identity = ModelIdentity { model: "fake:p70".into(), revision: "1".into() };
    let decoding =
        Decoding { temperature: Temperature::GREEDY, top_p: None, max_tokens: 64, stop: vec![], constraint: None };
    let prompt = format!("{} Question {question}", TEXT.repeat(16));
    let request = Request { messages: vec![Message::user(prompt)], decoding };
    SampleHome { key: request.key(&identity), stream: 0, identity, request }
}
