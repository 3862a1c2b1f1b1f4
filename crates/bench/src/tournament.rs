//! All runs of a comparison, in parallel on the cores, with the same outcome whatever their number.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use agenttts_core::{Problem, Problems};

use crate::contestant::{Contestant, Sizes};
use crate::environment::{Arena, Unit};
use crate::harness::{Match, Run};

/// Where recommendations are judged, in evaluations; and as shares of a budget of 2,500 where it counts something else.
const CHECKPOINTS: [f64; 4] = [250.0, 500.0, 1000.0, 2500.0];

/// Examples a trial that a method of the field runs with; the best counts.
const SIZES: [u32; 4] = [5, 10, 25, 50];

/// How a comparison is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Seeds, from 0.
    pub seeds: u32,
    /// The search budget of a run; `None` = each environment's usual one.
    pub budget: Option<f64>,
    /// Runs at once.
    pub threads: usize,
    /// Whether trials of our methods are raced: they end early once their plan has fallen behind. Published comparisons
    /// do not race.
    pub racing: bool,
}

/// All runs of one contestant with one number of examples in one arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which arena, in their order.
    pub arena: usize,
    /// Which contestant, in their order.
    pub contestant: usize,
    /// Examples a trial; `None` where the contestant chose.
    pub examples: Option<u32>,
    /// One run for every seed.
    pub runs: Vec<Run>,
}

/// Makes all runs. `None` if somebody asked to stop before all were made.
///
/// `progress` is called with the number of runs made and of all, from any thread.
///
/// # Errors
/// A budget or a number of seeds of zero.
pub fn play(
    arenas: &[Arena],
    contestants: &[Box<dyn Contestant>],
    options: &Options,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Option<Vec<Series>>, Problems> {
    if options.budget.is_some_and(|b| !(b.is_finite() && b >= 1.0)) {
        let problem = Problem::new("a search budget of zero evaluations leaves nothing to compare");
        return Err(problem.hint("allow at least 1; the usual number is 2500").into());
    }
    if options.seeds == 0 {
        return Err(Problem::new("there is nothing to run with zero seeds").hint("the usual number is 20").into());
    }
    let mut series: Vec<(usize, usize, Option<u32>)> = Vec::new();
    for (a, arena) in arenas.iter().enumerate() {
        for (c, contestant) in contestants.iter().enumerate() {
            let sizes = sizes(arena, contestant.as_ref(), budget(arena, options));
            series.extend(sizes.into_iter().map(|examples| (a, c, examples)));
        }
    }
    let seeds = options.seeds as usize;
    let total = series.len() * seeds;
    let (next, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slots: Mutex<Vec<Option<Run>>> = Mutex::new(vec![None; total]);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, total.max(1)) {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(a, c, examples)) = series.get(job / seeds) else { break };
                    let (arena, contestant) = (&arenas[a], contestants[c].as_ref());
                    let budget = budget(arena, options);
                    let checkpoints = checkpoints(arena.environment.unit(), budget);
                    let seed = (job % seeds) as u64;
                    let a_match = Match {
                        arena,
                        contestant,
                        seed,
                        examples,
                        budget,
                        checkpoints: &checkpoints,
                        racing: options.racing,
                        most_trials: None,
                    };
                    let Some(run) = a_match.run(stop) else { break };
                    if let Ok(mut slots) = slots.lock() {
                        slots[job] = Some(run);
                    }
                    progress(made.fetch_add(1, Ordering::Relaxed) + 1, total);
                }
            });
        }
    });
    let runs: Option<Vec<Run>> = slots.into_inner().unwrap_or_default().into_iter().collect();
    Ok(runs.map(|runs| {
        let mut runs = runs.into_iter();
        series
            .into_iter()
            .map(|(arena, contestant, examples)| {
                let runs = runs.by_ref().take(seeds).collect();
                Series { arena, contestant, examples, runs }
            })
            .collect()
    }))
}

/// The search budget in an arena.
pub(crate) fn budget(arena: &Arena, options: &Options) -> f64 {
    options.budget.unwrap_or(arena.environment.usual_budget())
}

/// Where recommendations are judged under a budget; the budget itself is the last.
fn checkpoints(unit: Unit, budget: f64) -> Vec<f64> {
    let all = match unit {
        Unit::Evaluations => CHECKPOINTS,
        Unit::Tokens => CHECKPOINTS.map(|c| (c / 2500.0 * budget).round()),
    };
    all.into_iter().filter(|c| *c < budget).chain([budget]).collect()
}

fn sizes(arena: &Arena, contestant: &dyn Contestant, budget: f64) -> Vec<Option<u32>> {
    let environment = &arena.environment;
    let most = match environment.unit() {
        Unit::Evaluations => budget as u32,
        Unit::Tokens => u32::MAX,
    };
    let fits = |n: u32| Some(n.min(environment.pool().unwrap_or(u32::MAX)).min(most).max(1));
    let mut sizes = match contestant.sizes() {
        Sizes::Own => vec![None],
        Sizes::Usual => vec![fits(environment.usual_examples())],
        Sizes::BestOf => SIZES.into_iter().map(fits).collect(),
        Sizes::Fixed(n) => vec![fits(n)],
    };
    sizes.dedup();
    sizes
}
