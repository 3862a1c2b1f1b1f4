//! From draws to scores: what every count of samples gives for every example.

use std::collections::HashMap;
use std::thread;

use agenttts_core::{Aggregator, CostModel, Example, ModelSpec, Temperature};
use agenttts_stage::{CompiledStage, Ran, Seen, aggregate};
use serde_json::Value;

use super::cell::{Cell, Samples};
use super::plan::Pair;
use super::subset::{MOST, subset_mean};
use crate::error::EngineError;
use crate::execute::call_tokens;
use crate::load::Loaded;
use crate::streams::mix;

/// One model, temperature and aggregator of a stage under one setting: a score for every count and example.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) model: String,
    pub(super) temperature: Temperature,
    pub(super) aggregator: Aggregator,
    pub(super) counts: Vec<u32>,
    /// For every count, the score of every example.
    pub(super) scores: Vec<Vec<f64>>,
    /// For every count, what the stage's calls cost for every example, in units of the cost model.
    pub(super) costs: Vec<Vec<f64>>,
    /// For every count, the most subsets that were averaged for an example, and whether they were all there are.
    pub(super) subsets: Vec<(u32, bool)>,
}

impl Table {
    /// The model, temperature and aggregator in words, as far as they tell the stage's tables apart.
    pub(super) fn words(&self, others: &[Table]) -> String {
        let mut text = self.model.clone();
        if others.iter().any(|o| o.temperature != self.temperature) {
            text.push_str(&format!(" T={}", self.temperature));
        }
        let alike = |o: &&Table| o.temperature == self.temperature;
        if others.iter().filter(alike).any(|o| o.aggregator != self.aggregator) && self.counts.len() > 1 {
            text.push_str(&format!(" {}", self.aggregator));
        }
        text
    }

    /// Whether both are of one model, temperature and aggregator.
    pub(super) fn is_same(&self, other: &Table) -> bool {
        (&self.model, self.temperature, self.aggregator) == (&other.model, other.temperature, other.aggregator)
    }
}

/// The tables of a stage under one setting, from the cells of its examples: for each of them one cell for every pair. `ran`
/// tells, by output, what running its code came to, where that matters.
pub(super) fn tables(
    loaded: &Loaded,
    stage: usize,
    pairs: &[Pair],
    cells: &[(&Example, Vec<Cell>)],
    ran: &HashMap<String, Ran>,
    seed: u64,
) -> Result<Vec<Table>, EngineError> {
    let scorer = Scorer { stage: &loaded.stages[stage], cost_model: loaded.pipeline.cost_model, loaded, ran, seed };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = cells.len().div_ceil(threads).max(1);
    let score = |part: &[(&Example, Vec<Cell>)]| -> Result<Vec<Row>, EngineError> {
        part.iter().map(|(example, cells)| scorer.row(pairs, example, cells)).collect()
    };
    let score = &score;
    let parts: Vec<Result<Vec<Row>, EngineError>> = thread::scope(|scope| {
        let workers: Vec<_> = cells.chunks(share).map(|part| scope.spawn(move || score(part))).collect();
        let ended = |_| Err(EngineError::Internal("a thread that scored samples ended".into()));
        workers.into_iter().map(|w| w.join().unwrap_or_else(ended)).collect()
    });
    let rows: Vec<Row> = parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let kinds = pairs.iter().flat_map(|p| p.aggregators.iter().map(move |&a| (p, a)));
    let table = |(place, (pair, aggregator)): (usize, (&Pair, Aggregator))| {
        let column = |of: &dyn Fn(&Scored) -> f64, n: usize| rows.iter().map(|row| of(&row[place][n])).collect();
        let each = |of: &dyn Fn(&Scored) -> f64| (0..pair.counts.len()).map(|n| column(of, n)).collect();
        let subsets = |n: usize| {
            let all = || rows.iter().map(|row| &row[place][n]);
            (all().map(|s| s.subsets).max().unwrap_or(0), all().all(|s| s.exact))
        };
        Table {
            model: pair.name.clone(),
            temperature: pair.temperature,
            aggregator,
            counts: pair.counts.clone(),
            scores: each(&|s| s.score),
            costs: each(&|s| s.cost),
            subsets: (0..pair.counts.len()).map(subsets).collect(),
        }
    };
    Ok(kinds.enumerate().map(table).collect())
}

/// What an example scores: by table and count.
type Row = Vec<Vec<Scored>>;

#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f64,
    cost: f64,
    subsets: u32,
    exact: bool,
}

struct Scorer<'a> {
    stage: &'a CompiledStage,
    cost_model: CostModel,
    loaded: &'a Loaded,
    ran: &'a HashMap<String, Ran>,
    seed: u64,
}

impl Scorer<'_> {
    fn row(&self, pairs: &[Pair], example: &Example, cells: &[Cell]) -> Result<Row, EngineError> {
        let mut row = Vec::new();
        let mut known = HashMap::new();
        for (pair, cell) in pairs.iter().zip(cells) {
            for &aggregator in &pair.aggregators {
                let run = |n: u32| cell.runs.iter().find(|r| r.aggregator == aggregator && r.samples == n);
                let mut column = Vec::with_capacity(pair.counts.len());
                for &n in &pair.counts {
                    column.push(match (run(n), &cell.samples) {
                        (Some(run), _) => Scored { score: run.score, cost: run.cost, subsets: 1, exact: false },
                        (None, Some(samples)) => self.subsets(pair, aggregator, samples, example, n, &mut known)?,
                        (None, None) => {
                            return Err(EngineError::Internal("a cell has neither samples nor runs".into()));
                        }
                    });
                }
                row.push(column);
            }
        }
        Ok(row)
    }

    fn subsets(
        &self,
        pair: &Pair,
        aggregator: Aggregator,
        samples: &Samples,
        example: &Example,
        n: u32,
        known: &mut HashMap<String, f64>,
    ) -> Result<Scored, EngineError> {
        let all = &samples.parsed;
        let mut score = |subset: &[usize]| -> Result<f64, EngineError> {
            let chosen: Vec<_> = subset.iter().map(|&i| all[i].clone()).collect();
            let ran = |parsed: &Result<Value, _>| self.ran.get(&parsed.as_ref().ok()?.to_string()).cloned();
            let ran: Vec<Option<Ran>> = chosen.iter().map(ran).collect();
            match aggregate(aggregator, &chosen, &ran) {
                Ok(aggregate) => self.score(&aggregate.output, example, known),
                Err(_) => Ok(0.0),
            }
        };
        // Samples that are all alike give the same whatever is taken of them.
        let alike = all.windows(2).all(|w| w[0] == w[1]);
        let most = if alike { 1 } else { MOST };
        let seed = mix(self.seed ^ u64::from(example.line) << 20 ^ (pair.model as u64) << 12 ^ u64::from(n));
        let mean = subset_mean(all.len(), n as usize, most, seed, &mut score)?
            .ok_or_else(|| EngineError::Internal("more samples were asked for than drawn".into()))?;
        let spec = self.model(&pair.name)?;
        let tokens = call_tokens(samples.taken.iter().copied().take(n as usize));
        let cost = self
            .cost_model
            .call(spec, &tokens)
            .map_err(|e| EngineError::input(e.to_string(), "add it to the model's table"))?;
        Ok(Scored {
            score: mean.mean,
            cost: self.cost_model.units(cost),
            subsets: mean.subsets,
            exact: mean.exact || alike,
        })
    }

    fn model(&self, name: &str) -> Result<&ModelSpec, EngineError> {
        let lacking = || EngineError::Internal(format!("the pipeline has no model {name:?}"));
        self.loaded.pipeline.model(name).ok_or_else(lacking)
    }

    fn score(&self, output: &Value, example: &Example, known: &mut HashMap<String, f64>) -> Result<f64, EngineError> {
        let key = output.to_string();
        if let Some(score) = known.get(&key) {
            return Ok(*score);
        }
        let seen = Seen { passed: self.ran.get(&key).map(|ran| ran.passed), ..Seen::default() };
        let scored = self.stage.score(output, example, &seen).transpose();
        let score = scored
            .map_err(|e| EngineError::input(e.to_string(), "mend the example, or name another gold field"))?
            .unwrap_or(0.0);
        known.insert(key, score);
        Ok(score)
    }
}
