//! The live engine under thousands of calls at once, against the ideal: callers / latency.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::bench_serve::upstream;
use crate::clients;
use crate::measured::{build, example, many_files, median, number, printed};
use crate::run::{root, say};

#[derive(Args)]
pub(crate) struct LiveArgs {
    /// Tasks that call at once
    #[arg(long, default_value_t = 10_000)]
    callers: u32,
    /// Calls of each, one after another
    #[arg(long, default_value_t = 5)]
    calls: u32,
    /// The mock's latency in milliseconds
    #[arg(long, default_value_t = 2_000)]
    latency_ms: u32,
    /// Times that each is run, in turn
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Leave Python's client out
    #[arg(long)]
    alone: bool,
}

/// Prints a table: calls a second as a share of the ideal, processor time and memory of the caller's process.
pub(crate) fn live(args: &LiveArgs) -> Result<()> {
    build()?;
    let python = if args.alone { None } else { Some(clients::python()?) };
    let server = upstream(args.latency_ms)?;
    let load = [args.callers.to_string(), args.calls.to_string(), server.base()];
    let rust = |how: &str| {
        let mut command = many_files();
        command.arg(example("live")).arg(how).args(&load);
        command
    };
    let mut callers: Vec<(&str, Command)> = vec![
        ("agenttts", rust("ours")),
        ("agenttts, finding its limit", rust("adaptive")),
        ("plain reqwest loop", rust("plain")),
    ];
    if let Some(python) = python {
        let mut command = many_files();
        command.arg(python).arg(root().join("xtask/src/bench/live.py")).args(&load);
        callers.push(("Python, openai and asyncio", command));
    }
    let mut lines: Vec<Vec<String>> = vec![Vec::new(); callers.len()];
    for _ in 0..args.runs.max(1) {
        for ((_, command), lines) in callers.iter_mut().zip(&mut lines) {
            lines.push(printed(command)?);
        }
    }
    let total = f64::from(args.callers) * f64::from(args.calls);
    let ideal = f64::from(args.callers) / (f64::from(args.latency_ms) / 1e3);
    say(&format!(
        "{} callers, {} calls each, {} ms: ideal {ideal:.0} calls/s",
        args.callers, args.calls, args.latency_ms
    ));
    say("| caller | calls/s | of the ideal | processor, microseconds a call | peak memory MB | KB a caller | failed |");
    say("|---|---|---|---|---|---|---|");
    for ((name, _), lines) in callers.iter().zip(&lines) {
        let middle = |key: &str| median(lines.iter().map(|line| number(line, key)).collect());
        let failed: f64 = lines.iter().map(|line| number(line, "failed")).sum();
        let rate = total / middle("seconds");
        say(&format!(
            "| {name} | {rate:.0} | {:.2} | {:.0} | {:.0} | {:.1} | {failed:.0} |",
            rate / ideal,
            middle("cpu_seconds") * 1e6 / total,
            middle("peak_mb"),
            middle("peak_mb") * 1024.0 / f64::from(args.callers),
        ));
        if failed > 0.0 {
            bail!("{name}: {failed} calls failed");
        }
    }
    Ok(())
}
