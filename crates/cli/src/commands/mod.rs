//! The commands, one file each.

mod bench;
mod check;
mod cost;
mod data;
mod init;
mod keys;
mod models;
mod pilot;
mod plan;
mod replan;
mod report;
mod run;
mod search;
mod serve;
mod show;
mod store;
mod studies;
mod tape;
mod ui;
mod watch;

use crate::args::Command;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs a command to its end.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::init(context, &args),
        Command::Check(args) => check::check(context, &args).await,
        Command::Search(args) => search::search(context, &args).await,
        Command::Demo(args) => tape::demo(context, &args).await,
        Command::Pilot(args) => pilot::pilot(context, &args).await,
        Command::Studies(args) => studies::studies(context, &args),
        Command::Show(args) => show::show(context, &args),
        Command::Plan(args) => plan::plan(context, &args),
        Command::Replan(args) => replan::replan(context, &args),
        Command::Report(args) => report::report(context, &args),
        Command::Run(args) => run::run(context, &args).await,
        Command::Serve(args) => serve::serve(context, &args).await,
        Command::Keys(args) => keys::keys(context, &args),
        Command::Ui(args) => ui::ui(context, &args).await,
        Command::Watch(args) => watch::watch(context, &args),
        Command::Models(args) => models::models(context, &args.command).await,
        Command::Data(args) => data::data(context, &args),
        Command::Tape(args) => tape::tape(context, &args.command).await,
        Command::Store(args) => store::store(context, &args.command),
        Command::Cost(args) => cost::cost(context, &args),
        Command::Bench(args) => bench::bench(context, args).await,
    }
}
