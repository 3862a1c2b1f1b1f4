//! Lines, where there is no screen: how the study stands, what happened last, and what happens until it stops.

use std::sync::atomic::{AtomicBool, Ordering};

use super::EVERY;
use super::seen::{Seen, Watching};
use crate::failure::Failure;
use crate::output::Screen;
use crate::output::number::{cost, duration, of_limit, percent, score};

/// Events that are told of the time before.
const BEFORE: usize = 20;

/// Prints how a study stands and its last events; then, as long as it is run, what happens, and at the end how it stands.
pub(crate) fn plain(screen: &Screen, watching: &mut Watching, is_over: &AtomicBool) -> Result<(), Failure> {
    if !watching.seen.is_run() {
        watching.settle()?;
    }
    screen.print(&standing(&watching.seen))?;
    let events = &watching.seen.events;
    for event in events.iter().skip(events.len().saturating_sub(BEFORE)) {
        screen.print(&event.line)?;
    }
    if !watching.seen.is_run() {
        return Ok(());
    }
    while watching.seen.is_run() {
        if is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        std::thread::sleep(EVERY);
        for line in watching.look()? {
            screen.print(&line)?;
        }
    }
    watching.settle()?;
    screen.print(&standing(&watching.seen))
}

fn standing(seen: &Seen) -> String {
    let mut text = format!("study {}: {}\n", seen.glance.name, seen.state());
    let (_, most) = seen.made();
    let trials = most.map_or_else(String::new, |most| format!(" of {most}"));
    let left = seen.seconds_left().map_or_else(String::new, |left| format!(", about {} left", duration(left)));
    text.push_str(&format!("  {}{trials} trials measured in {}{left}\n", seen.measured, duration(seen.seconds())));
    for (what, used, limit) in seen.limits() {
        let (share, used, limit) = (percent(used / limit), of_limit(what, used), of_limit(what, limit));
        text.push_str(&format!("  {share} of a limit: {used} of {limit}\n"));
    }
    match &seen.best {
        Some(best) => {
            let what = if best.is_recommended { "recommended" } else { "leading" };
            let (quality, n, price) =
                (score(&best.objective), best.objective.n, cost(seen.outline.cost_model, best.cost));
            text.push_str(&format!("  {what}: trial {}, {quality} n={n}, {price}, {}\n", best.trial, best.plan));
        }
        None => text.push_str("  nothing is measured yet\n"),
    }
    text
}
