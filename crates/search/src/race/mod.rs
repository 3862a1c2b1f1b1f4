//! Racing: a trial runs over growing blocks of its examples, and ends once its plan has fallen behind the leading one
//! beyond doubt.
//!
//! The question is about the examples that the trial was meant to run on, which are finite and of which the leader's
//! scores are known: would the plan, run on all of them, score at least as much as the leader does there? A trial ends when the
//! data refute that. What is decided is a function of the archive and of the trial's scores in the study's order of examples, so
//! it does not depend on the order in which calls end, and a study that goes on decides as if it had never stopped.

mod bets;

use agenttts_core::{Archive, Plan, PooledPlan, RacedOut, Space, Span};

use bets::Bets;

/// Of the plans that a study races out, the share that would have scored at least as much as their leader: its expectation
/// is at most this, over all trials together.
const FALSE_SHARE: f64 = 0.1;

/// Examples of the first block, at most.
const FIRST_BLOCK: u32 = 5;

/// Fewer examples than this are no block of their own.
const LEAST_BLOCK: u32 = 3;

/// One trial against the plan that led when it began.
pub struct Race {
    /// The leader's score of each planned example, where it has one.
    theirs: Vec<Option<f64>>,
    leader: u32,
    planned_end: u32,
    /// How far the plan was behind on earlier examples that both have, summed, and their number.
    before: (f64, u32),
    /// The leader's mean over these and the planned examples.
    level: f64,
    error: f64,
}

impl Race {
    /// The race of the trial `number` of a plan on a span. `None` where there is nobody to race against: no other plan
    /// within the budget was measured on at least two blocks of these examples.
    ///
    /// The leader is the plan within the budget, by its measured cost, that leads by its own scores
    /// ([`Archive::best`]). Plans that were raced out do not lead.
    pub fn new(space: &Space, archive: &Archive, number: u32, plan: &Plan, span: Span) -> Option<Race> {
        let budget = space.cost_model().units(space.budget());
        let fits = |p: &PooledPlan<'_>| p.cost.mean <= budget * (1.0 + 1e-9) + 1e-9;
        let leader = archive.best_of(|p| space.indices(p.plan).is_some() && fits(p))?;
        if leader.plan == plan {
            return None;
        }
        let theirs: Vec<Option<f64>> = (span.first..span.end()).map(|e| leader.scores.get(&e).copied()).collect();
        let shared = theirs.iter().flatten().count() as u32;
        if shared < FIRST_BLOCK + LEAST_BLOCK {
            return None;
        }
        let plans = archive.plans();
        let mine = plans.iter().find(|p| p.plan == plan);
        let both = mine.iter().flat_map(|p| &p.scores).filter(|(e, _)| !(span.first..span.end()).contains(e));
        let earlier: Vec<(f64, f64)> = both.filter_map(|(e, s)| Some((*leader.scores.get(e)?, *s))).collect();
        let sum = theirs.iter().flatten().sum::<f64>() + earlier.iter().map(|(t, _)| t).sum::<f64>();
        Some(Race {
            leader: leader.first_trial(),
            planned_end: span.end(),
            before: (earlier.iter().map(|(t, m)| t - m).sum(), earlier.len() as u32),
            level: sum / f64::from(shared + earlier.len() as u32),
            error: error(archive, number),
            theirs,
        })
    }

    /// How many examples are to be run before the next look, given the scores so far: as many as the plan will take to be
    /// raced out if it goes on as it began, at most half of those that are left. So plans that keep up are looked at
    /// seldom, as every block waits for its last call. When one looks is without influence on the error.
    pub fn next_block(&self, scores: &[f64]) -> u32 {
        let left = (self.theirs.len() - scores.len().min(self.theirs.len())) as u32;
        let mut bets = self.bets(scores);
        let rate = (scores.iter().sum::<f64>() + 0.5) / (scores.len() as f64 + 1.0);
        let most = if scores.is_empty() { FIRST_BLOCK } else { (left / 2).max(LEAST_BLOCK) };
        let (mut block, mut to_come) = (0, self.theirs.iter().skip(scores.len()));
        while block < most && !(block >= LEAST_BLOCK && bets.refute(self.error)) {
            if let Some(theirs) = to_come.next().copied().flatten() {
                bets.see(theirs, rate);
            }
            block += 1;
        }
        if left < block + LEAST_BLOCK { left } else { block }
    }

    /// What the trial's first scores, in the order of its examples, say: that the trial ends here, or nothing.
    pub fn verdict(&self, scores: &[f64]) -> Option<RacedOut> {
        if scores.len() >= self.theirs.len() {
            return None;
        }
        if !self.bets(scores).refute(self.error) {
            return None;
        }
        let pairs = || self.pairs(scores);
        let behind = self.before.0 + pairs().map(|(t, m)| t - m).sum::<f64>();
        let behind = behind / f64::from(self.before.1 + pairs().count() as u32);
        let expected = (self.level - behind).max(0.0);
        Some(RacedOut { planned_end: self.planned_end, leader: self.leader, behind, expected })
    }

    /// The leader's and the plan's score of the trial's first examples, where the leader has one.
    fn pairs(&self, scores: &[f64]) -> impl Iterator<Item = (f64, f64)> {
        self.theirs.iter().zip(scores).filter_map(|(theirs, mine)| Some(((*theirs)?, *mine)))
    }

    fn bets(&self, scores: &[f64]) -> Bets {
        let mut bets = Bets::new(&self.theirs, -self.before.0);
        self.pairs(scores).for_each(|(theirs, mine)| bets.see(theirs, mine));
        bets
    }
}

/// The error that trial `number` may make: `FALSE_SHARE * (r + 1) / (n(n + 1))`, where `r` trials before were raced out.
///
/// This is e-LOND (Xu and Ramdas, "Online multiple testing with e-values", AISTATS 2024). It keeps the share of false
/// ones under any dependence between trials, which share their examples and their leader. As `r < n`, no plan is lost with
/// more than `FALSE_SHARE / (n + 1)`: the best one neither.
fn error(archive: &Archive, number: u32) -> f64 {
    let n = f64::from(number.max(1));
    let raced_out = archive.measured().filter(|(t, m)| t.number < number && m.raced_out.is_some()).count();
    FALSE_SHARE * (raced_out as f64 + 1.0) / (n * (n + 1.0))
}

#[cfg(test)]
mod tests;
