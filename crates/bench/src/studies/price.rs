//! Dollars instead of floating-point operations.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::text::nearest;
use agenttts_core::{Aggregator, CallTokens, Cost, CostModel, ModelSpec, Plan, Price, Problem, Problems};
use agenttts_engine::{Loaded, Tape};

use super::budget::{about, budgeted, limited};
use super::{Builder, Setting, Study, named};
use crate::environment::Arena;
use crate::landscape::{Table, TableModel, TableStage, model_spec};
use crate::source::Source;
use crate::tape;

/// Dollars per million tokens, prompt and decoded alike, for models of up to so many billions of parameters: Llama 3.2 3B,
/// Llama 3.1 8B, Qwen 2.5 32B and Llama 3.1 70B as priced in AgentTTS (arXiv 2508.00890).
pub const DEFAULT_PRICES: [(f64, f64); 4] = [(4.0, 0.06), (10.0, 0.18), (40.0, 0.80), (f64::INFINITY, 0.88)];

/// The unit of costs in a study's two settings.
const MODELS: [CostModel; 2] = [CostModel::PaperFlops, CostModel::Usd];

impl Study {
    /// What methods find when plans are paid in dollars rather than floating-point operations, under budgets that let in
    /// the same share of plans. Costs are computed from the stages' token lengths: for landscapes in the paper's way (one
    /// prompt and the samples, no fusion), for tapes with every call. A model's price is the one given, else the tape's,
    /// else [`DEFAULT_PRICES`]'s. Landscapes that lack what either needs are left out, with the reason.
    ///
    /// # Errors
    /// A share outside 0 to 1, a price for a model that no landscape has, and what [`open`](crate::open) refuses.
    pub fn prices(landscapes: &[String], prices: &[(String, Price)], share: f64) -> Result<Study, Problems> {
        if !(share > 0.0 && share <= 1.0) {
            let problem = Problem::new("the share of plans within the budgets is not above 0 and up to 1");
            return Err(problem.hint("such as --share 0.5").into());
        }
        let prices: BTreeMap<&str, Price> = prices.iter().map(|(name, price)| (name.as_str(), *price)).collect();
        let sources = named(landscapes)?;
        known(&prices, &sources)?;
        let settings = ["flops", "dollars"].map(|label| Setting { label: label.into(), without: None });
        let mut builder = Builder::new("prices", "Dollars instead of FLOPs", settings.into(), 0);
        for (name, source) in sources {
            let arenas = match &source {
                Source::Table(origin, table) => tables(table, &prices).map(|tables| {
                    let arena = |table| budgeted(&Source::Table(origin.clone(), table), share);
                    tables.into_iter().map(arena).collect::<Result<Vec<_>, _>>()
                }),
                Source::Tape(path, tape) => {
                    let under = |model| tape_under(tape, model, &prices, share);
                    let loaded: Result<Vec<_>, Reason> =
                        [flops_of(tape), CostModel::Usd].into_iter().map(under).collect();
                    loaded.map(|loaded| {
                        let arena = |loaded| tape::arena_under(tape, loaded).map_err(|p| tape::at(path, p));
                        loaded.into_iter().map(arena).collect()
                    })
                }
            };
            match arenas {
                Ok(arenas) => builder.add(name, told(arenas?)),
                Err(reason) => builder.leave_out(name, reason),
            }
        }
        builder.done()
    }
}

/// Why a landscape is left out.
type Reason = String;

/// The arenas with their budgets in words, and how many plans are within both.
fn told(arenas: Vec<Arena>) -> Vec<(Arena, String)> {
    let plans: Vec<BTreeSet<_>> = arenas.iter().map(feasible).collect();
    let both = match plans.as_slice() {
        [a, b] => a.intersection(b).count(),
        _ => 0,
    };
    let about = |arena: Arena| {
        let about = format!("{}; {both} plans are within both budgets", about(&arena));
        (arena, about)
    };
    arenas.into_iter().map(about).collect()
}

/// All plans within an arena's budget. Landscapes say nothing of aggregators, which stand for their way to count costs
/// there.
fn feasible(arena: &Arena) -> BTreeSet<Plan> {
    let space = arena.environment.space();
    let plain = |mut plan: Plan| {
        if space.is_listed() {
            plan.choices.iter_mut().for_each(|c| c.aggregator = Aggregator::First);
        }
        plan
    };
    space.feasible_indices().map(|options| plain(space.plan(&options))).collect()
}

/// Refuses prices of models that are in no landscape.
fn known(prices: &BTreeMap<&str, Price>, sources: &[(String, Source)]) -> Result<(), Problems> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (_, source) in sources {
        match source {
            Source::Table(_, table) => {
                names.extend(table.stages.iter().flat_map(|s| &s.models).map(|m| m.name.clone()));
            }
            Source::Tape(_, tape) => names.extend(tape.load()?.pipeline.models.iter().map(|m| m.name.clone())),
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let problem = |name: &&str| {
        let problem = Problem::new(format!("--price names {name:?}, which is in none of the landscapes"));
        match nearest(name, &names) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("models are named as in the landscape's TOML file"),
        }
    };
    let problems: Vec<Problem> = prices.keys().filter(|name| !names.contains(name)).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// The default price of a model with so many billions of parameters.
fn default_price(billions: f64) -> Price {
    let dollars = DEFAULT_PRICES.iter().find(|(most, _)| billions <= *most).map_or(0.0, |(_, dollars)| *dollars);
    // A dollar per million tokens is a million quanta of 1e-12 dollars a token.
    let each = (dollars * 1e6).round() as u64;
    Price { prompt: each, cached_prompt: each, decode: each, batch: None }
}

/// The table with costs in FLOPs and in dollars; its own costs where they are in one of both.
fn tables(table: &Table, prices: &BTreeMap<&str, Price>) -> Result<Vec<Table>, Reason> {
    let own = |model: CostModel| match model {
        CostModel::Usd => table.cost_model.is_dollars(),
        _ => matches!(table.cost_model, CostModel::PaperFlops | CostModel::Flops),
    };
    if !MODELS.iter().any(|m| own(*m)) {
        return Err(format!("its costs are in {}, neither FLOPs nor dollars", table.cost_model.name()));
    }
    MODELS.iter().map(|&model| if own(model) { Ok(table.clone()) } else { recosted(table, model, prices) }).collect()
}

/// The table with its costs computed anew.
fn recosted(table: &Table, model: CostModel, prices: &BTreeMap<&str, Price>) -> Result<Table, Reason> {
    let costs = format!("its costs are in {}; in {}", table.cost_model.name(), model.name());
    let mut specs: Vec<Vec<ModelSpec>> = Vec::new();
    let mut lengths: Vec<(u64, u64)> = Vec::new();
    for stage in &table.stages {
        lengths.push(stage_lengths(stage).ok_or_else(|| {
            format!("{costs} they would need prompt_tokens and decode_tokens, which the stage {:?} lacks", stage.name)
        })?);
        let spec = |m: &TableModel| -> Result<ModelSpec, Reason> {
            let price = prices.get(m.name.as_str()).copied().or_else(|| m.params_b.map(default_price));
            let params = m.params_b.map(|b| (b * 1e9).round() as u64);
            let fact = if model == CostModel::Usd { "params_b or --price" } else { "params_b" };
            let lacks = if model == CostModel::Usd { price.is_none() } else { params.is_none() };
            if lacks {
                return Err(format!("{costs} they would need {fact}, which the model {:?} lacks", m.name));
            }
            Ok(ModelSpec { params, price, ..model_spec(&m.name) })
        };
        specs.push(stage.models.iter().map(spec).collect::<Result<_, _>>()?);
    }
    let mut table = Table { cost_model: model, ..table.clone() };
    for row in &mut table.rows {
        let calls = row.choices.iter().enumerate().map(|(s, &(m, samples))| {
            let (prompt, decode) = lengths[s];
            model.call(&specs[s][m], &CallTokens::planned(prompt, decode, samples)).map_err(|e| e.to_string())
        });
        row.cost = model.units(calls.sum::<Result<Cost, Reason>>()?);
    }
    Ok(table)
}

fn stage_lengths(stage: &TableStage) -> Option<(u64, u64)> {
    stage.prompt_tokens.zip(stage.decode_tokens)
}

/// The tape's own way to count FLOPs.
fn flops_of(tape: &Tape) -> CostModel {
    match tape.load().map(|l| l.pipeline.cost_model) {
        Ok(CostModel::PaperFlops) => CostModel::PaperFlops,
        _ => CostModel::Flops,
    }
}

/// The tape's pipeline under a cost model and the least budget that lets in this share of its plans.
fn tape_under(tape: &Tape, model: CostModel, prices: &BTreeMap<&str, Price>, share: f64) -> Result<Loaded, Reason> {
    let mut loaded = tape.load().map_err(|p| p.to_string())?;
    loaded.pipeline.cost_model = model;
    for spec in &mut loaded.pipeline.models {
        let given = prices.get(spec.name.as_str()).copied().or(spec.price);
        spec.price = given.or_else(|| spec.params.map(|params| default_price(params as f64 / 1e9)));
    }
    limited(loaded, share).map_err(|problem| problem.message)
}
