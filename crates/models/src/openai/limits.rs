//! The limits that all models of a provider share: calls under way, requests and tokens per minute.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::knee::Knee;

/// Calls under way at once to begin with, where their number is found while calling.
const FIRST: u32 = 16;

/// Shared by all models of a provider.
#[derive(Debug)]
pub(super) struct Limits {
    gate: Gate,
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<TokenBucket>,
}

#[derive(Debug)]
struct TokenBucket {
    size: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

/// Calls that may be under way at once.
#[derive(Debug)]
struct Gate {
    permits: Semaphore,
    waiting: AtomicU32,
    clock: Instant,
    found: Option<Mutex<Found>>,
}

/// A limit that follows what the provider bears.
#[derive(Debug)]
struct Found {
    knee: Knee,
    /// Permits that were given out under a higher limit, and are not given back.
    surplus: u32,
}

/// How a call ended, as far as the number of calls at once is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ended {
    /// Answered, with so much work done, in tokens.
    Answered(f64),
    /// Refused because the provider has too much to do, or not answered in time.
    Refused,
    /// Anything else: it says nothing.
    Otherwise,
}

/// A call that may be made; it is under way while this lives.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    gate: &'a Gate,
    permit: Option<SemaphorePermit<'a>>,
}

impl Limits {
    /// At most `concurrency` calls at once (at least 1), or fewer where `adaptive` and the provider bears fewer; a rate of
    /// 0 or `None` is no limit.
    pub(super) fn new(
        concurrency: u32,
        adaptive: bool,
        requests_per_minute: Option<u32>,
        tokens_per_minute: Option<u32>,
    ) -> Self {
        let per_minute = |rate| RateLimiter::direct(Quota::per_minute(rate));
        Limits {
            gate: Gate::new(concurrency.max(1), adaptive),
            requests: requests_per_minute.and_then(NonZeroU32::new).map(per_minute),
            tokens: tokens_per_minute
                .and_then(NonZeroU32::new)
                .map(|size| TokenBucket { size, limiter: per_minute(size) }),
        }
    }

    /// Waits until a call that may take `tokens` tokens may start.
    ///
    /// A call larger than the whole bucket waits for a full one: it could never be admitted otherwise.
    pub(super) async fn admit(&self, tokens: u64) -> Admission<'_> {
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
        self.gate.pass().await
    }
}

impl Gate {
    fn new(most: u32, adaptive: bool) -> Self {
        let most = most.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let knee = Knee::new(FIRST, most);
        let first = if adaptive { knee.limit() } else { most };
        Gate {
            permits: Semaphore::new(first as usize),
            waiting: AtomicU32::new(0),
            clock: Instant::now(),
            found: adaptive.then(|| Mutex::new(Found { knee, surplus: 0 })),
        }
    }

    async fn pass(&self) -> Admission<'_> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Admission { gate: self, permit: Some(permit) };
        }
        let _waiting = Waiting::new(&self.waiting);
        // `None` would mean a closed semaphore, which nobody closes.
        Admission { gate: self, permit: self.permits.acquire().await.ok() }
    }

    /// Takes in how a call ended, and gives permits out or takes them back.
    fn learn(&self, found: &Mutex<Found>, ended: Ended) {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (found.knee.limit(), self.clock.elapsed());
        match ended {
            Ended::Answered(work) => found.knee.answered(now, work, self.waiting.load(Ordering::Relaxed) > 0),
            Ended::Refused => found.knee.refused(now),
            Ended::Otherwise => return,
        }
        let after = found.knee.limit();
        if after > before {
            let more = after - before;
            let kept = found.surplus.min(more);
            found.surplus -= kept;
            self.permits.add_permits((more - kept) as usize);
        } else if after < before {
            let fewer = before - after;
            let taken = u32::try_from(self.permits.forget_permits(fewer as usize)).unwrap_or(fewer);
            found.surplus += fewer - taken;
        }
        if after != before {
            tracing::debug!(before, after, "calls at once");
        }
    }
}

/// Counts as waiting while it lives, also where the wait is given up.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission<'_> {
    /// Ends the call, and says how it went.
    pub(super) fn end(self, ended: Ended) {
        if let Some(found) = &self.gate.found {
            self.gate.learn(found, ended);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let Some(found) = &self.gate.found else { return };
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.surplus > 0 {
            found.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_call_larger_than_the_bucket_is_admitted() {
        Limits::new(2, true, None, Some(100)).admit(1_000_000).await.end(Ended::Answered(1.0));
    }

    #[tokio::test]
    async fn a_spent_bucket_makes_the_next_call_wait() {
        let limits = Limits::new(2, true, Some(1), None);
        drop(limits.admit(0).await);
        let second = tokio::time::timeout(Duration::from_millis(30), limits.admit(0)).await;
        assert!(second.is_err(), "one request a minute, yet a second was admitted at once");
    }

    #[tokio::test]
    async fn no_more_calls_than_permits() {
        for adaptive in [false, true] {
            let limits = Limits::new(1, adaptive, None, None);
            let first = limits.admit(0).await;
            assert!(tokio::time::timeout(Duration::from_millis(20), limits.admit(0)).await.is_err());
            drop(first);
            limits.admit(0).await.end(Ended::Otherwise);
        }
    }

    #[tokio::test]
    async fn permits_follow_the_limit_that_is_found() {
        let limits = Limits::new(1_000, true, None, None);
        assert_eq!(limits.gate.permits.available_permits(), FIRST as usize);
        // All of them refused, again and again: one call at a time is left.
        for _ in 0..20 {
            let mut calls = Vec::new();
            for _ in 0..FIRST {
                calls.push(tokio::time::timeout(Duration::from_millis(5), limits.admit(0)).await);
            }
            calls.into_iter().flatten().for_each(|call| call.end(Ended::Refused));
        }
        let found = limits.gate.found.as_ref().unwrap().lock().unwrap();
        assert_eq!(found.surplus, 0);
        assert_eq!(limits.gate.permits.available_permits(), found.knee.limit() as usize);
        assert!(found.knee.limit() <= 2, "{}", found.knee.limit());
    }
}
