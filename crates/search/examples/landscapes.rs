//! Measures search methods on landscapes: tables of every plan's true score and cost.
//!
//! `cargo run -p agenttts-search --example landscapes -- DIR_OR_CSV... [--methods rules,random] [--seeds 20]
//! [--trials 50] [--batch 5] [--examples 50] [--without-insight N]`
//!
//! A trial draws the mean of `examples` zero-one scores at the plan's true score. Printed is the mean over the seeds of
//! (true score of the recommended plan / best feasible true score), with its standard error, after 20, 30, ... trials.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use agenttts_core::{
    Aggregator, Archive, Cost, CostModel, Estimate, Measurement, ModelSpec, Price, Space, StageSpace, Temperature,
    Trial, TrialState, Usage,
};
use agenttts_search::{Ask, Insights, Settings, Step, TaskText, recommend, searcher};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Error = Box<dyn std::error::Error + Send + Sync>;

struct Landscape {
    name: String,
    space: Space,
    /// True score by option indices, of the plans within the table's budget.
    scores: HashMap<Vec<usize>, f64>,
    best: f64,
}

fn load(csv: &Path) -> Result<Landscape, Error> {
    let toml: toml::Table = std::fs::read_to_string(csv.with_extension("toml"))?.parse()?;
    let budget = number(&toml["budget"]).ok_or("budget")?;
    let text = std::fs::read_to_string(csv)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().ok_or("empty file")?.split(',').collect();
    let stages: Vec<&str> = header.iter().filter_map(|h| h.strip_suffix(".model")).collect();
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let width = stages.len();
    let (score, cost) = (2 * width, 2 * width + 1);

    // Where the number of samples follows from the model's name, the pair is one model drawn once.
    let mut pools: Vec<Vec<String>> = vec![Vec::new(); width];
    let mut counts: Vec<Vec<u32>> = vec![Vec::new(); width];
    for s in 0..width {
        let mut seen: HashMap<&str, Vec<u32>> = HashMap::new();
        for row in &rows {
            let n: u32 = row[2 * s + 1].parse()?;
            if !pools[s].iter().any(|m| m == row[2 * s]) {
                pools[s].push(row[2 * s].to_owned());
            }
            let list = seen.entry(row[2 * s]).or_default();
            if !list.contains(&n) {
                list.push(n);
            }
        }
        counts[s] = if seen.values().all(|l| l.len() == 1) {
            vec![1]
        } else {
            let mut all: Vec<u32> = seen.into_values().flatten().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
    }
    let mut table: HashMap<Vec<(usize, u32)>, (f64, f64)> = HashMap::new();
    for row in &rows {
        let mut key = Vec::new();
        for s in 0..width {
            let model = pools[s].iter().position(|m| m == row[2 * s]).ok_or("model")?;
            let n = if counts[s].len() == 1 { 1 } else { row[2 * s + 1].parse()? };
            key.push((model, n));
        }
        table.insert(key, (row[score].parse()?, row[cost].parse()?));
    }
    let specs = toml["stages"].as_array().ok_or("stages")?;
    let paper = toml["cost_unit"].as_str() == Some("paper-flops");
    let space = if paper {
        let stages = specs
            .iter()
            .zip(&pools)
            .zip(&counts)
            .map(|((spec, pool), counts)| paper_stage(spec, pool, counts))
            .collect::<Option<Vec<_>>>()
            .ok_or("a stage lacks lengths or parameters")?;
        let units = CostModel::PaperFlops.amount(budget).ok_or("budget")?;
        Space::new(stages, CostModel::PaperFlops, units)?
    } else {
        priced_space(&stages, &pools, &table, budget)?
    };
    let mut scores = HashMap::new();
    for (key, (score, cost)) in &table {
        let options: Option<Vec<usize>> = key
            .iter()
            .zip(space.stages())
            .map(|(&(model, n), s)| s.options.iter().position(|o| o.model == model && o.choice.samples == n))
            .collect();
        if *cost <= budget + 1e-9 {
            scores.insert(options.ok_or("a plan outside the space")?, *score);
        }
    }
    Ok(Landscape {
        name: toml["name"].as_str().ok_or("name")?.to_owned(),
        space,
        best: scores.values().copied().fold(0.0, f64::max),
        scores,
    })
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
}

fn stage(name: &str, models: Vec<ModelSpec>, samples: Vec<u32>) -> StageSpace {
    StageSpace {
        name: name.to_owned(),
        models,
        samples,
        aggregators: vec![Aggregator::Fuse],
        temperatures: vec![Temperature::new(0.9).unwrap_or(Temperature::GREEDY)],
        prompt_tokens: 0,
        decode_tokens: 1,
        judge: None,
        fusion_decode_tokens: None,
    }
}

fn model(name: &str) -> ModelSpec {
    ModelSpec {
        name: name.to_owned(),
        provider: "table".into(),
        id: name.to_owned(),
        revision: None,
        params: None,
        shape: None,
        price: None,
        speed: None,
        context: None,
        top_p: None,
    }
}

fn paper_stage(spec: &toml::Value, pool: &[String], counts: &[u32]) -> Option<StageSpace> {
    let models = spec.get("models")?.as_array()?;
    let params = |name: &str| {
        let found = models.iter().find(|m| m.get("name").and_then(|n| n.as_str()) == Some(name))?;
        Some((number(found.get("params_b")?)? * 1e9) as u64)
    };
    let models = pool
        .iter()
        .map(|name| Some(ModelSpec { params: Some(params(name)?), ..model(name) }))
        .collect::<Option<Vec<_>>>()?;
    Some(StageSpace {
        prompt_tokens: spec.get("prompt_tokens")?.as_integer()? as u64,
        decode_tokens: spec.get("decode_tokens")?.as_integer()? as u64,
        ..stage(spec.get("name")?.as_str()?, models, counts.to_vec())
    })
}

/// A table without lengths: each option's mean cost over the table, so that the plans' costs add up as nearly as they
/// can. The space's budget is the most that a plan within the table's budget costs so; others are found out by trying.
fn priced_space(
    names: &[&str],
    pools: &[Vec<String>],
    table: &HashMap<Vec<(usize, u32)>, (f64, f64)>,
    budget: f64,
) -> Result<Space, Error> {
    let mean = table.values().map(|v| v.1).sum::<f64>() / table.len() as f64;
    let stages: Vec<StageSpace> = pools
        .iter()
        .enumerate()
        .map(|(s, pool)| {
            let models = pool.iter().enumerate().map(|(i, name)| {
                let of: Vec<f64> = table.iter().filter(|(k, _)| k[s].0 == i).map(|(_, v)| v.1).collect();
                let effect = of.iter().sum::<f64>() / of.len() as f64 - mean;
                let cost = (mean / pools.len() as f64 + effect).max(1e-6);
                let decode = (cost * 1e12) as u64;
                let price = Price { prompt: 0, cached_prompt: 0, decode };
                ModelSpec { price: Some(price), ..model(name) }
            });
            stage(names[s], models.collect(), vec![1])
        })
        .collect();
    let all = Space::new(stages, CostModel::Usd, Cost(i128::MAX / 4))?;
    let most = table
        .iter()
        .filter(|(_, v)| v.1 <= budget)
        .filter_map(|(k, _)| {
            let options: Vec<usize> = k.iter().map(|&(m, _)| m).collect();
            all.cost_of(&all.plan(&options))
        })
        .max()
        .ok_or("no plan within the budget")?;
    Ok(all.with_budget(most)?)
}

struct Run {
    methods: Vec<String>,
    seeds: u64,
    trials: u32,
    batch: u32,
    examples: u32,
    insights: Insights,
}

const CHECKPOINTS: [usize; 4] = [20, 30, 40, 50];

/// The ratio of the recommendation at each checkpoint.
fn play(land: &Landscape, method: &str, seed: u64, run: &Run) -> Result<Vec<f64>, Error> {
    let searcher = searcher(method)?;
    let task = TaskText::default();
    let mut archive = Archive::default();
    let mut ratios = Vec::new();
    let (mut made, mut refused) = (0u32, 0u32);
    while made < run.trials {
        let settings = Settings {
            seed,
            batch: run.batch,
            trials: Some(run.trials + refused),
            insights: run.insights,
            ..Settings::default()
        };
        let ask = Ask::new(&land.space, &archive, &settings, &task);
        let round = ask.round();
        let Step::Propose { guidelines, proposals } = searcher.ask(&ask) else {
            break;
        };
        archive.guidelines.extend(guidelines);
        for proposal in proposals {
            let number = archive.trials.len() as u32 + 1;
            let options = land.space.indices(&proposal.plan).ok_or("not of the space")?;
            let nominal = land.space.cost_of(&proposal.plan).unwrap_or(Cost::ZERO);
            let cost = land.space.cost_model().units(nominal);
            let state = match land.scores.get(&options) {
                None => {
                    refused += 1;
                    TrialState::Abandoned("over the budget".into())
                }
                Some(&p) => {
                    made += 1;
                    TrialState::Measured(Box::new(measure(p, cost, seed, number, run.examples)))
                }
            };
            archive.trials.push(Trial {
                number,
                round,
                nominal_cost: nominal,
                plan: proposal.plan,
                origin: proposal.origin,
                stream: 0,
                state,
            });
            if CHECKPOINTS.contains(&(made as usize)) && ratios.len() < CHECKPOINTS.len() {
                let due = CHECKPOINTS.iter().filter(|&&c| c <= made as usize).count();
                while ratios.len() < due {
                    ratios.push(ratio(land, &archive)?);
                }
            }
        }
    }
    let last = ratio(land, &archive)?;
    ratios.resize(CHECKPOINTS.len(), last);
    if std::env::var_os("SHOW").is_some() && seed == 0 {
        show(land, &archive);
    }
    Ok(ratios)
}

#[allow(clippy::print_stdout)]
fn show(land: &Landscape, archive: &Archive) {
    for t in &archive.trials {
        let truth = land.space.indices(&t.plan).and_then(|o| land.scores.get(&o).copied());
        let seen = t.measurement().map(|m| m.objective.mean);
        println!("{:3} r{} {:?} true {:?} {} | {}", t.number, t.round, seen, truth, t.plan, t.origin.reason);
    }
    for g in &archive.guidelines {
        println!("GUIDELINE after round {}: {}", g.round, g.text);
    }
    println!("{:?}", recommend(&land.space, archive));
}

fn measure(p: f64, cost: f64, seed: u64, number: u32, examples: u32) -> Measurement {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(number) + (1 << 32));
    let scores: Vec<f64> = (0..examples).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
    Measurement {
        objective: Estimate::of_scores(&scores),
        stages: Vec::new(),
        cost: Estimate::of_values(&[cost, cost]),
        scores,
        failures: 0,
        failure_reasons: Vec::new(),
        curves: Vec::new(),
        fresh: Usage::default(),
        drawn: Usage::default(),
        seconds: 0.0,
    }
}

fn ratio(land: &Landscape, archive: &Archive) -> Result<f64, Error> {
    let Some(found) = recommend(&land.space, archive) else {
        return Ok(0.0);
    };
    let options = land.space.indices(&found.plan).ok_or("not of the space")?;
    Ok(land.scores.get(&options).copied().unwrap_or(0.0) / land.best)
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Error> {
    let mut run = Run {
        methods: vec!["rules".into(), "random".into()],
        seeds: 20,
        trials: 50,
        batch: 5,
        examples: 50,
        insights: Insights::ALL,
    };
    let mut files: Vec<PathBuf> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--methods" => run.methods = value()?.split(',').map(str::to_owned).collect(),
            "--seeds" => run.seeds = value()?.parse()?,
            "--trials" => run.trials = value()?.parse()?,
            "--batch" => run.batch = value()?.parse()?,
            "--examples" => run.examples = value()?.parse()?,
            "--without-insight" => run.insights = run.insights.without(value()?.parse()?),
            path if Path::new(path).is_dir() => {
                for entry in std::fs::read_dir(path)? {
                    let path = entry?.path();
                    if path.extension().is_some_and(|e| e == "csv") {
                        files.push(path);
                    }
                }
            }
            path => files.push(path.into()),
        }
    }
    files.sort();
    println!("mean true/best of the recommendation (standard error) after {CHECKPOINTS:?} trials");
    let mut totals: HashMap<String, Vec<f64>> = HashMap::new();
    for file in &files {
        let land = load(file)?;
        for method in &run.methods {
            let rows = all_seeds(&land, method, &run)?;
            let columns: Vec<String> = (0..CHECKPOINTS.len())
                .map(|c| {
                    let e = Estimate::of_values(&rows.iter().map(|r| r[c]).collect::<Vec<_>>());
                    format!("{:.3} ({:.3})", e.mean, e.se)
                })
                .collect();
            let last = rows.iter().map(|r| r[CHECKPOINTS.len() - 1]).sum::<f64>();
            totals.entry(method.clone()).or_default().push(last / rows.len() as f64);
            println!("{:16} {:8} {}", land.name, method, columns.join("  "));
        }
    }
    for (method, all) in totals {
        println!("mean of all      {method:8} {:.4}", all.iter().sum::<f64>() / all.len() as f64);
    }
    Ok(())
}

/// One row of ratios per seed, on two threads.
fn all_seeds(land: &Landscape, method: &str, run: &Run) -> Result<Vec<Vec<f64>>, Error> {
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let rows = &rows;
            scope.spawn(move || {
                for seed in (worker..run.seeds).step_by(2) {
                    let row = play(land, method, seed, run);
                    if let Ok(mut rows) = rows.lock() {
                        rows.push(row);
                    }
                }
            });
        }
    });
    rows.into_inner().map_err(|_| "a worker panicked")?.into_iter().collect()
}
