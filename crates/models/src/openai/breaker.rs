//! The circuit of a provider: after so many failures in a row it is open, and the provider is not called for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::retry::RetryPolicy;

/// Failures in a row, of any of the provider's models, that open the circuit.
const THRESHOLD: u32 = 5;

/// The circuit of a provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: RetryPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures since the last answer.
    failures: u32,
    /// When the first of them was.
    since: Option<Instant>,
    /// What the last one was.
    last: Option<Failure>,
    /// Until when nothing is sent, while the circuit is open. Then one call may try, and the others wait for what becomes
    /// of it.
    closed_until: Option<Instant>,
    /// How often it was opened since the last answer.
    opened: u32,
    /// Whether the provider has ever answered.
    answered: bool,
}

/// An open circuit.
#[derive(Debug)]
pub(crate) struct Open {
    /// How long the provider has not answered.
    pub(crate) for_so_long: Duration,
    /// How long nothing is sent yet.
    pub(crate) retry_in: Duration,
    /// Whether the provider has answered before.
    pub(crate) answered: bool,
}

impl Breaker {
    /// A closed circuit. It opens for twice the policy's first delay at first, and twice as long each time after, up to its
    /// longest delay.
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Breaker { policy, state: Mutex::default() }
    }

    /// Whether a call may be sent; if not, the last failure, with the time to wait.
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Result<(), Failure> {
        let mut state = self.state();
        let (Some(until), Some(last)) = (state.closed_until, state.last.clone()) else { return Ok(()) };
        if now < until {
            return Err(Failure { retry_after: Some(until - now), ..last });
        }
        // This one tries; should it hang, another may after the same time again.
        state.closed_until = Some(now + self.pause(state.opened));
        Ok(())
    }

    /// Takes in what became of a call.
    pub(crate) fn heard(&self, failure: Option<&Failure>) {
        self.heard_at(Instant::now(), failure);
    }

    fn heard_at(&self, now: Instant, failure: Option<&Failure>) {
        let mut state = self.state();
        match failure.filter(|failure| failure.kind.may_be_outage()) {
            // Whatever it said, it is there.
            None => *state = State { answered: true, ..State::default() },
            Some(failure) => {
                state.failures += 1;
                state.since.get_or_insert(now);
                state.last = Some(Failure { retry_after: None, remedy: None, ..failure.clone() });
                let waiting = state.closed_until.is_some_and(|until| now < until);
                // Calls that were under way when it opened say nothing new.
                if state.failures >= THRESHOLD && (!waiting || state.opened == 0) {
                    state.opened += 1;
                    state.closed_until = Some(now + self.pause(state.opened));
                }
            }
        }
    }

    /// After a sign of life other than an answer to a call: calls may be sent again, and the next failure opens the circuit
    /// for longer than before.
    pub(crate) fn half_open(&self) {
        let mut state = self.state();
        state.closed_until = None;
        state.failures = state.failures.min(THRESHOLD - 1);
    }

    /// The circuit, if it is open.
    pub(crate) fn open(&self) -> Option<Open> {
        self.open_at(Instant::now())
    }

    fn open_at(&self, now: Instant) -> Option<Open> {
        let state = self.state();
        Some(Open {
            retry_in: state.closed_until?.saturating_duration_since(now),
            for_so_long: state.since.map_or(Duration::ZERO, |since| now - since),
            answered: state.answered,
        })
    }

    fn pause(&self, opened: u32) -> Duration {
        let doubled = self.policy.first_delay.saturating_mul(1 << opened.clamp(1, 16));
        doubled.min(self.policy.longest_delay)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain values: a panic elsewhere leaves nothing half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelErrorKind as Kind;

    fn breaker() -> Breaker {
        let seconds = Duration::from_secs;
        Breaker::new(RetryPolicy { first_delay: seconds(1), longest_delay: seconds(5), ..RetryPolicy::default() })
    }

    /// A circuit and a clock.
    struct Watched {
        breaker: Breaker,
        now: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Watched { breaker: breaker(), now: Instant::now() }
        }

        fn fails(&self, times: u32) {
            (0..times).for_each(|_| self.breaker.heard_at(self.now, Some(&Failure::new(Kind::Server, "500"))));
        }

        fn admits(&self) -> bool {
            self.breaker.admit_at(self.now).is_ok()
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        /// Seconds until it may be tried again, while it is open.
        fn left(&self) -> Option<u64> {
            Some(self.breaker.open_at(self.now)?.retry_in.as_secs())
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_call_try_now_and_then() {
        let mut circuit = Watched::new();
        circuit.fails(4);
        circuit.breaker.heard(Some(&Failure::new(Kind::RateLimited, "429")));
        circuit.fails(4);
        assert!(circuit.admits() && circuit.left().is_none(), "it answered in between");
        circuit.fails(1);
        let refused = circuit.breaker.admit_at(circuit.now).unwrap_err();
        assert_eq!((refused.message.as_str(), refused.retry_after), ("500", Some(Duration::from_secs(2))));
        circuit.fails(9);
        assert_eq!(circuit.left(), Some(2), "those were under way before");

        circuit.pass(2);
        assert!(circuit.admits(), "one may try");
        assert!(!circuit.admits(), "and the others wait for it");
        circuit.pass(2);
        circuit.fails(1);
        assert_eq!(circuit.left(), Some(4), "twice as long");
        circuit.pass(4);
        circuit.fails(1);
        assert_eq!(circuit.left(), Some(5), "and never longer than that");
        circuit.pass(5);
        assert!(circuit.admits());
        circuit.breaker.heard(None);
        assert!(circuit.left().is_none() && circuit.admits());
    }

    #[test]
    fn a_sign_of_life_lets_calls_through_until_the_next_failure() {
        let circuit = Watched::new();
        circuit.fails(5);
        assert!(!circuit.breaker.open_at(circuit.now).unwrap().answered);
        circuit.breaker.half_open();
        assert!(circuit.left().is_none() && circuit.admits() && circuit.admits());
        circuit.fails(1);
        assert_eq!(circuit.left(), Some(4));
    }
}
