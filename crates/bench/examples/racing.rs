//! What racing saves, and what it loses.
//!
//! ```text
//! cargo run --release -p agenttts-bench --example racing -- [--seeds N] [--studies N] LANDSCAPE_OR_TAPE...
//! ```
//!
//! First simulated studies whose true scores are known: how often a study races out a plan that would have scored at
//! least as much as its leader on the whole split, how often it so loses the split's best plan, and how many evaluations
//! it saves. Then search methods on landscapes and tapes, with racing and without, paired by seed. Seeded: the same
//! table on every machine.
#![allow(clippy::print_stdout, reason = "an example's table")]

use std::sync::atomic::AtomicBool;

use agenttts_bench::{Arena, Contestant, Match, Run, Sizes, contestant, open};
use agenttts_core::{
    Aggregator, Archive, Cost, CostModel, Estimate, Measurement, ModelSpec, Origin, Runs, Space, Span, StageSpace,
    Temperature, Trial, TrialState,
};
use agenttts_search::Race;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Methods whose trials run on as many examples as a usual trial has, and the planner, which chooses.
const METHODS: [&str; 6] = ["random", "tpe", "evolution", "coordinate", "rules", "planner"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut seeds, mut studies, mut names) = (20, 2000, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => seeds = words.next().ok_or("--seeds N")?.parse()?,
            "--studies" => studies = words.next().ok_or("--studies N")?.parse()?,
            _ => names.push(word),
        }
    }
    simulated(studies)?;
    if !names.is_empty() {
        methods(&open(&names)?, seeds)?;
    }
    Ok(())
}

/// Worlds: in all but the first plans differ.
const SPREADS: [(&str, f64); 3] = [("all alike", 0.0), ("alike", 0.03), ("as usual", 0.15)];

fn simulated(studies: u32) -> Result<(), Box<dyn std::error::Error>> {
    println!("{studies} simulated studies a row: 40 plans with true scores about .7, each on the whole split");
    println!(
        "plans differ    split  examples alike   false: study  trial     best lost  full trials   evaluations saved"
    );
    for (name, spread) in SPREADS {
        for pool in [50, 100, 300] {
            for shared in [0.0, 0.6] {
                let mut sums = [0.0; 6];
                for study in 0..studies {
                    let one = study_of(&mut ChaCha8Rng::seed_from_u64(u64::from(study)), spread, pool, shared)?;
                    sums.iter_mut().zip(one).for_each(|(sum, value)| *sum += value);
                }
                let n = f64::from(studies);
                println!(
                    "{name:<14} {pool:>6} {shared:>15.1}  {:>12.4}  {:.5} {:>12.4} {:>11.0}%  {:>10.2}x",
                    sums[0] / n,
                    sums[1] / (n * f64::from(PLANS - 1)),
                    sums[2] / n,
                    100.0 * sums[3] / (n * f64::from(PLANS)),
                    sums[4] / sums[5]
                );
            }
        }
    }
    Ok(())
}

const PLANS: u32 = 40;

/// One study of plans in turn: whether any was raced out falsely, how many were, whether the best of the split was lost,
/// trials on the whole split, and the evaluations without and with racing.
fn study_of(rng: &mut ChaCha8Rng, spread: f64, pool: u32, shared: f64) -> Result<[f64; 6], Box<dyn std::error::Error>> {
    let space = space()?;
    // An example's luck is partly its own, the same for all plans.
    let luck: Vec<f64> = (0..pool).map(|_| rng.random()).collect();
    let mut archive = Archive::default();
    let (mut falsely, mut full, mut evaluations, mut best) = (0.0, 0.0, 0.0, (f64::MIN, false));
    for number in 1..=PLANS {
        let plan = space.plan(&[number as usize - 1]);
        let truth: f64 = 0.7 + spread * (2.0 * rng.random::<f64>() - 1.0);
        let mut draw = |luck: f64| if rng.random::<f64>() < shared { luck } else { rng.random::<f64>() };
        let whole: Vec<f64> = luck.iter().map(|&l| f64::from(u8::from(draw(l) < truth))).collect();
        let race = Race::new(&space, &archive, number, &plan, Span { first: 0, count: pool });
        let (mut done, mut raced_out) = (0, None);
        while done < pool && raced_out.is_none() {
            done += race.as_ref().map_or(pool, |race| race.next_block(&whole[..done as usize]));
            raced_out = race.as_ref().and_then(|race| race.verdict(&whole[..done as usize]));
        }
        let total: f64 = whole.iter().sum();
        if let Some(out) = raced_out {
            let leader = archive.trials[out.leader as usize - 1].measurement().ok_or("no leader")?;
            falsely += f64::from(u8::from(total >= leader.scores.iter().sum::<f64>()));
        } else {
            full += 1.0;
        }
        if total > best.0 {
            best = (total, raced_out.is_some());
        }
        evaluations += f64::from(done);
        let cost = Estimate { mean: 1.0, low: 1.0, high: 1.0, se: 0.0, n: done };
        let measured = Measurement { raced_out, ..Measurement::of_scores(whole[..done as usize].to_vec(), cost) };
        archive.trials.push(Trial {
            number,
            round: number,
            plan,
            nominal_cost: Cost::ZERO,
            origin: Origin { method: "turn".into(), reason: String::new(), repairs: Vec::new() },
            stream: 0,
            span: Some(Span { first: 0, count: done }),
            state: TrialState::Measured(Box::new(measured)),
        });
    }
    let any = f64::from(u8::from(falsely > 0.0));
    Ok([any, falsely, f64::from(u8::from(best.1)), full, f64::from(PLANS * pool), evaluations])
}

/// A space of one stage whose plans are numbers of samples.
fn space() -> Result<Space, Box<dyn std::error::Error>> {
    let stage = StageSpace {
        name: "answer".into(),
        models: vec![ModelSpec::named("m", "table", "m")],
        samples: (1..=PLANS).collect(),
        aggregators: vec![Aggregator::Vote],
        temperatures: vec![Temperature::from_thousandths(900).ok_or("no temperature")?],
        runs: Runs::ONCE,
        prompt_tokens: 1,
        decode_tokens: 1,
        judge: None,
        fusion_decode_tokens: None,
    };
    Ok(Space::new(vec![stage], CostModel::Tokens, Cost(i128::MAX / 4))?)
}

fn methods(arenas: &[Arena], seeds: u32) -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "\n{seeds} seeds; quality is the true score of the recommended plan over that of the best, paired by seed"
    );
    println!("                                  as many trials as without racing              the same budget");
    println!("landscape          method       examples a trial        quality, difference     quality, difference");
    let mut all: Vec<Vec<[f64; 4]>> = vec![Vec::new(); METHODS.len()];
    for arena in arenas {
        for (m, method) in METHODS.iter().enumerate() {
            let usual = arena.environment.usual_examples();
            let name = if *method == "planner" { (*method).to_owned() } else { format!("{method}@{usual}") };
            let contestant = contestant(&name)?;
            let (mut off, mut trials, mut budget) = (Vec::new(), Vec::new(), Vec::new());
            for seed in 0..seeds {
                let without = run(arena, contestant.as_ref(), seed, false, None)?;
                trials.push(run(arena, contestant.as_ref(), seed, true, Some(without.trials))?);
                budget.push(run(arena, contestant.as_ref(), seed, true, None)?);
                off.push(without);
            }
            let each = |runs: &[Run]| {
                let (evaluated, trials) = runs.iter().fold((0, 0), |(e, t), r| (e + r.evaluated, t + r.trials));
                evaluated as f64 / f64::from(trials)
            };
            let mean = |runs: &[Run]| runs.iter().map(quality).sum::<f64>() / runs.len() as f64;
            let compared = |runs: &[Run]| {
                let differences: Vec<f64> = runs.iter().zip(&off).map(|(a, b)| quality(a) - quality(b)).collect();
                let e = Estimate::of_values(&differences);
                format!("{:.4} {:+.4} ± {:.4}", mean(runs), e.mean, 0.5 * (e.high - e.low))
            };
            let saved = each(&off) / each(&trials);
            println!(
                "{:<18} {method:<11} {:>5.1} {:>5.1} {saved:>5.2}x   {:.4} -> {}   {}",
                arena.name,
                each(&off),
                each(&trials),
                mean(&off),
                compared(&trials),
                compared(&budget),
            );
            all[m].push([saved, mean(&off), mean(&trials), mean(&budget)]);
        }
    }
    println!(
        "\nall together (geometric mean of what is saved): saved, quality without, as many trials, the same budget"
    );
    for (method, rows) in METHODS.iter().zip(&all) {
        let mean = |i: usize| rows.iter().map(|r| r[i]).sum::<f64>() / rows.len() as f64;
        let saved = (rows.iter().map(|r| r[0].ln()).sum::<f64>() / rows.len() as f64).exp();
        println!("{method:<11} {saved:>6.2}x   {:.4}   {:.4}   {:.4}", mean(1), mean(2), mean(3));
    }
    Ok(())
}

/// The quality of the last recommendation.
fn quality(run: &Run) -> f64 {
    run.points.last().map_or(0.0, |p| p.ratio)
}

fn run(
    arena: &Arena,
    contestant: &dyn Contestant,
    seed: u32,
    racing: bool,
    most_trials: Option<u32>,
) -> Result<Run, &'static str> {
    let budget = arena.environment.usual_budget();
    let examples = (contestant.sizes() != Sizes::Own).then(|| arena.environment.usual_examples());
    let of = Match {
        arena,
        contestant,
        seed: u64::from(seed),
        examples,
        budget,
        checkpoints: &[budget],
        racing,
        most_trials,
    };
    of.run(&AtomicBool::new(false)).ok_or("stopped")
}
