//! `agenttts bench adaptive`: what ending votes early saves.

use std::sync::Arc;

use agenttts_engine::{AdaptiveReport, Tape, adaptive};

use crate::args::AdaptiveArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Screen;
use crate::output::number::percent;
use crate::output::table::Columns;

pub(super) async fn measure(context: &Context, args: &AdaptiveArgs) -> Result<Exit, Failure> {
    let mut reports = Vec::new();
    for file in &args.tapes {
        let tape = Arc::new(Tape::open(file)?);
        for &error in &args.error {
            reports.push(adaptive(&tape, error).await?);
        }
    }
    if args.json {
        context.screen.print_json(&reports)?;
        return Ok(Exit::Ok);
    }
    for report in &reports {
        show(&context.screen, report)?;
    }
    Ok(Exit::Ok)
}

fn show(screen: &Screen, report: &AdaptiveReport) -> Result<(), Failure> {
    let stops = match report.error {
        0.0 => "votes end when they are decided".to_owned(),
        error => format!("votes end when they would come out otherwise with probability {error} at most"),
    };
    screen.print(&format!("{}: {} examples, {stops}\n", report.pipeline, report.examples))?;
    let names = ["votes of", ">plans", ">draws", ">decoded", ">prompt", ">cost", ">changed", ">quality"];
    let mut table = Columns::new(&names);
    let change = |saved: f64| format!("{:+.1}%", -100.0 * saved);
    for row in &report.rows {
        let (d, half) = (row.difference.mean, (row.difference.high - row.difference.low) / 2.0);
        table.row([
            row.samples.to_string(),
            row.plans.to_string(),
            change(row.draws_saved),
            change(row.decoded_saved),
            change(row.prompt_saved),
            change(row.cost_saved),
            percent(row.changed),
            format!("{d:+.4} ± {half:.4}"),
        ]);
    }
    screen.print(&table.text())?;
    Ok(())
}
