//! What a weak agent costs: the method `agent`, whose plans compete with those of `planner`, beside `planner` alone, where
//! scripts stand in for the language model.
//!
//! `cargo run --release -p agenttts-bench --example weak_agent -- LANDSCAPE.csv... [--seeds N] [--agents A,...]`
//!
//! Prints the difference of the ratios (true score of the recommended plan / best) of `agent` and `planner`, paired by
//! seed, with its 95% interval, and how often the agent was asked in a run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use agenttts_bench::{
    Agents, Contestant, Fault, Options, Question, Responder, Run, Table, TableRow, contestant, contestant_with, play,
    read_landscape,
};
use agenttts_core::{Estimate, Purpose};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Those who stand in for the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// Plans within the budget, drawn uniformly.
    Random,
    /// The plans with the lowest true scores, worst first.
    Worst,
    /// The dearest plans within the budget, dearest first.
    Dearest,
    /// The worst of the plans with the best plan's models: they look good to whoever knows what the trials tell.
    Decoys,
    /// Text that is no plan.
    Nonsense,
    /// The best plans, best first: what there is to be gained.
    Best,
}

const SCRIPTS: [(&str, Script); 6] = [
    ("random", Script::Random),
    ("worst", Script::Worst),
    ("dearest", Script::Dearest),
    ("decoys", Script::Decoys),
    ("nonsense", Script::Nonsense),
    ("best", Script::Best),
];

/// A script in one landscape.
struct Scripted {
    script: Script,
    /// Plans within the budget as the agent writes them, in the order in which it proposes them.
    plans: Vec<Value>,
    asked: Arc<AtomicU32>,
}

impl Scripted {
    fn new(script: Script, table: &Table, asked: Arc<AtomicU32>) -> Self {
        let mut rows: Vec<&TableRow> = table.rows.iter().filter(|r| r.cost <= table.budget).collect();
        let models = |r: &TableRow| r.choices.iter().map(|c| c.0).collect::<Vec<_>>();
        let best = rows.iter().max_by(|a, b| a.score.total_cmp(&b.score)).map(|r| models(r));
        match script {
            Script::Worst => rows.sort_by(|a, b| a.score.total_cmp(&b.score)),
            Script::Best => rows.sort_by(|a, b| b.score.total_cmp(&a.score)),
            Script::Dearest => rows.sort_by(|a, b| b.cost.total_cmp(&a.cost)),
            Script::Decoys => {
                rows.retain(|r| best.as_ref() == Some(&models(r)));
                rows.sort_by(|a, b| a.score.total_cmp(&b.score));
            }
            Script::Random | Script::Nonsense => {}
        }
        let written = |row: &TableRow| {
            let stage = |(stage, &(model, samples)): (&agenttts_bench::TableStage, &(usize, u32))| {
                (stage.name.clone(), json!({"model": stage.models[model].name, "samples": samples}))
            };
            Value::Object(table.stages.iter().zip(&row.choices).map(stage).collect())
        };
        Scripted { script, plans: rows.into_iter().map(written).collect(), asked }
    }
}

impl Responder for Scripted {
    fn answer(&self, question: &Question, seed: u64) -> Result<String, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.script == Script::Nonsense {
            return Ok("The weather is fine, {\"plans\": take as many samples as you like.".to_owned());
        }
        if question.purpose == Purpose::Summarise {
            return Ok(json!({"guidelines": ["Do as you are told."]}).to_string());
        }
        let wanted = question.schema["properties"]["plans"]["minItems"].as_u64().unwrap_or(1) as usize;
        let mut plans = self.plans.clone();
        if self.script == Script::Random {
            plans.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ (u64::from(question.round) << 32)));
        } else {
            // Those before were proposed in earlier rounds and may be tried by now.
            let skipped = plans.len().saturating_sub(wanted).min(question.round as usize);
            plans.rotate_left(skipped);
        }
        plans.truncate(wanted);
        Ok(json!({"plans": plans}).to_string())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut files, mut seeds, mut named) = (Vec::new(), 10, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seeds" => seeds = value()?.parse()?,
            "--agents" => named = Some(value()?),
            _ => files.push(argument),
        }
    }
    let known = |name: &str| SCRIPTS.into_iter().find(|s| s.0 == name).ok_or(format!("there is no agent {name:?}"));
    let scripts = match &named {
        Some(names) => names.split(',').map(known).collect::<Result<Vec<_>, _>>()?,
        None => SCRIPTS.to_vec(),
    };
    let options = Options { seeds, budget: None, threads: std::thread::available_parallelism()?.get() };
    // For each agent and checkpoint, the differences in every landscape.
    let mut all: BTreeMap<(usize, usize), Vec<Vec<f64>>> = BTreeMap::new();
    for file in &files {
        let table = read_landscape(Path::new(file))?;
        let asked: Vec<Arc<AtomicU32>> = scripts.iter().map(|_| Arc::default()).collect();
        let mut contestants: Vec<Box<dyn Contestant>> = vec![contestant("planner")?];
        for ((_, script), asked) in scripts.iter().zip(&asked) {
            let scripted = Scripted::new(*script, &table, asked.clone());
            let agents = Agents { responder: Some(Arc::new(scripted)), ..Agents::default() };
            contestants.push(contestant_with("agent", &agents)?);
        }
        let progress = |made: usize, of: usize| eprint!("\r{}: {made} of {of} runs ", table.name);
        let arenas = [table.arena()?];
        let series = play(&arenas, &contestants, &options, &AtomicBool::new(false), &progress)?;
        let series = series.ok_or("the comparison was stopped")?;
        eprintln!();
        let planner = &series[0].runs;
        println!("{}: planner {}", table.name, points(&columns(planner)));
        for (a, ((name, _), asked)) in scripts.iter().zip(&asked).enumerate() {
            let differences = differences(&series[a + 1].runs, planner);
            let questions = f64::from(asked.load(Ordering::Relaxed)) / f64::from(seeds);
            println!("  {name:<9} {}  {questions:.1} questions", points(&differences));
            for (c, column) in differences.into_iter().enumerate() {
                all.entry((a, c)).or_default().push(column);
            }
        }
    }
    println!("all landscapes (their mean within each seed)");
    for (a, (name, _)) in scripts.iter().enumerate() {
        let columns: Vec<Vec<f64>> = all.range((a, 0)..(a + 1, 0)).map(|(_, of)| mean_by_seed(of)).collect();
        println!("  {name:<9} {}", points(&columns));
    }
    Ok(())
}

/// The ratio at every checkpoint, of every seed.
fn columns(runs: &[Run]) -> Vec<Vec<f64>> {
    let checkpoints = runs.first().map_or(0, |r| r.points.len());
    (0..checkpoints).map(|c| runs.iter().map(|r| r.points[c].ratio).collect()).collect()
}

fn differences(ours: &[Run], theirs: &[Run]) -> Vec<Vec<f64>> {
    let pairs = columns(ours).into_iter().zip(columns(theirs));
    pairs.map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| a - b).collect()).collect()
}

fn mean_by_seed(landscapes: &[Vec<f64>]) -> Vec<f64> {
    let seeds = landscapes.first().map_or(0, Vec::len);
    (0..seeds).map(|s| landscapes.iter().map(|of| of[s]).sum::<f64>() / landscapes.len() as f64).collect()
}

/// The mean of every column with half of its 95% interval.
fn points(columns: &[Vec<f64>]) -> String {
    let point = |column: &Vec<f64>| {
        let e = Estimate::of_values(column);
        format!("{:+.4} ±{:.4}", e.mean, e.high - e.mean)
    };
    columns.iter().map(point).collect::<Vec<_>>().join("  ")
}
