//! The `agenttts` program: parses what was typed, calls the libraries, and shows what they say.

mod args;
mod commands;
mod context;
mod exit;
mod failure;
mod interrupt;
mod output;
mod places;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command, LogArg};
use context::Context;
use exit::Exit;
use failure::Failure;
use output::Screen;

// A server's threads make and drop much that is small: the system's allocator takes a quarter of its time there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any thread: generated code is started by this very program.
    agenttts_sandbox::become_launcher_if_asked();
    let cli = Cli::parse();
    // Every call under way is an open file, and many systems allow 1024 until asked for more. Where they refuse, it stays.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let screen = Screen::new(cli.global.color, cli.global.verbose > 0);
    start_log(&cli, screen.stderr_colour());
    let exit = match run(cli, screen) {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.is_closed_pipe() {
                screen.failure(&failure);
            }
            failure.exit()
        }
    };
    exit.into()
}

fn run(cli: Cli, screen: Screen) -> Result<Exit, Failure> {
    let context = Context::new(screen, &cli.global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Internal(format!("the runtime cannot be started: {e}")))?;
    let result = runtime.block_on(commands::run(&context, cli.command));
    // A call that nobody waits for any more must not hold the program up.
    runtime.shutdown_background();
    result
}

/// Log lines on stderr: warnings, with `-v` what the program does, with `-vv` everything; AGENTTTS_LOG filters finer.
/// A server logs every request unasked.
fn start_log(cli: &Cli, colour: bool) {
    let serve = if let Command::Serve(args) = &cli.command { Some(args) } else { None };
    let default = match cli.global.verbose {
        0 if serve.is_some() => "agenttts_server=info,warn",
        0 => "off",
        1 => {
            "agenttts=debug,agenttts_engine=debug,agenttts_models=debug,agenttts_store=debug,agenttts_server=debug,warn"
        }
        _ => "trace",
    };
    let filter = match std::env::var("AGENTTTS_LOG") {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::new(wanted),
        _ => EnvFilter::new(default),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    match serve.map(|args| args.log) {
        Some(LogArg::Json) => log.json().init(),
        Some(LogArg::Text) | None => log.init(),
    }
}
