//! What an agent does to the search, however bad or good it is: the method `agent` with scripted replies against the
//! planner alone, paired by seed.
//!
//! `cargo run --release -p agenttts-bench --example advisers FILE.csv... [--seeds 10] [--evaluations 2500]`
//!
//! The replies: plans drawn evenly; the worst plans by their true scores; the most expensive; other plans of the worse
//! half every time, which the planner cannot tell at once; text that is no reply; and the best plans by their true scores,
//! to see what good advice is worth. All plans are within the plan budget.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use agenttts_bench::{
    Agents, Contestant, Fault, Options, Question, Responder, Table, TableRow, contestant, contestant_with, play,
    read_landscape,
};
use agenttts_core::{Estimate, Purpose};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug)]
enum Advice {
    Random,
    Worst,
    Dearest,
    WorseHalf,
    Nonsense,
    Best,
}

const ALL: [Advice; 6] =
    [Advice::Random, Advice::Worst, Advice::Dearest, Advice::WorseHalf, Advice::Nonsense, Advice::Best];

/// An agent that answers every question by one rule. It knows the true scores, which no method does.
struct Adviser {
    advice: Advice,
    table: Table,
    /// The plans within the budget.
    rows: Vec<TableRow>,
}

impl Adviser {
    fn new(advice: Advice, table: &Table) -> Self {
        let mut rows: Vec<TableRow> = table.rows.iter().filter(|r| r.cost <= table.budget).cloned().collect();
        match advice {
            Advice::Best => rows.sort_by(|a, b| b.score.total_cmp(&a.score)),
            Advice::Dearest => rows.sort_by(|a, b| b.cost.total_cmp(&a.cost)),
            _ => rows.sort_by(|a, b| a.score.total_cmp(&b.score)),
        }
        Adviser { advice, table: table.clone(), rows }
    }

    fn written(&self, row: &TableRow) -> Value {
        let choice = |(stage, &(model, samples)): (&agenttts_bench::TableStage, &(usize, u32))| {
            (stage.name.clone(), json!({"model": stage.models[model].name, "samples": samples}))
        };
        Value::Object(self.table.stages.iter().zip(&row.choices).map(choice).collect::<Map<_, _>>())
    }
}

impl Responder for Adviser {
    fn answer(&self, question: &Question, seed: u64) -> Result<String, Fault> {
        let stream = seed ^ (u64::from(question.round) << 32);
        let mut rng = ChaCha8Rng::seed_from_u64(stream);
        Ok(match (self.advice, question.purpose) {
            (Advice::Nonsense, _) => format!("I would rather talk about {{{}", rng.random::<u32>()),
            (_, Purpose::Summarise) => json!({"guidelines": ["Follow me."]}).to_string(),
            (advice, Purpose::Propose) => {
                let count = question.schema["properties"]["plans"]["minItems"].as_u64().unwrap_or(1) as usize;
                let rows: Vec<&TableRow> = match advice {
                    Advice::Random => self.rows.sample(&mut rng, count).collect(),
                    Advice::WorseHalf => self.rows[..self.rows.len() / 2].sample(&mut rng, count).collect(),
                    // Other ones every time, until all of them were tried.
                    _ => self.rows.iter().skip(question.round as usize * 2).take(count).collect(),
                };
                json!({"plans": rows.into_iter().map(|r| self.written(r)).collect::<Vec<_>>()}).to_string()
            }
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seeds, mut budget, mut files) = (10, 2500.0, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().ok_or_else(|| format!("{arg} needs a number"));
        match arg.as_str() {
            "--seeds" => seeds = number()?.parse()?,
            "--evaluations" => budget = number()?.parse()?,
            _ => files.push(arg),
        }
    }
    let options = Options { seeds, budget: Some(budget), threads: 2, racing: false };
    println!("ratio of the agent's recommendation minus the planner's, mean over {seeds} seeds with 95% interval");
    let mut differences: Vec<Vec<Vec<f64>>> = Vec::new();
    for file in &files {
        let table = read_landscape(Path::new(file)).map_err(|p| p.to_string())?;
        let mut contestants: Vec<Box<dyn Contestant>> = vec![contestant("planner")?];
        for advice in ALL {
            let responder = Some(Arc::new(Adviser::new(advice, &table)) as Arc<dyn Responder>);
            contestants.push(contestant_with("agent", &Agents { responder, ..Agents::default() })?);
        }
        let arenas = [table.arena()?];
        let series = play(&arenas, &contestants, &options, &AtomicBool::new(false), &|_, _| {})
            .map_err(|p| p.to_string())?
            .ok_or("stopped")?;
        let checkpoints: Vec<f64> = series[0].runs[0].points.iter().map(|p| p.evaluations).collect();
        println!("{}", table.name);
        for (c, advice) in ALL.iter().enumerate() {
            print!("  {:<10}", format!("{advice:?}"));
            for (at, checkpoint) in checkpoints.iter().enumerate() {
                let pairs = series[c + 1].runs.iter().zip(&series[0].runs);
                let values: Vec<f64> =
                    pairs.map(|(with, alone)| with.points[at].ratio - alone.points[at].ratio).collect();
                print!("  {checkpoint:>5}: {}", shown(&values));
                differences.resize(differences.len().max(at + 1), vec![Vec::new(); ALL.len()]);
                differences[at][c].extend(values);
            }
            println!();
        }
    }
    println!("all landscapes");
    for (c, advice) in ALL.iter().enumerate() {
        print!("  {:<10}", format!("{advice:?}"));
        differences.iter().enumerate().for_each(|(at, values)| print!("  point {}: {}", at + 1, shown(&values[c])));
        println!();
    }
    Ok(())
}

fn shown(values: &[f64]) -> String {
    let estimate = Estimate::of_values(values);
    format!("{:+.4} ± {:.4}", estimate.mean, 0.5 * (estimate.high - estimate.low))
}
