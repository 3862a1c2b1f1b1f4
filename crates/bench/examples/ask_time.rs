//! The time of one ask on a large space, ours beside outside optimisers': the paper's software-development task, three
//! stages with a 3B and a 70B model and 1 to 100 samples each, 759,511 plans within its budget.
//!
//! `cargo run --release -p agenttts-bench --example ask_time [METHOD,...] [TRIALS]`
//!
//! Our methods are asked with random plans in the archive, outside ones with as many of their own. Times are the median
//! of five asks. Peak memory is this process's, of our methods so far; on Linux only.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agenttts_bench::{Contestant, Entry, PeerProcesses, Truth, contestant, is_peer, peer, peer_python};
use agenttts_core::{
    Aggregator, Archive, Cost, CostModel, Estimate, Measurement, ModelSpec, Plan, Space, Span, StageSpace, Temperature,
    Trial, TrialState,
};
use agenttts_search::{Ask, Proposal, Settings, Step, TaskText};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const METHODS: &str = "planner,tpe,bo,optuna-tpe,optuna-gp";

/// Examples of a trial.
const EXAMPLES: u32 = 50;

const REPEATS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let names = std::env::args().nth(1).unwrap_or_else(|| METHODS.to_owned());
    let trials: usize = std::env::args().nth(2).map_or(Ok(200), |n| n.parse())?;
    let space = space()?;
    println!("{} plans within the budget, {trials} trials", space.feasible());
    // Ours first: the processes of others do not count as our memory, but what is kept of their trials would.
    let (theirs, ours): (Vec<&str>, Vec<&str>) = names.split(',').partition(|name| is_peer(name));
    let mut best = f64::INFINITY;
    for name in ours {
        match contestant(name) {
            Ok(contestant) => {
                let seconds = filled(&*contestant, &space, trials)?;
                best = best.min(seconds);
                println!("{name:<16} {:>9.1} ms{}", seconds * 1e3, peak_memory());
            }
            Err(error) => println!("{name:<16} {error}"),
        }
    }
    if theirs.is_empty() {
        return Ok(());
    }
    let processes = Arc::new(PeerProcesses::new(&peer_python(|name| std::env::var_os(name))?));
    for name in theirs {
        let contestant = peer(name, &processes).ok_or("no such outside optimiser")?;
        match played(&*contestant, &space, trials) {
            Ok(seconds) if best.is_finite() => {
                println!("{name:<16} {:>9.1} ms, {:.2} times our quickest", seconds * 1e3, seconds / best);
            }
            Ok(seconds) => println!("{name:<16} {:>9.1} ms", seconds * 1e3),
            Err(error) => println!("{name:<16} {error}"),
        }
    }
    Ok(())
}

/// The space of section 3 of arXiv 2508.00890 at the budget of one pass of the largest models.
fn space() -> Result<Space, Box<dyn Error>> {
    let model = |name: &str, billions: u64| ModelSpec {
        params: Some(billions * 1_000_000_000),
        ..ModelSpec::named(name, "none", name)
    };
    let stage = |(name, decode_tokens): (&str, u64)| StageSpace {
        name: name.to_owned(),
        models: vec![model("llama-3b", 3), model("llama-70b", 70)],
        samples: (1..=100).collect(),
        aggregators: vec![Aggregator::Fuse],
        temperatures: Temperature::new(0.9).into_iter().collect(),
        runs: agenttts_core::Runs::ONCE,
        prompt_tokens: 1024,
        decode_tokens,
        judge: None,
        fusion_decode_tokens: None,
    };
    let stages = [("code", 1024), ("static-test", 512), ("dynamic-test", 256)].map(stage);
    let budget = CostModel::PaperFlops.amount(1767.0 + 1.0 / 3.0).ok_or("no such budget")?;
    Ok(Space::new(stages.into(), CostModel::PaperFlops, budget)?)
}

/// Seconds of an ask of one of our methods, whose archive holds random plans.
fn filled(contestant: &dyn Contestant, space: &Space, trials: usize) -> Result<f64, Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let feasible = u64::try_from(space.feasible())?;
    let mut chosen = BTreeSet::new();
    while chosen.len() < trials.min(feasible as usize) {
        chosen.insert(rng.random_range(0..feasible) as usize);
    }
    let mut archive = Archive::default();
    for (number, options) in space.feasible_indices().enumerate() {
        if chosen.contains(&number) {
            run(space, &mut archive, Proposal::new(space.plan(&options), "random", ""), &mut rng);
        }
    }
    let (settings, task) = (Settings { seed: 1, ..Settings::default() }, TaskText::default());
    let truth = Truth::new(space, []);
    let mut player = contestant.enter(&Entry::new(space, 1, Some(EXAMPLES), &truth))?;
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let price = |_: &Plan, examples: u32| f64::from(examples);
        let ask = Ask::new(space, &archive, &settings, &task).with_prices(&price, Some(2500.0));
        let started = Instant::now();
        let step = player.ask(&ask)?;
        times.push(started.elapsed());
        propose(space, &mut archive, step, &mut rng)?;
    }
    Ok(median(times))
}

/// Seconds of an ask of an outside optimiser after trials that it proposed itself.
fn played(contestant: &dyn Contestant, space: &Space, trials: usize) -> Result<f64, Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (settings, task) = (Settings { seed: 1, ..Settings::default() }, TaskText::default());
    let truth = Truth::new(space, []);
    let mut player = contestant.enter(&Entry::new(space, 1, Some(EXAMPLES), &truth))?;
    let (mut archive, mut times) = (Archive::default(), Vec::new());
    while times.len() < REPEATS {
        let warm = archive.measured().count() >= trials;
        let ask = Ask::new(space, &archive, &settings, &task);
        let started = Instant::now();
        let step = player.ask(&ask)?;
        if warm {
            times.push(started.elapsed());
        }
        propose(space, &mut archive, step, &mut rng)?;
    }
    Ok(median(times))
}

fn propose(space: &Space, archive: &mut Archive, step: Step, rng: &mut ChaCha8Rng) -> Result<(), Box<dyn Error>> {
    let Step::Propose { proposals, .. } = step else {
        return Err("nothing is proposed".into());
    };
    for proposal in proposals {
        run(space, archive, proposal, rng);
    }
    Ok(())
}

/// A trial whose score rises with every stage's samples, more for the large model, and falls with too many.
fn run(space: &Space, archive: &mut Archive, proposal: Proposal, rng: &mut ChaCha8Rng) {
    let Proposal { plan, origin, .. } = proposal;
    let part = |choice: &agenttts_core::Choice| {
        let skill = if choice.model == "llama-70b" { 0.7 } else { 0.5 };
        let n = f64::from(choice.samples);
        skill + 0.3 * (1.0 - n.powf(-0.5)) - 0.001 * n
    };
    let truth = plan.choices.iter().map(part).product::<f64>();
    let scores: Vec<f64> = (0..EXAMPLES).map(|_| f64::from(u8::from(rng.random::<f64>() < truth))).collect();
    let units = space.cost_of(&plan).map_or(0.0, |cost| space.cost_model().units(cost));
    let measurement = Measurement {
        stages: vec![None; space.stages().len()],
        ..Measurement::of_scores(scores, Estimate { mean: units, low: units, high: units, se: 0.0, n: EXAMPLES })
    };
    let number = archive.trials.len() as u32 + 1;
    let state = if space.is_feasible(&plan) {
        TrialState::Measured(Box::new(measurement))
    } else {
        TrialState::Abandoned("above the plan budget".to_owned())
    };
    archive.trials.push(Trial {
        number,
        round: number / 5,
        nominal_cost: space.cost_of(&plan).unwrap_or(Cost::ZERO),
        plan,
        origin,
        stream: 0,
        span: Some(Span { first: 0, count: EXAMPLES }),
        state,
    });
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// The most memory that this process has held.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.map(|kb| format!(", peak memory {:.0} MB", kb / 1024.0)).unwrap_or_default()
}
