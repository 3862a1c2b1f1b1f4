//! The limits that all models of a provider share: calls under way, requests and tokens per minute.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Shared by all models of a provider.
#[derive(Debug)]
pub(crate) struct Limits {
    concurrency: Semaphore,
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<TokenBucket>,
}

#[derive(Debug)]
struct TokenBucket {
    size: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

impl Limits {
    /// At most `concurrency` calls at once (at least 1); a rate of 0 or `None` is no limit.
    pub(crate) fn new(concurrency: u32, requests_per_minute: Option<u32>, tokens_per_minute: Option<u32>) -> Self {
        let per_minute = |rate| RateLimiter::direct(Quota::per_minute(rate));
        Limits {
            concurrency: Semaphore::new((concurrency.max(1) as usize).min(Semaphore::MAX_PERMITS)),
            requests: requests_per_minute.and_then(NonZeroU32::new).map(per_minute),
            tokens: tokens_per_minute
                .and_then(NonZeroU32::new)
                .map(|size| TokenBucket { size, limiter: per_minute(size) }),
        }
    }

    /// Waits until a call that may take `tokens` tokens may start; it is under way while the permit lives.
    ///
    /// A call larger than the whole bucket waits for a full one: it could never be admitted otherwise.
    pub(crate) async fn admit(&self, tokens: u64) -> Option<SemaphorePermit<'_>> {
        if let Some(bucket) = &self.tokens {
            let cost = u32::try_from(tokens).unwrap_or(u32::MAX).min(bucket.size.get());
            if let Some(cost) = NonZeroU32::new(cost) {
                // Cannot fail: the cost is at most the bucket's size.
                let _ = bucket.limiter.until_n_ready(cost).await;
            }
        }
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        // `None` would mean a closed semaphore, which nobody closes.
        self.concurrency.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_larger_than_the_bucket_is_admitted() {
        let limits = Limits::new(2, None, Some(100));
        assert!(limits.admit(1_000_000).await.is_some());
    }

    #[tokio::test]
    async fn a_spent_bucket_makes_the_next_call_wait() {
        let limits = Limits::new(2, Some(1), None);
        drop(limits.admit(0).await);
        let second = tokio::time::timeout(std::time::Duration::from_millis(30), limits.admit(0)).await;
        assert!(second.is_err(), "one request a minute, yet a second was admitted at once");
    }

    #[tokio::test]
    async fn no_more_calls_than_permits() {
        let limits = Limits::new(1, None, None);
        let first = limits.admit(0).await;
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), limits.admit(0)).await.is_err());
        drop(first);
        assert!(limits.admit(0).await.is_some());
    }
}
