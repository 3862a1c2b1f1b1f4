//! Which plans a tape holds: the whole grid, whatever it costs, and what a confirmation runs besides.

use std::collections::HashSet;

use agenttts_core::{Plan, Space, Temperature};

use crate::error::EngineError;

/// The most plans that a tape is recorded for.
pub const MOST_RECORDED: u128 = 20_000;

/// All plans of the space, those above its budget included, and the baselines of a confirmation. Those with the most
/// samples come first: their draws hold those of the others, and one call for many is cheaper than many for one.
pub(super) fn plans(space: &Space) -> Result<Vec<Plan>, EngineError> {
    let options: u128 = space.stages().iter().map(|s| s.options.len() as u128).product();
    if options > MOST_RECORDED {
        return Err(EngineError::input(
            format!("a tape of this pipeline would hold {options} plans; {MOST_RECORDED} is the most"),
            "list fewer samples in the stages, such as [1, 2, 4, 8, 16], or fewer temperatures and aggregators",
        ));
    }
    let mut plans = vec![Plan { choices: Vec::new() }];
    for stage in space.stages() {
        let mut longer = Vec::with_capacity(plans.len() * stage.options.len());
        for plan in &plans {
            longer.extend(stage.options.iter().map(|option| {
                let mut plan = plan.clone();
                plan.choices.push(option.choice.clone());
                plan
            }));
        }
        plans = longer;
    }
    for plan in [space.largest_once(), space.smallest_once()] {
        let mut greedy = plan.clone();
        greedy.choices.iter_mut().for_each(|c| c.temperature = Temperature::GREEDY);
        plans.extend([plan, greedy]);
    }
    let mut seen = HashSet::new();
    plans.retain(|plan| seen.insert(plan.clone()));
    let samples = |plan: &Plan| plan.choices.iter().map(|c| std::cmp::Reverse(c.samples)).collect::<Vec<_>>();
    plans.sort_by_cached_key(samples);
    Ok(plans)
}
