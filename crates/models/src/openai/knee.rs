//! How many calls a provider bears at once, found while calling.
//!
//! Up to some number of calls under way, the work done in a second grows with them; beyond it calls only wait for each
//! other. A [`Knee`] looks for that number: it doubles the limit while that pays, settles where it does not, looks around
//! now and then, since providers change, and gives up the share of calls that the provider refuses as too many. It compares
//! work a second rather than latencies, as calls of different stages take differently long by themselves. It is a hill
//! climb with the multiplicative decrease of congestion control (Chiu and Jain 1989, Computer Networks and ISDN Systems 17).

use std::time::Duration;

/// Doubling the limit must raise the work done in a second by this share of a doubling, or it does not pay.
const WORTH: f64 = 0.25;
/// A step of looking around.
const STEP: f64 = 1.25;
/// A lower limit is kept where it does at least this share of the work.
const AS_GOOD: f64 = 0.97;
/// A smaller share of refused calls than this is bad luck, and tried again rather than avoided.
const REFUSED: f64 = 0.1;
/// The most that one round gives up.
const CUT: f64 = 0.5;
/// Rounds at rest before looking around.
const REST: u32 = 8;
/// Calls of a round: as many as may be under way, but enough to tell something.
const LEAST_ROUND: u32 = 16;

/// The search for the number of calls that a provider bears; between 1 and a limit that nobody exceeds.
#[derive(Debug)]
pub(super) struct Knee {
    most: u32,
    limit: u32,
    phase: Phase,
    round: Round,
    /// Calls that began under another limit, and say nothing about this one.
    stale: u32,
}

/// What the present round is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Growing; what the limit before gave, where there was one.
    Growing(Option<Rate>),
    /// At rest; rounds so far and their mean rate.
    Resting { rounds: u32, rate: f64 },
    /// Trying another limit than the one at rest.
    Trying(Rate),
}

/// Work a second at a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    limit: u32,
    rate: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    began: Option<Duration>,
    answered: u32,
    refused: u32,
    work: f64,
    /// Answers after which nobody waited: then the limit was not what held the work back.
    idle: u32,
}

impl Knee {
    /// Begins with `first` calls; never more than `most`, both at least 1.
    pub(super) fn new(first: u32, most: u32) -> Self {
        let most = most.max(1);
        Knee { most, limit: first.clamp(1, most), phase: Phase::Growing(None), round: Round::default(), stale: 0 }
    }

    /// Calls that may be under way at once.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes in a call that was answered at `now` on some clock, with the work that it was (in any unit), and whether
    /// others wait.
    pub(super) fn answered(&mut self, now: Duration, work: f64, waiting: bool) {
        if self.is_stale(now) {
            return;
        }
        self.round.answered += 1;
        self.round.work += work;
        self.round.idle += u32::from(!waiting);
        self.end_round(now);
    }

    /// Takes in a call that the provider refused at `now` because it has too much to do, or did not answer in time.
    pub(super) fn refused(&mut self, now: Duration) {
        if self.is_stale(now) {
            return;
        }
        self.round.refused += 1;
        self.end_round(now);
    }

    fn is_stale(&mut self, now: Duration) -> bool {
        let stale = self.stale > 0;
        self.stale = self.stale.saturating_sub(1);
        if self.stale == 0 && self.round.began.is_none() {
            self.round.began = Some(now);
            return true;
        }
        stale
    }

    fn end_round(&mut self, now: Duration) {
        let Round { began: Some(began), answered, refused, work, idle } = self.round else { return };
        let calls = answered + refused;
        if calls < self.limit.max(LEAST_ROUND) {
            return;
        }
        self.round = Round { began: Some(now), ..Round::default() };
        let share = f64::from(refused) / f64::from(calls);
        if share > REFUSED {
            let kept = (1.0 - share).max(CUT);
            self.set((f64::from(self.limit) * kept) as u32);
            self.phase = Phase::Resting { rounds: 0, rate: 0.0 };
        } else if idle * 10 <= calls {
            self.decide(work / now.saturating_sub(began).as_secs_f64().max(1e-6));
        }
    }

    fn decide(&mut self, rate: f64) {
        let here = Rate { limit: self.limit, rate };
        match self.phase {
            Phase::Growing(before) => {
                if before.is_some_and(|before| !here.pays_after(before)) {
                    let before = before.unwrap_or(here);
                    self.set(before.limit);
                    self.rest(before.rate);
                } else if self.limit == self.most {
                    self.rest(rate);
                } else {
                    self.set(self.limit.saturating_mul(2));
                    self.phase = Phase::Growing(Some(here));
                }
            }
            Phase::Resting { rounds, rate: mean } => {
                let rounds = rounds + 1;
                let mean = mean + (rate - mean) / f64::from(rounds);
                self.phase = Phase::Resting { rounds, rate: mean };
                if rounds >= REST {
                    self.look_around(mean);
                }
            }
            Phase::Trying(rest) if here.limit > rest.limit => {
                if here.pays_after(rest) {
                    self.phase = Phase::Growing(Some(here));
                    self.set(self.limit.saturating_mul(2));
                } else {
                    self.set((f64::from(rest.limit) / STEP) as u32);
                    self.phase = Phase::Trying(rest);
                    if self.limit == rest.limit {
                        self.rest(rest.rate);
                    }
                }
            }
            Phase::Trying(rest) => {
                let kept = if here.rate >= AS_GOOD * rest.rate { here } else { rest };
                self.set(kept.limit);
                self.rest(kept.rate);
            }
        }
    }

    /// Tries a higher limit, or a lower one where there is none.
    fn look_around(&mut self, mean: f64) {
        let rest = Rate { limit: self.limit, rate: mean };
        self.set((f64::from(self.limit) * STEP).ceil() as u32);
        if self.limit == rest.limit {
            self.set((f64::from(self.limit) / STEP) as u32);
        }
        self.phase =
            if self.limit == rest.limit { Phase::Resting { rounds: 0, rate: 0.0 } } else { Phase::Trying(rest) };
    }

    fn rest(&mut self, rate: f64) {
        self.phase = Phase::Resting { rounds: u32::from(rate > 0.0), rate };
    }

    /// The next round begins when the calls of this limit are done.
    fn set(&mut self, limit: u32) {
        let limit = limit.clamp(1, self.most);
        if limit != self.limit {
            self.stale = self.limit.max(limit);
            self.limit = limit;
            self.round = Round::default();
        }
    }
}

impl Rate {
    /// Whether going from `before` to this limit did enough more work.
    fn pays_after(self, before: Rate) -> bool {
        let more = f64::from(self.limit) / f64::from(before.limit.max(1)) - 1.0;
        self.rate >= before.rate * (1.0 + WORTH * more)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    /// A provider that works on `capacity` calls side by side, each in `alone` microseconds; more share it. Above `refuses`
    /// calls under way it refuses some.
    struct Provider {
        capacity: f64,
        alone: f64,
        refuses: u32,
    }

    /// Lets ever waiting callers make `calls` calls, and returns the limits after each, with the refused calls.
    fn simulate(provider: &Provider, knee: &mut Knee, calls: u32) -> (Vec<u32>, u32) {
        let mut now = 0u64;
        let mut under_way: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        let (mut limits, mut refused) = (Vec::new(), 0);
        // A deterministic spread of half to one and a half times the mean.
        let mut random = 1u64;
        for _ in 0..calls {
            while (under_way.len() as u32) < knee.limit() {
                if under_way.len() as u32 >= provider.refuses {
                    refused += 1;
                    knee.refused(Duration::from_micros(now));
                    break;
                }
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let spread = 0.5 + (random >> 40) as f64 / (1u64 << 24) as f64;
                let slower = ((under_way.len() + 1) as f64 / provider.capacity).max(1.0);
                under_way.push(Reverse(now + (provider.alone * slower * spread) as u64));
            }
            let Some(Reverse(done)) = under_way.pop() else { continue };
            now = now.max(done);
            knee.answered(Duration::from_micros(now), 1.0, true);
            limits.push(knee.limit());
        }
        (limits, refused)
    }

    fn typical(limits: &[u32]) -> f64 {
        let late = &limits[limits.len() / 2..];
        late.iter().map(|l| f64::from(*l)).sum::<f64>() / late.len() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_settles_near_the_knee(capacity in 8.0f64..400.0, alone in 1e3f64..5e6) {
            let mut knee = Knee::new(16, 4_096);
            let (limits, _) = simulate(&Provider { capacity, alone, refuses: u32::MAX }, &mut knee, 40_000);
            let typical = typical(&limits);
            prop_assert!(typical > 0.6 * capacity && typical < 3.0 * capacity, "{typical} for {capacity}");
        }

        #[test]
        fn limits_stay_between_one_and_the_most(most in 1u32..50, first in 0u32..100, refuses in 1u32..60) {
            let mut knee = Knee::new(first, most);
            let (limits, _) = simulate(&Provider { capacity: 1e9, alone: 1e3, refuses }, &mut knee, 2_000);
            prop_assert!(limits.iter().all(|limit| (1..=most).contains(limit)));
        }
    }

    #[test]
    fn a_provider_that_refuses_is_called_less() {
        let provider = Provider { capacity: 1e9, alone: 1e5, refuses: 50 };
        let mut knee = Knee::new(16, 1_000);
        let (limits, refused) = simulate(&provider, &mut knee, 20_000);
        assert!(typical(&limits) < 55.0, "{}", typical(&limits));
        assert!(typical(&limits) > 20.0, "{}", typical(&limits));
        // A refused caller of the simulation comes back at the next answer, sooner than anybody would.
        assert!(refused < 4_000, "{refused}");
    }

    #[test]
    fn refusals_by_bad_luck_cut_nothing() {
        let mut knee = Knee::new(64, 64);
        // Fewer rounds than it rests before it looks around.
        for call in 0..64 * 6 {
            let now = Duration::from_millis(call);
            if call % 20 == 0 { knee.refused(now) } else { knee.answered(now, 1.0, true) }
        }
        assert_eq!(knee.limit(), 64);
    }

    #[test]
    fn without_callers_that_wait_nothing_grows() {
        let mut knee = Knee::new(16, 1_000);
        for call in 0..10_000 {
            knee.answered(Duration::from_millis(call), 1.0, false);
        }
        assert_eq!(knee.limit(), 16);
    }
}
