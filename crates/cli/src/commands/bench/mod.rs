//! `agenttts bench`: search methods compared on landscapes.

mod adaptive;
mod agent;
mod compare;
mod files;
mod simulate;
mod study;
mod watched;

use crate::args::{BenchArgs, BenchCommand};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) async fn bench(context: &Context, args: BenchArgs) -> Result<Exit, Failure> {
    match args.command {
        None => compare::compare(context, args).await,
        Some(BenchCommand::Study(args)) => study::study(context, args).await,
        Some(BenchCommand::Adaptive(args)) => adaptive::measure(context, &args).await,
        Some(BenchCommand::Simulate(args)) => simulate::simulate(context, &args),
        Some(BenchCommand::Record(args)) => super::tape::record(context, &args).await,
    }
}
