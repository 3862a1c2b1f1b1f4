//! What a search must leave of its budget, so that its result can be confirmed.

use agenttts_core::{Archive, Cost, Plan};
use agenttts_store::Amounts;

use crate::budget::{Aside, Budget, amounts};
use crate::load::Loaded;

/// Room for test examples that are longer than search examples.
const MARGIN: f64 = 1.25;

/// Room while nothing is measured and the pipeline's expected lengths are all that is known.
const UNMEASURED: f64 = 1.5;

/// The most plans among which the runner-up is looked for.
const NEAREST: usize = 5;

/// The confirmation's expected spend: the leading plan, the baselines, the runner-up and a cheaper plan once over the test
/// split each, and the greedy baselines over the search split. Measured lengths replace expected ones once there are any.
pub(crate) fn set_aside(loaded: &Loaded, archive: &Archive, budget: &Budget) -> Aside {
    let space = &loaded.space;
    let (test, search) =
        (loaded.pipeline.test_split.examples.len() as f64, loaded.pipeline.search_split.examples.len() as f64);
    let baselines = [space.largest_once(), space.smallest_once()];
    let leader = archive.best();
    let factor = leader.as_ref().map_or(UNMEASURED, |leader| {
        let nominal = query(loaded, leader.plan).tokens as f64;
        if nominal > 0.0 { MARGIN * leader.tokens_per_query() / nominal } else { UNMEASURED }
    });
    let winner = leader.map_or_else(|| space.largest_once(), |leader| leader.plan.clone());
    let mut total = times(query(loaded, &winner), factor * test);
    // Who comes next is decided at the end: as dear as the dearest of those that may. A cheaper plan costs at most what the
    // leading one does.
    let mut near: Vec<_> = archive.plans().into_iter().filter(|p| p.raced_out().is_none()).collect();
    near.sort_by(|a, b| b.objective.mean.total_cmp(&a.objective.mean));
    let costs = near.iter().take(NEAREST).map(|p| query(loaded, p.plan));
    let runner_up = costs.max_by_key(|amounts| amounts.tokens).unwrap_or_else(|| query(loaded, &winner));
    total = total.plus(times(runner_up.plus(query(loaded, &winner)), factor * test));
    for baseline in &baselines {
        // Once over the test split; on the search split greedily, and perhaps at the usual temperature.
        total = total.plus(times(query(loaded, baseline), factor * (test + 2.0 * search)));
    }
    let drawn: u64 = archive.measured().map(|(_, m)| m.drawn.tokens()).sum();
    let seconds = if drawn > 0 { budget.seconds() / drawn as f64 * total.tokens as f64 } else { 0.0 };
    budget.at_most_half(Aside { amounts: total, seconds })
}

/// One query of a plan by expected lengths.
fn query(loaded: &Loaded, plan: &Plan) -> Amounts {
    let stages = plan.choices.iter().zip(loaded.space.stages());
    stages.fold(Amounts::default(), |sum, (choice, priced)| {
        let Some(model) = loaded.pipeline.model(&choice.model) else { return sum };
        let (sampling, combining) = priced.stage.planned_calls(model, choice.samples, choice.aggregator);
        let combining = combining.map_or_else(Amounts::default, |(reader, call)| amounts(reader, &call));
        sum.plus(times(amounts(model, &sampling).plus(combining), priced.stage.runs.as_f64()))
    })
}

fn times(amounts: Amounts, factor: f64) -> Amounts {
    let scaled = |n: u64| (n as f64 * factor).ceil() as u64;
    let cost = |c: Cost| Cost((c.0 as f64 * factor).ceil() as i128);
    Amounts {
        tokens: scaled(amounts.tokens),
        usd: cost(amounts.usd),
        flops: cost(amounts.flops),
        calls: scaled(amounts.calls),
    }
}
