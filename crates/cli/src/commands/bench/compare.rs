//! `agenttts bench LANDSCAPE...`: run, sum up, show.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use agenttts_bench::{
    Agents, Arena, Contestant, Options, PeerProcesses, Results, UnknownContestant, contestant_with, default_methods,
    is_peer, open, peer, peer_python, play,
};
use agenttts_core::{Problem, Problems};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::agent::agents;
use super::files;
use crate::args::BenchArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::bench::text;
use crate::output::number::duration;

pub(super) async fn compare(context: &Context, args: BenchArgs) -> Result<Exit, Failure> {
    let arenas = open(&args.landscapes)?;
    let contestants = contestants(&args.methods, &agents(context, &args)?)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let options = Options {
        seeds: args.seeds,
        budget: args.evaluations.map(f64::from),
        threads: args.threads.map_or(cores, usize::from),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let screen = context.screen;
    let watch = interrupt::watch_with(
        move || flag.store(true, Ordering::Relaxed),
        "stopping: nothing of this comparison is kept (Ctrl-C again exits at once)",
        move |line| screen.say(line),
    );
    let bar = progress_bar(context.screen.is_live());
    let started = Instant::now();
    let played = tokio::task::spawn_blocking(move || {
        let progress = |made: usize, of: usize| {
            bar.set_length(of as u64);
            bar.set_position(made as u64);
        };
        let results = results(&arenas, &contestants, &options, &stop, &progress);
        bar.finish_and_clear();
        results
    });
    let results = played.await.map_err(|e| Failure::Internal(format!("a run failed: {e}")))??;
    drop(watch);
    let Some(results) = results else {
        context.screen.error("the comparison was stopped before all runs were made");
        return Err(Failure::Said(Exit::Interrupted));
    };
    if let Some(folder) = &args.output {
        files::write(folder, &results)?;
        context.screen.say(&format!("page and curves: {}", folder.join("index.html").display()));
    }
    if args.json {
        context.screen.print_json(&results)?;
    } else {
        context.screen.print(&text(&results, &context.screen))?;
    }
    for fault in &results.faults {
        let of = format!("{} on {} (seed {}, {} runs)", fault.method, fault.landscape, fault.seed, fault.runs);
        context.screen.error(&format!("{of}: {}", fault.message));
        if let Some(hint) = &fault.hint {
            context.screen.hint(hint);
        }
    }
    context.screen.say(&format!("done in {}", duration(started.elapsed().as_secs_f64())));
    Ok(if results.faults.is_empty() { Exit::Ok } else { Exit::Model })
}

fn results(
    arenas: &[Arena],
    contestants: &[Box<dyn Contestant>],
    options: &Options,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Option<Results>, Problems> {
    let series = play(arenas, contestants, options, stop, progress)?;
    Ok(series.map(|series| Results::new(arenas, contestants, options, &series)))
}

fn contestants(names: &[String], agents: &Agents) -> Result<Vec<Box<dyn Contestant>>, Failure> {
    let names: Vec<String> =
        if names.is_empty() { default_methods().map(str::to_owned).collect() } else { names.to_vec() };
    let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
    let mut processes = None;
    for name in names.iter().map(|n| n.trim()) {
        if contestants.iter().any(|c| c.name() == name) {
            return Err(Failure::Usage {
                message: format!("the method {name:?} is named twice"),
                hint: "name every method once".into(),
            });
        }
        contestants.push(match outside(name, &mut processes)? {
            Some(outside) => outside,
            None => contestant_with(name, agents).map_err(|e| Problems::from(Problem::new(e.to_string())))?,
        });
    }
    Ok(contestants)
}

/// The outside optimiser of a name, if it is one's; they share their Python processes.
fn outside(name: &str, shared: &mut Option<Arc<PeerProcesses>>) -> Result<Option<Box<dyn Contestant>>, Failure> {
    if !is_peer(name) {
        return Ok(None);
    }
    let processes = match shared {
        Some(processes) => processes,
        None => {
            let python = peer_python(|variable| std::env::var_os(variable));
            let python = python.map_err(|e| Failure::input(e.message, e.hint.unwrap_or_default()))?;
            shared.insert(Arc::new(PeerProcesses::new(&python)))
        }
    };
    let contestant = peer(name, processes);
    contestant
        .map(Some)
        .ok_or_else(|| Problems::from(Problem::new(UnknownContestant::Examples(name.into()).to_string())).into())
}

fn progress_bar(live: bool) -> ProgressBar {
    let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
