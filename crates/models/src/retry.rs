//! Waiting between the attempts of a call.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How long to wait before a failed call is tried again. How often is the provider's `retries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait before the first retry, without jitter; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest wait of our own choosing.
    pub longest_delay: Duration,
    /// The longest wait that a server may ask for with `Retry-After`. A call that is told to wait longer fails.
    pub longest_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            longest_retry_after: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The waits before each of `retries` retries: exponential, with jitter so that calls which failed together do
    /// not come back together.
    pub(crate) fn delays(&self, retries: u32) -> impl Iterator<Item = Duration> + Send {
        ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(retries as usize)
            .with_jitter()
            .build()
    }

    /// How long to wait, given the next own delay (`None`: no retries left) and what the server asked for. `None`
    /// if the call is given up.
    pub(crate) fn wait(&self, own: Option<Duration>, asked: Option<Duration>) -> Option<Duration> {
        match (own?, asked) {
            (own, Some(asked)) if asked.is_zero() => Some(own),
            (_, Some(asked)) => (asked <= self.longest_retry_after).then_some(asked),
            (own, None) => Some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_are_bounded_and_as_many_as_retries() {
        let policy = RetryPolicy { longest_delay: Duration::from_secs(2), ..RetryPolicy::default() };
        let delays: Vec<_> = policy.delays(6).collect();
        assert_eq!(delays.len(), 6);
        assert!(delays[0] >= policy.first_delay);
        // Jitter adds at most one more minimal delay's worth to the doubled wait.
        assert!(delays.iter().all(|d| *d <= 2 * policy.longest_delay));
        assert!(delays[5] >= policy.longest_delay);
    }

    #[test]
    fn a_server_that_names_a_wait_is_obeyed_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let own = Some(Duration::from_millis(700));
        let seconds = Duration::from_secs;
        assert_eq!(policy.wait(own, Some(seconds(7))), Some(seconds(7)));
        assert_eq!(policy.wait(own, Some(seconds(0))), own);
        assert_eq!(policy.wait(own, Some(seconds(3600))), None);
        assert_eq!(policy.wait(None, Some(seconds(1))), None);
    }
}
