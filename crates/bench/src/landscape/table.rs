//! A landscape as plain data: every plan's true score and cost.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::{
    Aggregator, Choice, Cost, CostModel, ModelSpec, Plan, Price, Space, SpaceError, Speed, StageSpace, Temperature,
};

/// A table of plans. What is not listed is not in the space.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The name in tables and results.
    pub name: String,
    /// What it is, in words.
    pub note: String,
    /// The plan budget, in units of the cost model.
    pub budget: f64,
    /// The unit of costs; for a unit that is none of ours, dollars, whose numbers are kept to the last digit.
    pub cost_model: CostModel,
    /// Examples of a usual trial.
    pub noise_examples: u32,
    /// The stages.
    pub stages: Vec<TableStage>,
    /// The plans.
    pub rows: Vec<TableRow>,
}

/// A stage of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableStage {
    /// Its name.
    pub name: String,
    /// Prompt tokens of a sample, where known.
    pub prompt_tokens: Option<u64>,
    /// Tokens decoded by a sample, where known.
    pub decode_tokens: Option<u64>,
    /// Its models.
    pub models: Vec<TableModel>,
}

/// A model of a table's stage.
#[derive(Clone, Debug, PartialEq)]
pub struct TableModel {
    /// Its name.
    pub name: String,
    /// Billions of parameters, where known.
    pub params_b: Option<f64>,
}

/// A plan of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// Of every stage: which of its models, and how many samples.
    pub choices: Vec<(usize, u32)>,
    /// The true score, 0 to 1.
    pub score: f64,
    /// The cost in units of the table's cost model.
    pub cost: f64,
}

impl Table {
    /// The space of the listed plans at their listed costs, and the plan of every row.
    ///
    /// The costs of a stage's options only order its models by size: they follow from parameters and lengths where the
    /// table has them, and otherwise from the mean cost of the plans that use the option.
    ///
    /// # Errors
    /// No rows, or not one within the budget.
    pub(crate) fn space(&self) -> Result<(Space, Vec<Plan>), SpaceError> {
        let follows: Vec<bool> = (0..self.stages.len()).map(|s| self.samples_follow(s)).collect();
        let stages: Vec<StageSpace> = (0..self.stages.len()).map(|s| self.stage(s, follows[s])).collect();
        let temperature = temperature();
        let plans: Vec<Plan> = self
            .rows
            .iter()
            .map(|row| {
                let choice = |(s, &(model, samples)): (usize, &(usize, u32))| Choice {
                    model: self.stages[s].models[model].name.clone(),
                    samples: if follows[s] { 1 } else { samples },
                    aggregator: stages[s].aggregators[0],
                    temperature,
                };
                Plan { choices: row.choices.iter().enumerate().map(choice).collect() }
            })
            .collect();
        let space = Space::new(stages, self.cost_model, Cost(i128::MAX / 4))?;
        let amount = |units: f64| self.cost_model.amount(units).unwrap_or(Cost(i128::MAX / 4));
        let budget = amount(self.budget);
        // Rounding to whole tokens or the like must move no plan across the budget.
        let listed_cost = |units: f64| match units <= self.budget {
            true => amount(units).min(budget),
            false => amount(units).max(budget + Cost(1)),
        };
        let listed: BTreeMap<Vec<usize>, Cost> = plans
            .iter()
            .zip(&self.rows)
            .filter_map(|(plan, row)| Some((space.indices(plan)?, listed_cost(row.cost))))
            .collect();
        Ok((space.with_table(listed)?.with_budget(budget)?, plans))
    }

    /// Whether a stage's number of samples follows from its model and differs between models: the pair is one option
    /// then, drawn once.
    fn samples_follow(&self, stage: usize) -> bool {
        let pairs: BTreeSet<(usize, u32)> = self.rows.iter().map(|r| r.choices[stage]).collect();
        let models: BTreeSet<usize> = pairs.iter().map(|p| p.0).collect();
        let counts: BTreeSet<u32> = pairs.iter().map(|p| p.1).collect();
        pairs.len() == models.len() && counts.len() > 1
    }

    fn stage(&self, index: usize, follows: bool) -> StageSpace {
        let stage = &self.stages[index];
        let used: BTreeSet<usize> = self.rows.iter().map(|r| r.choices[index].0).collect();
        let counts: BTreeSet<u32> = self.rows.iter().map(|r| r.choices[index].1).collect();
        let models: Vec<&TableModel> = used.iter().map(|&m| &stage.models[m]).collect();
        let by_params = matches!(self.cost_model, CostModel::PaperFlops | CostModel::Flops);
        let known = models.iter().all(|m| m.params_b.is_some());
        let (aggregator, prompt_tokens, decode_tokens, specs);
        match (stage.prompt_tokens, stage.decode_tokens) {
            (Some(prompt), Some(decode)) if by_params && known => {
                (aggregator, prompt_tokens, decode_tokens) = (Aggregator::Fuse, prompt, decode);
                specs = models
                    .iter()
                    .map(|m| ModelSpec { params: m.params_b.map(params), ..model_spec(&m.name) })
                    .collect();
            }
            _ => {
                // A vote calls no model, so that nothing is added to the fitted costs.
                (aggregator, prompt_tokens, decode_tokens) = (Aggregator::Vote, 1, 1);
                let lines: Vec<(usize, Line)> = used.iter().map(|&m| (m, self.line(index, m, follows))).collect();
                let mut priced: Vec<(f64, ModelSpec)> = lines
                    .into_iter()
                    .map(|(m, line)| (line.fixed + line.each, self.fitted(&stage.models[m], line)))
                    .collect();
                if self.cost_model == CostModel::Tokens {
                    // Tokens do not depend on the model: equals are ordered by their place in the pool.
                    priced.sort_by(|a, b| a.0.total_cmp(&b.0));
                }
                specs = priced.into_iter().map(|(_, spec)| spec).collect();
            }
        }
        StageSpace {
            name: stage.name.clone(),
            models: specs,
            samples: if follows { vec![1] } else { counts.into_iter().collect() },
            aggregators: vec![aggregator],
            temperatures: vec![temperature()],
            runs: agenttts_core::Runs::ONCE,
            prompt_tokens,
            decode_tokens,
            judge: None,
            fusion_decode_tokens: None,
        }
    }

    /// The straight line through the mean costs of the plans that use the model with 1, 2, ... samples, without the
    /// share of the other stages.
    fn line(&self, stage: usize, model: usize, follows: bool) -> Line {
        let mean = self.rows.iter().map(|r| r.cost).sum::<f64>() / self.rows.len() as f64;
        let mut costs: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for row in self.rows.iter().filter(|r| r.choices[stage].0 == model) {
            let entry = costs.entry(if follows { 1 } else { row.choices[stage].1 }).or_default();
            *entry = (entry.0 + row.cost, entry.1 + 1.0);
        }
        let share = mean / self.stages.len() as f64 - mean;
        let points: Vec<(f64, f64)> =
            costs.into_iter().map(|(n, (sum, count))| (f64::from(n), sum / count + share)).collect();
        let k = points.len() as f64;
        let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / k, points.iter().map(|p| p.1).sum::<f64>() / k);
        let spread: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
        let least = (mean.abs() * 1e-6).max(1e-9);
        let each =
            if spread > 0.0 { points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / spread } else { my / mx };
        let each = each.max(least);
        Line { fixed: (my - each * mx).max(0.0), each }
    }

    /// A model with the facts that give it the line's costs where a prompt and a sample have one token each.
    fn fitted(&self, model: &TableModel, line: Line) -> ModelSpec {
        let mut spec = ModelSpec { params: model.params_b.map(params), ..model_spec(&model.name) };
        match self.cost_model {
            CostModel::Usd | CostModel::UsdBatch => {
                let prompt = (line.fixed * 1e12) as u64;
                let decode = (line.each * 1e12) as u64;
                spec.price = Some(Price { prompt, cached_prompt: prompt, decode, batch: Some(1000) });
            }
            CostModel::Seconds => {
                spec.speed =
                    Some(Speed { prompt: 1.0 / line.fixed.max(1e-6), decode: 1.0 / line.each.max(1e-6), parallel: 1 });
            }
            // Both cost a model's parameters times its tokens, so the line's slope is what tells models apart.
            CostModel::PaperFlops => spec.params = Some((line.each * 192e9) as u64),
            CostModel::Flops => spec.params = Some((line.each * 0.5e9) as u64),
            CostModel::Tokens => {}
        }
        spec
    }
}

/// What an option costs: `fixed` and `each` sample, in units.
#[derive(Clone, Copy)]
struct Line {
    fixed: f64,
    each: f64,
}

fn params(billions: f64) -> u64 {
    (billions * 1e9).round() as u64
}

/// Tables do not say: the paper's.
fn temperature() -> Temperature {
    Temperature::new(0.9).unwrap_or(Temperature::GREEDY)
}

/// A model of which nothing is known but its name.
pub(crate) fn model_spec(name: &str) -> ModelSpec {
    ModelSpec::named(name, "table", name)
}
