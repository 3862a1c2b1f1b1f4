//! Development commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask lint`.
//!
//! They do all set-up themselves, so that a fresh machine needs nothing but Rust and this checkout.

mod bench;
mod bench_serve;
mod clients;
mod demo;
mod demo_data;
mod fuzz;
mod lint;
mod measured;
mod paper;
mod peers;
mod run;
mod setup;
mod soak;
mod summary;
mod supply_chain;
mod test;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of agenttts")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, fetch two small models, search the demo pipeline and write report.html.
    Demo(demo::DemoArgs),
    /// Write the demo pipeline's data again: always the same.
    DemoData,
    /// Install what is missing and run every test.
    Test(test::TestArgs),
    /// Hold the server to the official OpenAI clients, LangChain, litellm and curl.
    TestClients {
        /// Fail where Python or Node is missing, instead of skipping
        #[arg(long)]
        required: bool,
    },
    /// Measure how fast things are, side by side with others, as ratios.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Measure what serving adds to a call, beside litellm's proxy, on one mock model server.
    BenchServe(bench_serve::BenchServeArgs),
    /// Feed whatever reads input from outside with bytes that grow towards code not reached yet; needs cargo-fuzz.
    Fuzz(fuzz::FuzzArgs),
    /// Send mixed traffic to a real server for a while, over model servers that misbehave, and see that nothing is lost.
    Soak(soak::SoakArgs),
    /// Set up the outside optimisers of `agenttts bench`: Optuna and SMAC, in a Python environment of their own.
    BenchPeers(peers::PeersArgs),
    /// Record the paper's tasks with small models on tapes, and compare all search methods on them.
    Paper(paper::PaperArgs),
    /// Check formatting and lints, with warnings as errors.
    Lint,
    /// Build the dashboard's pages into the server's crate; needs node.
    Web(web::WebArgs),
    /// Test the dashboard's pages in a headless Chromium; skipped with a message where node or Chromium are not to be had.
    TestWeb,
    /// Check what is built upon: licences, advisories and sources of all dependencies, and that each is used.
    SupplyChain,
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Demo(args) => demo::demo(&args),
        Command::DemoData => demo_data::demo_data(),
        Command::Test(args) => test::test(&args),
        Command::TestClients { required } => clients::test_clients(required),
        Command::Bench(command) => bench::bench(&command),
        Command::BenchServe(args) => bench_serve::bench_serve(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Soak(args) => soak::soak(&args),
        Command::BenchPeers(args) => peers::bench_peers(&args),
        Command::Paper(args) => paper::paper(&args),
        Command::Web(args) => web::web(&args),
        Command::TestWeb => web::test_web(),
        Command::Lint => lint::lint(),
        Command::SupplyChain => supply_chain::supply_chain(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
