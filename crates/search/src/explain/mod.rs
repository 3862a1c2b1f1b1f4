//! Why a plan won: what matters, where samples stop paying, and how stages move each other's optimum.
//!
//! Everything is read off joint draws of the surrogate: functions over the plans that agree with the trials as far as
//! their noise allows. What is true in nearly all draws is known, what differs between them is not, so an interval is
//! as wide as the trials leave it and no interval needs a formula of its own.

mod anova;
mod belief;
mod curves;
mod design;
mod importance;
mod interplay;
mod rivals;
mod words;

use agenttts_core::{Archive, Explanation, Plan, Space, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::ask::Insights;
use crate::surrogate::Surrogate;
use design::{Design, Grid};

/// Joint draws that everything is read off.
const DRAWS: usize = 200;

/// Fewer measured plans than this many for each choice explain nothing, whatever they scored: a single plan may be all
/// that is known of a level, and its luck would be taken for the level's merit.
const PLANS_PER_CHOICE: usize = 2;

/// Fewer measured plans explain nothing in any space.
const LEAST_PLANS: usize = 4;

/// Explains why `plan` won over the others of the space; where none is given, the plan with the highest estimate.
/// `None` when nothing was measured. The same archive and seed give the same explanation.
///
/// * **Importance**: functional analysis of variance (Hooker 2007; Hutter, Hoos and Leyton-Brown 2014) of the
///   surrogate, over models, samples, aggregators and temperatures of all stages. The budget makes these choices
///   depend on each other, and then shares are not unique. So they are taken over a distribution in which the choices
///   are independent and each level is as frequent as among the plans within the budget: of all independent
///   distributions the nearest to the feasible plans in Kullback and Leibler's sense. Combinations beyond the budget
///   were never measured; there the draws differ more, which widens the intervals.
/// * **Curves**: the surrogate along the samples of one stage, the others as in `plan`.
/// * **Interplay**: what is best in a later stage, within the budget, for every model of an earlier one.
pub fn explain(space: &Space, archive: &Archive, plan: Option<&Plan>, seed: u64) -> Option<Explanation> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Rounds have the first 2^40 streams.
    rng.set_stream(u64::MAX);
    let measured = archive.measured().filter(|(_, m)| m.objective.n > 0 && m.objective.mean.is_finite());
    let mut plans: Vec<Vec<usize>> = measured.filter_map(|(t, _)| space.indices(&t.plan)).collect();
    plans.sort();
    plans.dedup();
    if plans.is_empty() {
        return None;
    }
    let mut explained = Explanation {
        verdict: Verdict::TooFewTrials,
        words: Vec::new(),
        plans: plans.len() as u32,
        spread: None,
        importance: Vec::new(),
        pairs: Vec::new(),
        rest: None,
        curves: Vec::new(),
        interplay: Vec::new(),
        rivals: Vec::new(),
    };
    let grid = Grid::new(space);
    let design = Design::new(space, &grid, &mut rng);
    let least = LEAST_PLANS.max(PLANS_PER_CHOICE * design.factors.len());
    if design.factors.is_empty() {
        explained.verdict = Verdict::NoChoice;
    } else if plans.len() >= least {
        let surrogate = Surrogate::new(space, archive, Insights::ALL, &mut rng);
        let won = plan.and_then(|p| space.indices(p)).or_else(|| rivals::ranked(space, &surrogate).first().cloned())?;
        let shares = importance::importance(&surrogate, &design, &mut rng);
        explained.interplay = interplay::interplay(space, &surrogate, &design, &shares, &won, &mut rng);
        explained.curves = curves::curves(space, archive, &surrogate, &won, &mut rng);
        explained.rivals = rivals::rivals(space, &surrogate, &won);
        explained.verdict = if shares.is_measurable() { Verdict::Measured } else { Verdict::NothingMeasurable };
        explained.spread = Some(shares.spread);
        explained.rest = Some(shares.rest);
        explained.importance = shares.importance;
        explained.pairs = shares.pairs;
        explained.words = words::words(space, &explained, &won);
        return Some(explained);
    }
    explained.words = words::nothing(&explained, least);
    Some(explained)
}
