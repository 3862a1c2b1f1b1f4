//! Which measured plan to confirm and use, and which plans trade quality against cost.

use agenttts_core::{Archive, Plan, Space};

use crate::ask::Insights;
use crate::draw::{Use, rng};
use crate::surrogate::{Belief, Surrogate};

/// A measured plan that is recommended.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The number of the trial that measured it; of its first, where there are replicates.
    pub trial: u32,
    /// The plan.
    pub plan: Plan,
    /// Its shrunken estimate: what its true objective is believed to be.
    pub mean: f64,
    /// Standard deviation of that belief.
    pub sd: f64,
    /// Why this one, in words.
    pub why: String,
}

/// The plan to confirm: the measured plan with the highest shrunken estimate. `None` when nothing was measured.
pub fn recommend(space: &Space, archive: &Archive) -> Option<Recommendation> {
    finalists(space, archive, 1).into_iter().next()
}

/// The `k` plans most worth confirming, best first.
pub fn finalists(space: &Space, archive: &Archive, k: usize) -> Vec<Recommendation> {
    let mut rng = rng(0, 0, Use::Rules);
    let surrogate = Surrogate::new(space, archive, Insights::ALL, &mut rng);
    let mut all: Vec<(Belief, usize)> =
        (0..surrogate.observations.len()).map(|i| (surrogate.belief(&surrogate.observations[i].options), i)).collect();
    all.sort_by(|a, b| b.0.mean.total_cmp(&a.0.mean));
    all.into_iter()
        .take(k)
        .map(|(belief, i)| {
            let o = &surrogate.observations[i];
            Recommendation {
                trial: o.trials.first().copied().unwrap_or(0),
                plan: space.plan(&o.options),
                mean: belief.mean,
                sd: belief.sd,
                why: String::new(),
            }
        })
        .collect()
}
