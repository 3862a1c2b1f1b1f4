//! Seeded randomness: generators per round and uniform draws of feasible plans.

use std::collections::HashSet;

use agenttts_core::{Cost, Plan, Space};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Spaces with at most this many feasible plans are listed rather than sampled.
const LISTED: usize = 20_000;

/// Independent random numbers for each round, and within a round for each use.
pub(crate) fn rng(seed: u64, round: u32, r#use: Use) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((u64::from(round) << 8) | r#use as u64);
    rng
}

/// What random numbers are for.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Uniform = 0,
    Initial = 1,
    Rules = 2,
    Order = 3,
    Recommend = 4,
    Tpe = 5,
    Halving = 6,
    Evolution = 7,
    Coordinate = 8,
    Bo = 9,
    Thompson = 10,
}

/// Up to `count` plans, uniform over the feasible plans that are not in `taken`, without repetition. Fewer only when
/// no others are left.
pub(crate) fn uniform_plans(space: &Space, taken: &HashSet<Plan>, count: usize, rng: &mut ChaCha8Rng) -> Vec<Plan> {
    let mut found = Vec::with_capacity(count);
    let mut seen: HashSet<Plan> = HashSet::new();
    let is_small = space.size() <= LISTED as u128;
    if !is_small {
        for _ in 0..count.saturating_mul(400) {
            if found.len() == count {
                return found;
            }
            let plan = space.plan(&anything(space, rng));
            if space.is_feasible(&plan) && !taken.contains(&plan) && seen.insert(plan.clone()) {
                found.push(plan);
            }
        }
    }
    // Feasible plans are rare or nearly used up: list them, or in a huge space walk to them.
    let mut listed: Vec<Vec<usize>> = space.feasible_indices().take(LISTED + 1).collect();
    if listed.len() <= LISTED {
        if taken.is_empty() && seen.is_empty() {
            listed.shuffle(rng);
            return listed.iter().take(count).map(|o| space.plan(o)).collect();
        }
        let mut rest: Vec<Plan> =
            listed.iter().map(|o| space.plan(o)).filter(|p| !taken.contains(p) && !seen.contains(p)).collect();
        rest.shuffle(rng);
        rest.truncate(count - found.len());
        found.extend(rest);
        return found;
    }
    for _ in 0..count.saturating_mul(100) {
        if found.len() == count {
            return found;
        }
        if let Some(options) = walk(space, rng) {
            let plan = space.plan(&options);
            if space.fits(&options) && !taken.contains(&plan) && seen.insert(plan.clone()) {
                found.push(plan);
            }
        }
    }
    let missing = count - found.len();
    let rest = space
        .feasible_indices()
        .map(|o| space.plan(&o))
        .filter(|p| !taken.contains(p) && !seen.contains(p))
        .take(missing);
    found.extend(rest);
    found
}

/// Any option of every stage.
fn anything(space: &Space, rng: &mut ChaCha8Rng) -> Vec<usize> {
    space.stages().iter().map(|s| rng.random_range(0..s.options.len())).collect()
}

/// A feasible plan found stage by stage, in random order of stages, each time among the options that leave the others
/// what they need at least. Not quite uniform.
fn walk(space: &Space, rng: &mut ChaCha8Rng) -> Option<Vec<usize>> {
    let stages = space.stages();
    let floors: Vec<Cost> =
        stages.iter().map(|s| s.options.iter().map(|o| o.cost).min().unwrap_or(Cost::ZERO)).collect();
    let mut order: Vec<usize> = (0..stages.len()).collect();
    order.shuffle(rng);
    let mut spent: Cost = floors.iter().copied().sum();
    let mut options = vec![0; stages.len()];
    for stage in order {
        let others = spent - floors[stage];
        let fitting: Vec<usize> = (0..stages[stage].options.len())
            .filter(|&o| others + stages[stage].options[o].cost <= space.budget())
            .collect();
        let &chosen = fitting.choose(rng)?;
        options[stage] = chosen;
        spent = others + stages[stage].options[chosen].cost;
    }
    Some(options)
}
