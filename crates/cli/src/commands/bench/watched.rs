//! A comparison under way: in the background, with a bar, until somebody stops it.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agenttts_bench::FaultNote;
use agenttts_core::Problems;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;

/// Told how many runs are made, and of how many.
pub(super) type Progress<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Runs the work on a thread of its own. `None` where it was stopped.
pub(super) async fn watched<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&AtomicBool, &Progress<'_>) -> Result<Option<T>, Problems> + Send + 'static,
) -> Result<Option<T>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let screen = context.screen;
    let watch = interrupt::watch_with(
        move || flag.store(true, Ordering::Relaxed),
        "stopping: nothing of this comparison is kept (Ctrl-C again exits at once)",
        move |line| screen.say(line),
    );
    let bar = progress_bar(context.screen.is_live());
    let made = tokio::task::spawn_blocking(move || {
        let progress = |made: usize, of: usize| {
            bar.set_length(of as u64);
            bar.set_position(made as u64);
        };
        let made = work(&stop, &progress);
        bar.finish_and_clear();
        made
    });
    let made = made.await.map_err(|e| Failure::Internal(format!("a run failed: {e}")))??;
    drop(watch);
    Ok(made)
}

/// Says that it was stopped.
pub(super) fn stopped(context: &Context) -> Failure {
    context.screen.error("the comparison was stopped before all runs were made");
    Failure::Said(Exit::Interrupted)
}

/// Says which runs a fault ended, and why.
pub(super) fn tell_faults(context: &Context, faults: &[FaultNote]) {
    for fault in faults {
        let of = format!("{} on {} (seed {}, {} runs)", fault.method, fault.landscape, fault.seed, fault.runs);
        context.screen.error(&format!("{of}: {}", fault.message));
        if let Some(hint) = &fault.hint {
            context.screen.hint(hint);
        }
    }
}

/// Runs at once: as many as are wanted, else one for every core.
pub(super) fn threads(wanted: Option<u16>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    wanted.map_or(cores, usize::from)
}

fn progress_bar(live: bool) -> ProgressBar {
    let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
