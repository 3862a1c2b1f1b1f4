//! How much a plan may cost.

use agenttts_core::{Cost, Problem, Problems, SpaceError};
use agenttts_engine::Loaded;

use super::{Builder, Setting, Study, best, named};
use crate::environment::Arena;
use crate::source::Source;
use crate::tape;

/// Names of three budgets, from the lowest on.
const NAMES: [&str; 3] = ["low", "medium", "high"];

/// Where no budget limits.
const ANY: Cost = Cost(i128::MAX / 4);

impl Study {
    /// What methods find under plan budgets that let in these shares of all plans. A share of .25 is the least budget that
    /// a quarter of the landscape's plans are within; recommendations are judged by the best plan within the same budget.
    /// The middle one is what the others are compared with.
    ///
    /// # Errors
    /// No shares, a share outside 0 to 1, a share twice, and what [`open`](crate::open) refuses.
    pub fn budgets(landscapes: &[String], shares: &[f64]) -> Result<Study, Problems> {
        let mut shares = shares.to_vec();
        shares.sort_by(f64::total_cmp);
        let within = shares.iter().all(|s| *s > 0.0 && *s <= 1.0);
        if !within || shares.is_empty() || shares.windows(2).any(|w| w[0] == w[1]) {
            let problem =
                Problem::new("the shares of plans within the budgets are not different numbers above 0, up to 1");
            return Err(problem.hint("such as --shares 0.25,0.5,0.75").into());
        }
        let label = |(i, share): (usize, &f64)| match shares.len() {
            3 => NAMES[i].to_owned(),
            _ => format!("{share}"),
        };
        let settings = shares.iter().enumerate().map(|s| Setting { label: label(s), without: None }).collect();
        let mut builder = Builder::new("budgets", "Plan budgets", settings, shares.len() / 2);
        for (name, source) in named(landscapes)? {
            let mut arenas = Vec::new();
            for &share in &shares {
                let arena = budgeted(&source, share)?;
                let about = about(&arena);
                arenas.push((arena, about));
            }
            builder.add(name, arenas);
        }
        builder.done()
    }
}

/// What the budget of an arena is, in words.
pub(super) fn about(arena: &Arena) -> String {
    let space = arena.environment.space();
    let (model, budget) = (space.cost_model(), space.budget());
    let unit = if model.display(budget).contains(' ') { "" } else { " units" };
    format!(
        "at most {}{unit}, {} of {} plans; the best: {}",
        model.display(budget),
        space.feasible(),
        space.size(),
        best(arena)
    )
}

/// The source under the least budget that lets in this share of its plans.
pub(super) fn budgeted(source: &Source, share: f64) -> Result<Arena, Problems> {
    match source {
        Source::Table(origin, table) => {
            let mut table = table.clone();
            let mut costs: Vec<f64> = table.rows.iter().map(|r| r.cost).collect();
            costs.sort_by(f64::total_cmp);
            table.budget = costs.get(place(costs.len(), share)).copied().unwrap_or(table.budget);
            Source::Table(origin.clone(), table).arena()
        }
        Source::Tape(path, tape) => {
            let loaded = tape.load().map_err(|problems| tape::at(path, problems))?;
            let loaded = limited(loaded, share).map_err(|p| tape::at(path, p.into()))?;
            tape::arena_under(tape, loaded).map_err(|problems| tape::at(path, problems))
        }
    }
}

/// The pipeline under the least budget, by its cost model, that lets in this share of its plans.
pub(super) fn limited(mut loaded: Loaded, share: f64) -> Result<Loaded, Problem> {
    let refused = |e: SpaceError| Problem::new(e.to_string());
    let all = loaded.pipeline.space_under(loaded.pipeline.cost_model, ANY).map_err(refused)?;
    let mut costs: Vec<Cost> = all.feasible_indices().filter_map(|options| all.cost(&options)).collect();
    costs.sort_unstable();
    loaded.pipeline.plan_budget = costs.get(place(costs.len(), share)).copied().unwrap_or(ANY);
    loaded.space = all.with_budget(loaded.pipeline.plan_budget).map_err(refused)?;
    Ok(loaded)
}

/// The place in ascending costs up to which a share of them is.
fn place(n: usize, share: f64) -> usize {
    ((n as f64 * share).ceil() as usize).clamp(1, n.max(1)) - 1
}
