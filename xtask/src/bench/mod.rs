//! `cargo xtask bench`: measurements side by side in one run, told as ratios.
//!
//! Times on a shared machine mean nothing by themselves, so each table compares with something that ran in between: a physical
//! limit, a plain loop, another program. The tables of `docs/results/performance.md` are made by these commands.

mod counts;
mod embedded;
mod inner;
mod live;
mod search;

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;

use crate::measured::{build, example};
use crate::run::run;

#[derive(Subcommand)]
pub(crate) enum BenchCommand {
    /// Instructions along hot paths, against the committed counts.
    Counts(counts::CountsArgs),
    /// Embedded models alone and beside a busy process.
    Contention {
        /// Embedded models, as `agenttts models list` names them
        #[arg(long, value_delimiter = ',', default_value = embedded::MODELS)]
        models: Vec<String>,
    },
    /// The embedded engine beside one call at a time, llama.cpp's server and its batched benchmark.
    Embedded(embedded::EmbeddedArgs),
    /// The inner parts one by one, under criterion, each beside the least that it could take.
    Inner(inner::InnerArgs),
    /// Thousands of calls at once to a mock with a latency, beside a plain loop and Python's official client.
    Live(live::LiveArgs),
    /// A whole search of the demo with each part of the engine switched off in turn.
    Search(search::SearchArgs),
    /// The store beside a plain loop over SQLite.
    Store {
        /// Rows that each writes
        #[arg(default_value_t = 100_000)]
        rows: u32,
    },
    /// How a search grows with trials, examples, samples, stages and models: time and memory at twice the size.
    Growth,
}

/// Runs one of the measurements.
pub(crate) fn bench(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Counts(args) => counts::counts(args),
        BenchCommand::Contention { models } => embedded::contention(models),
        BenchCommand::Embedded(args) => embedded::embedded(args),
        BenchCommand::Inner(args) => inner::inner(args),
        BenchCommand::Live(args) => live::live(args),
        BenchCommand::Search(args) => search::search(args),
        BenchCommand::Store { rows } => program("throughput", &[&rows.to_string()]),
        BenchCommand::Growth => program("scale", &[]),
    }
}

fn program(name: &str, args: &[&str]) -> Result<()> {
    build()?;
    run(Command::new(example(name)).args(args))
}
