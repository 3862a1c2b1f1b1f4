//! The test server as a program, for tests that kill its clients.
//!
//! Prints its address, then runs until it is killed.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use agenttts_testkit::{ChoiceCount, Config, Fault, FaultServer, UsageReport};
use clap::Parser;

/// An OpenAI-compatible server on loopback whose samples depend on (request, seed) alone.
#[derive(Parser)]
struct Args {
    /// The port on 127.0.0.1; 0 = any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Milliseconds until a reply starts.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The share of requests that meet a transient fault: 429, 500, 502, 503, a reset, a broken body.
    #[arg(long, default_value_t = 0.0)]
    fault_rate: f64,
    /// Decides which requests they strike.
    #[arg(long, default_value_t = 0)]
    fault_seed: u64,
    /// Append each served (request hash, seed) to this file as a line of JSON, on disk before the reply leaves.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Return at most so many choices a call.
    #[arg(long)]
    max_n: Option<u32>,
    /// Report usage as llama.cpp's server does: one choice's for all of them.
    #[arg(long)]
    llama_usage: bool,
    /// A model to offer (repeatable); any name is answered where none is given.
    #[arg(long)]
    model: Vec<String>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let faults = Fault::transient();
    let each = args.fault_rate / faults.len() as f64;
    let server = FaultServer::start(Config {
        models: args.model,
        port: args.port,
        latency: Duration::from_millis(args.latency_ms),
        faults: faults.into_iter().map(|fault| (fault, each)).collect(),
        fault_seed: args.fault_seed,
        choices: args.max_n.map_or(ChoiceCount::AsAsked, ChoiceCount::AtMost),
        usage: if args.llama_usage { UsageReport::LlamaServer } else { UsageReport::AllChoices },
        log: args.log,
        ..Config::default()
    })
    .await?;
    // Standard output is this program's one message; whoever started it reads the address from there.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", server.base_url())?;
    stdout.flush()?;
    std::future::pending().await
}
