//! The space of all plans of a pipeline, with their nominal costs, counted and searched exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cost::{CallTokens, Cost, CostModel, MissingFact};
use crate::model::ModelSpec;
use crate::plan::{Aggregator, Choice, Plan};
use crate::request::Temperature;
use crate::runs::Runs;

/// What the space needs to know of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpace {
    /// The stage's name.
    pub name: String,
    /// Candidate models.
    pub models: Vec<ModelSpec>,
    /// Permitted sample counts, ascending, each at least 1.
    pub samples: Vec<u32>,
    /// Aggregators to choose among; the first is the default.
    pub aggregators: Vec<Aggregator>,
    /// Temperatures to choose among; the first is the default.
    pub temperatures: Vec<Temperature>,
    /// How often it is expected to run per example.
    pub runs: Runs,
    /// Expected prompt tokens of one run.
    pub prompt_tokens: u64,
    /// Expected tokens decoded by one sample.
    pub decode_tokens: u64,
    /// The judge of `best-of-n`, where the stage has one.
    pub judge: Option<ModelSpec>,
    /// Expected tokens decoded by a judge's or fusion's call, where they differ from a sample's.
    pub fusion_decode_tokens: Option<u64>,
}

/// The most tokens that a judge's reply needs: a number, and a word or two that small models cannot help.
pub const JUDGE_MAX_TOKENS: u32 = 8;

/// One option of a stage: a choice and what it is expected to cost.
#[derive(Clone, Debug, PartialEq)]
pub struct StageOption {
    /// The choice.
    pub choice: Choice,
    /// Its nominal cost.
    pub cost: Cost,
    /// The index of its model in the stage's pool.
    pub model: usize,
}

/// A stage with all its options priced.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedStage {
    /// What the stage offers.
    pub stage: StageSpace,
    /// All distinct choices: by model, then temperature, aggregator and samples.
    pub options: Vec<StageOption>,
    /// Indices of the pool's models, cheapest sample first (fewest parameters among equals). "Smallest" and "largest"
    /// mean by this order.
    pub by_size: Vec<usize>,
    /// Cost of the default single sample of each model of the pool.
    pub single: Vec<Cost>,
}

/// All plans of a pipeline under one cost model and plan budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    cost_model: CostModel,
    budget: Cost,
    stages: Vec<PricedStage>,
    /// Where plans and costs are listed one by one: every plan's option indices and cost.
    table: Option<Arc<BTreeMap<Vec<usize>, Cost>>>,
}

/// Why there is no space to search.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// A model lacks a fact that the cost model needs.
    #[error(transparent)]
    MissingFact(#[from] MissingFact),
    /// No plan fits.
    #[error("no plan fits the budget {budget}: the cheapest costs {cheapest} ({plan})")]
    Infeasible {
        /// The budget.
        budget: String,
        /// What the cheapest plan costs.
        cheapest: String,
        /// The cheapest plan.
        plan: Plan,
    },
    /// There are no stages, or a stage has no options.
    #[error("stage {0:?} has no options")]
    Empty(String),
}

impl Space {
    /// Prices every option of every stage. Errors where a model lacks a fact that the cost model needs, or where not
    /// even the cheapest plan fits the budget.
    pub fn new(stages: Vec<StageSpace>, cost_model: CostModel, budget: Cost) -> Result<Self, SpaceError> {
        let stages = stages.into_iter().map(|s| price_stage(s, cost_model)).collect::<Result<Vec<_>, _>>()?;
        if stages.is_empty() {
            return Err(SpaceError::Empty("(none)".into()));
        }
        Space { cost_model, budget, stages, table: None }.checked()
    }

    /// The same space under another budget.
    pub fn with_budget(&self, budget: Cost) -> Result<Self, SpaceError> {
        Space { budget, ..self.clone() }.checked()
    }

    /// The space of the listed plans only, given as option indices, each at its listed cost: for tables of measured
    /// plans, which need not hold every combination and whose costs need not add up over the stages.
    pub fn with_table(self, table: BTreeMap<Vec<usize>, Cost>) -> Result<Self, SpaceError> {
        if table.is_empty() {
            return Err(SpaceError::Empty("(no plans are listed)".into()));
        }
        Space { table: Some(Arc::new(table)), ..self }.checked()
    }

    fn checked(self) -> Result<Self, SpaceError> {
        let cheapest = self.cheapest();
        let cost = self.cost_of(&cheapest).unwrap_or(Cost::ZERO);
        if cost > self.budget {
            return Err(SpaceError::Infeasible {
                budget: self.cost_model.display(self.budget),
                cheapest: self.cost_model.display(cost),
                plan: cheapest,
            });
        }
        Ok(self)
    }

    /// The cost model.
    pub fn cost_model(&self) -> CostModel {
        self.cost_model
    }

    /// The plan budget.
    pub fn budget(&self) -> Cost {
        self.budget
    }

    /// The stages with their options.
    pub fn stages(&self) -> &[PricedStage] {
        &self.stages
    }

    /// Whether plans and their costs are listed one by one, so that costs need not add up over the stages.
    pub fn is_listed(&self) -> bool {
        self.table.is_some()
    }

    /// The number of plans, whatever they cost.
    pub fn size(&self) -> u128 {
        if let Some(table) = &self.table {
            return table.len() as u128;
        }
        self.stages.iter().map(|s| s.options.len() as u128).product()
    }

    /// The number of plans whose nominal cost is within the budget.
    pub fn feasible(&self) -> u128 {
        self.count_within(self.budget)
    }

    /// The number of plans whose nominal cost is at most `budget`, counted exactly.
    ///
    /// Two sorted halves of the stages are walked with two pointers, so a space of millions of plans takes
    /// milliseconds.
    pub fn count_within(&self, budget: Cost) -> u128 {
        if let Some(table) = &self.table {
            return table.values().filter(|&&c| c <= budget).count() as u128;
        }
        let costs: Vec<Vec<Cost>> = self.stages.iter().map(|s| s.options.iter().map(|o| o.cost).collect()).collect();
        let (left, right) = costs.split_at(costs.len() / 2);
        let (mut left, mut right) = (sums(left), sums(right));
        left.sort_unstable();
        right.sort_unstable();
        let mut fitting = right.len();
        let mut count = 0u128;
        for l in left {
            while fitting > 0 && l + right[fitting - 1] > budget {
                fitting -= 1;
            }
            count += fitting as u128;
        }
        count
    }

    /// The plan within the budget whose nominal cost is highest, found exactly, in the way of
    /// [`Space::count_within`]; `None` if no plan is within the budget.
    pub fn dearest(&self) -> Option<Plan> {
        if let Some(table) = &self.table {
            let fitting = table.iter().filter(|(_, c)| **c <= self.budget);
            return fitting.max_by_key(|(_, c)| **c).map(|(options, _)| self.plan(options));
        }
        let (left, right) = self.stages.split_at(self.stages.len() / 2);
        let (mut left, mut right) = (partial_plans(left), partial_plans(right));
        left.sort();
        right.sort();
        let mut fitting = right.len();
        let mut best: Option<(Cost, usize, usize)> = None;
        for (i, (l, _)) in left.iter().enumerate() {
            while fitting > 0 && *l + right[fitting - 1].0 > self.budget {
                fitting -= 1;
            }
            let Some(r) = fitting.checked_sub(1) else { break };
            let cost = *l + right[r].0;
            if best.is_none_or(|(most, ..)| cost > most) {
                best = Some((cost, i, r));
            }
        }
        let (_, l, r) = best?;
        let (left_count, mut options) = (self.stages.len() / 2, Vec::with_capacity(self.stages.len()));
        let halves = [(&self.stages[..left_count], left[l].1), (&self.stages[left_count..], right[r].1)];
        for (stages, mut number) in halves {
            let mut half: Vec<usize> = Vec::new();
            for stage in stages.iter().rev() {
                half.push((number % stage.options.len() as u64) as usize);
                number /= stage.options.len() as u64;
            }
            options.extend(half.into_iter().rev());
        }
        Some(self.plan(&options))
    }

    /// The nominal cost of a plan of this space; `None` for any other plan.
    pub fn cost_of(&self, plan: &Plan) -> Option<Cost> {
        self.cost(&self.indices(plan)?)
    }

    /// The nominal cost of a plan given as option indices; `None` if it is not of this space.
    pub fn cost(&self, options: &[usize]) -> Option<Cost> {
        if let Some(table) = &self.table {
            return table.get(options).copied();
        }
        if options.len() != self.stages.len() {
            return None;
        }
        options.iter().zip(&self.stages).map(|(&o, s)| Some(s.options.get(o)?.cost)).sum()
    }

    /// Whether the plan given as option indices is of this space and within the budget.
    pub fn fits(&self, options: &[usize]) -> bool {
        self.cost(options).is_some_and(|c| c <= self.budget)
    }

    /// Whether the plan is one of this space and within the budget.
    pub fn is_feasible(&self, plan: &Plan) -> bool {
        self.cost_of(plan).is_some_and(|c| c <= self.budget)
    }

    /// The plan of the given option of every stage.
    pub fn plan(&self, options: &[usize]) -> Plan {
        Plan { choices: options.iter().zip(&self.stages).map(|(&o, s)| s.options[o].choice.clone()).collect() }
    }

    /// The option indices of a plan of this space.
    pub fn indices(&self, plan: &Plan) -> Option<Vec<usize>> {
        if plan.choices.len() != self.stages.len() {
            return None;
        }
        plan.choices.iter().zip(&self.stages).map(|(c, s)| s.options.iter().position(|o| &o.choice == c)).collect()
    }

    /// The plan that costs least.
    pub fn cheapest(&self) -> Plan {
        if let Some((options, _)) = self.table.iter().flat_map(|t| t.iter()).min_by_key(|(_, c)| **c) {
            return self.plan(options);
        }
        let options: Vec<usize> = self
            .stages
            .iter()
            .map(|s| (0..s.options.len()).min_by_key(|&i| (s.options[i].cost, i)).unwrap_or(0))
            .collect();
        self.plan(&options)
    }

    /// The largest model of every stage, one sample, default temperature: the usual plan, whether or not it fits.
    pub fn largest_once(&self) -> Plan {
        Plan { choices: self.stages.iter().filter_map(|s| s.single(*s.by_size.last()?)).cloned().collect() }
    }

    /// The smallest model of every stage, one sample, default temperature.
    pub fn smallest_once(&self) -> Plan {
        Plan { choices: self.stages.iter().filter_map(|s| s.single(*s.by_size.first()?)).cloned().collect() }
    }

    /// The plan of this space nearest to `wanted` that is within the budget, and what was changed in words; an empty
    /// list means that `wanted` was kept.
    ///
    /// Unknown models become the stage's default model nearest in name, samples go to the nearest permitted count, and
    /// while the plan is over budget the most expensive stage loses samples; when that does not suffice, model size.
    pub fn repair(&self, wanted: &[WantedChoice]) -> (Plan, Vec<String>) {
        crate::repair::repair(self, wanted)
    }

    /// Every feasible plan as option indices, in lexicographic order of options.
    pub fn feasible_indices(&self) -> Box<dyn Iterator<Item = Vec<usize>> + '_> {
        if let Some(table) = &self.table {
            return Box::new(table.iter().filter(|(_, c)| **c <= self.budget).map(|(options, _)| options.clone()));
        }
        // The least that the stages from i on can cost prunes whole subtrees.
        let mut floor = vec![Cost::ZERO; self.stages.len() + 1];
        for (i, stage) in self.stages.iter().enumerate().rev() {
            floor[i] = floor[i + 1] + stage.options.iter().map(|o| o.cost).min().unwrap_or(Cost::ZERO);
        }
        Box::new(FeasiblePlans { space: self, floor, next: Some(vec![0; self.stages.len()]) })
    }
}

/// A choice as someone asked for it, perhaps wrongly.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedChoice {
    /// A model name.
    pub model: String,
    /// A number of samples, perhaps out of range.
    pub samples: f64,
    /// An aggregator, the stage's default where absent.
    pub aggregator: Option<Aggregator>,
    /// A temperature, the stage's default where absent.
    pub temperature: Option<f64>,
}

impl StageSpace {
    /// The calls that a choice is expected to make in one run: its samples after one shared prompt, and the call that fuses or
    /// judges them, whose prompt holds them all, with the model that reads it.
    pub fn planned_calls<'a>(
        &'a self,
        model: &'a ModelSpec,
        samples: u32,
        aggregator: Aggregator,
    ) -> (CallTokens, Option<(&'a ModelSpec, CallTokens)>) {
        let sampling = CallTokens::planned(self.prompt_tokens, self.decode_tokens, samples);
        let combining = (samples > 1 && aggregator.calls_model()).then(|| {
            let prompt = self.prompt_tokens + u64::from(samples) * self.decode_tokens;
            let (reader, decode) = match aggregator {
                Aggregator::Judge => (self.judge.as_ref().unwrap_or(model), u64::from(JUDGE_MAX_TOKENS)),
                _ => (model, self.fusion_decode_tokens.unwrap_or(self.decode_tokens)),
            };
            (reader, CallTokens::planned(prompt, decode, 1))
        });
        (sampling, combining)
    }
}

impl PricedStage {
    /// The option of exactly this choice.
    pub fn option(&self, choice: &Choice) -> Option<&StageOption> {
        self.options.iter().find(|o| &o.choice == choice)
    }

    /// One sample of the pool's model `model`, with the stage's defaults.
    pub fn single(&self, model: usize) -> Option<&Choice> {
        self.default_option(model, 1)
    }

    /// `samples` samples of the pool's model `model` with the stage's default aggregator and temperature; where the
    /// stage does not permit that count, the largest permitted one below it, or else its smallest.
    pub fn default_option(&self, model: usize, samples: u32) -> Option<&Choice> {
        let temperature = *self.stage.temperatures.first()?;
        let mine = |o: &&StageOption| {
            o.model == model
                && o.choice.temperature == temperature
                && (o.choice.samples == 1 || Some(&o.choice.aggregator) == self.stage.aggregators.first())
        };
        let below = self.options.iter().filter(mine).filter(|o| o.choice.samples <= samples);
        below
            .max_by_key(|o| o.choice.samples)
            .or_else(|| self.options.iter().filter(mine).min_by_key(|o| o.choice.samples))
            .map(|o| &o.choice)
    }

    /// The name of the pool's model `model`.
    pub fn model_name(&self, model: usize) -> &str {
        &self.stage.models[model].name
    }
}

fn price_stage(stage: StageSpace, cost_model: CostModel) -> Result<PricedStage, SpaceError> {
    if stage.models.is_empty()
        || stage.samples.is_empty()
        || stage.aggregators.is_empty()
        || stage.temperatures.is_empty()
    {
        return Err(SpaceError::Empty(stage.name));
    }
    let mut options = Vec::new();
    let mut single = Vec::new();
    for (index, model) in stage.models.iter().enumerate() {
        single.push(option_cost(&stage, model, 1, Aggregator::First, cost_model)?);
        for &temperature in &stage.temperatures {
            for (rank, &aggregator) in stage.aggregators.iter().enumerate() {
                for &samples in &stage.samples {
                    // One sample is its own aggregate, and greedy samples are all alike: keep one option for each.
                    if (samples == 1 && rank > 0) || (temperature.is_greedy() && samples != stage.samples[0]) {
                        continue;
                    }
                    let cost = option_cost(&stage, model, samples, aggregator, cost_model)?;
                    let choice = Choice { model: model.name.clone(), samples, aggregator, temperature };
                    options.push(StageOption { choice, cost, model: index });
                }
            }
        }
    }
    let mut by_size: Vec<usize> = (0..stage.models.len()).collect();
    by_size.sort_by_key(|&m| (single[m], stage.models[m].params, m));
    Ok(PricedStage { stage, options, by_size, single })
}

/// The nominal cost of a stage: its samples and, in all cost models but the paper's, the call that combines them, as often
/// as it is expected to run. Items run side by side, so they take the time of one.
fn option_cost(
    stage: &StageSpace,
    model: &ModelSpec,
    samples: u32,
    aggregator: Aggregator,
    cost_model: CostModel,
) -> Result<Cost, MissingFact> {
    let (sampling, combining) = stage.planned_calls(model, samples, aggregator);
    let mut cost = cost_model.call(model, &sampling)?;
    if let Some((reader, call)) = combining.filter(|_| cost_model != CostModel::PaperFlops) {
        cost += cost_model.call(reader, &call)?;
    }
    let runs = if cost_model == CostModel::Seconds { stage.runs.side_by_side() } else { stage.runs };
    Ok(runs.of(cost))
}

/// All sums of one cost from each list.
fn sums(lists: &[Vec<Cost>]) -> Vec<Cost> {
    lists
        .iter()
        .fold(vec![Cost::ZERO], |totals, list| totals.iter().flat_map(|&t| list.iter().map(move |&c| t + c)).collect())
}

/// All choices of options for these stages: their cost, and their number, in which the last stage counts fastest.
fn partial_plans(stages: &[PricedStage]) -> Vec<(Cost, u64)> {
    stages.iter().fold(vec![(Cost::ZERO, 0)], |all, stage| {
        let count = stage.options.len() as u64;
        let extend = |(cost, number): (Cost, u64)| {
            stage.options.iter().enumerate().map(move |(i, o)| (cost + o.cost, number * count + i as u64))
        };
        all.into_iter().flat_map(extend).collect()
    })
}

struct FeasiblePlans<'a> {
    space: &'a Space,
    floor: Vec<Cost>,
    next: Option<Vec<usize>>,
}

impl FeasiblePlans<'_> {
    /// The smallest index vector from `current` on that is within the budget.
    fn settle(&self, mut current: Vec<usize>) -> Option<Vec<usize>> {
        let stages = &self.space.stages;
        let mut depth = 0;
        let mut spent = vec![Cost::ZERO; stages.len() + 1];
        while depth < stages.len() {
            if current[depth] >= stages[depth].options.len() {
                // Carry into the stage before.
                if depth == 0 {
                    return None;
                }
                current[depth..].fill(0);
                depth -= 1;
                current[depth] += 1;
                continue;
            }
            let cost = spent[depth] + stages[depth].options[current[depth]].cost;
            if cost + self.floor[depth + 1] <= self.space.budget {
                spent[depth + 1] = cost;
                depth += 1;
            } else {
                current[depth] += 1;
                current[depth + 1..].fill(0);
            }
        }
        Some(current)
    }
}

impl Iterator for FeasiblePlans<'_> {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let start = self.next.take()?;
        let found = self.settle(start)?;
        let mut after = found.clone();
        if let Some(last) = after.last_mut() {
            *last += 1;
        }
        self.next = Some(after);
        Some(found)
    }
}
