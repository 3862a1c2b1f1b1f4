//! What bounds the planner: the same method, told beforehand how much plans tell of each other.

use agenttts_core::{Plan, Space};

use super::step;
use crate::ask::{Ask, Searcher, Step};
use crate::draw::{Use, rng};
use crate::recommend::{Beliefs, Recommendation, ranked};
use crate::surrogate::{Family, Surrogate};

/// The planner with the kernels under which the true scores are least surprising. It does not know the scores themselves:
/// it must find the best plan by the same noisy trials. No method of a search, but a yardstick for comparisons: it shows
/// what learning the kernels costs, and what is left when they are known is the noise's.
pub struct Oracle(Family);

impl Oracle {
    /// Learns the family from the true scores of the space's plans. Plans outside the space are left out.
    pub fn new(space: &Space, truth: impl IntoIterator<Item = (Plan, f64)>) -> Self {
        let known = truth.into_iter().filter_map(|(plan, score)| Some((space.indices(&plan)?, score)));
        Oracle(Family::of(space, known, &mut rng(0, 0, Use::Rules)))
    }
}

impl Searcher for Oracle {
    fn name(&self) -> &str {
        "oracle"
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        step(ask, |_| Surrogate::knowing(ask.space, ask.archive, &self.0))
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        let surrogate = Surrogate::knowing(ask.space, ask.archive, &self.0);
        ranked(ask.space, ask.archive, &Beliefs::from(ask.space, surrogate)).into_iter().next()
    }
}
