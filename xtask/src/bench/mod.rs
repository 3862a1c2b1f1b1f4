//! `cargo xtask bench`: measurements side by side in one run, told as ratios.
//!
//! Times on a shared machine mean nothing by themselves, so each table compares with something that ran in between: a physical
//! limit, a plain loop, another program. The tables of `docs/results/performance.md` are made by these commands.

mod embedded;
mod live;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum BenchCommand {
    /// The embedded engine beside one call at a time, llama.cpp's server and its batched benchmark.
    Embedded(embedded::EmbeddedArgs),
    /// Thousands of calls at once to a mock with a latency, beside a plain loop and Python's official client.
    Live(live::LiveArgs),
}

/// Runs one of the measurements.
pub(crate) fn bench(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Embedded(args) => embedded::embedded(args),
        BenchCommand::Live(args) => live::live(args),
    }
}
