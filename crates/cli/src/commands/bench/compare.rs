//! `agenttts bench LANDSCAPE...`: run, sum up, show.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use agenttts_bench::{
    Agents, Arena, Contestant, Options, PeerProcesses, Results, UnknownContestant, asks_a_model, contestant_with,
    default_methods, is_peer, open, peer, peer_python, play,
};
use agenttts_core::{Problem, Problems};

use super::agent::agents;
use super::files;
use super::watched::{stopped, tell_faults, threads, watched};
use crate::args::BenchArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::bench::text;
use crate::output::number::duration;

pub(super) async fn compare(context: &Context, args: BenchArgs) -> Result<Exit, Failure> {
    let arenas = open(&args.landscapes)?;
    let methods = if args.methods.is_empty() { default_methods().map(str::to_owned).collect() } else { args.methods };
    let contestants = contestants(&methods, &agents(context, &args.agent)?)?;
    let started = Instant::now();
    let options = Options {
        seeds: args.seeds,
        budget: args.evaluations.map(f64::from),
        threads: threads(args.threads),
        racing: args.racing,
    };
    let made = watched(context, move |stop, progress| results(&arenas, &contestants, &options, stop, progress));
    let Some(results) = made.await? else { return Err(stopped(context)) };
    if let Some(folder) = &args.output {
        files::write(folder, &results)?;
        context.screen.say(&format!("page and curves: {}", folder.join("index.html").display()));
    }
    if args.json {
        context.screen.print_json(&results)?;
    } else {
        context.screen.print(&text(&results, &context.screen))?;
    }
    tell_faults(context, &results.faults);
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

/// The contestants of these names.
pub(super) fn contestants(names: &[String], agents: &Agents) -> Result<Vec<Box<dyn Contestant>>, Failure> {
    let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
    let mut processes = None;
    for name in names.iter().map(|n| n.trim()) {
        if contestants.iter().any(|c| c.name() == name) {
            return Err(Failure::Usage {
                message: format!("the method {name:?} is named twice"),
                hint: "name every method once".into(),
            });
        }
        if asks_a_model(name) && agents.responder.is_none() {
            return Err(Failure::input(
                format!("{name} asks a language model, and there is none"),
                "name one with --agent-model, or a file of replies with --replies",
            ));
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
