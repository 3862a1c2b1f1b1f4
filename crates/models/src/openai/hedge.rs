//! A second call beside one that takes unusually long; the answer that comes first counts (Dean and Barroso's hedged
//! requests: The Tail at Scale, 2013, Communications of the ACM 56).
//!
//! Both calls are paid for: the second is reserved before it is made, and whichever is given up is booked with the most
//! that the provider may bill for it.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use agenttts_core::Usage;
use futures::future::{Either, select};

use super::call::{Ask, Attempted, admit, exchange_timed, microseconds};
use super::model::{OpenaiModel, prompt_bound};
use crate::Toll;

/// Latencies that are remembered of a kind of call: the latest.
const KNOWN: usize = 64;
/// Fewer tell nothing of the tail.
const ENOUGH: usize = 16;
/// Kinds that are remembered. Pipelines have fewer.
const KINDS: usize = 256;
/// Second calls that may be saved up while no call is late.
const SAVED: f64 = 8.0;

/// When a call of a model is late.
#[derive(Debug)]
pub(super) struct Hedge {
    quantile: Option<f64>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the longest continuation and the number of samples, on which latency depends most.
    kinds: HashMap<(u32, u32), VecDeque<Duration>>,
    /// Second calls that may be made: each call adds twice the share that is late in ordinary times, so that a provider
    /// that slows down as a whole is not sent every call twice.
    allowed: f64,
}

impl Hedge {
    /// Calls beyond this quantile of latencies are late; `None` = never.
    pub(super) fn new(quantile: Option<f64>) -> Self {
        Hedge { quantile, known: Mutex::default() }
    }

    /// How long a call may take before a second one is made; `None` where none is to be made.
    fn patience(&self, ask: Ask<'_>) -> Option<Duration> {
        let quantile = self.quantile.filter(|_| ask.on_text.is_none())?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let latencies = known.kinds.get(&kind(ask)).filter(|latencies| latencies.len() >= ENOUGH)?;
        let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len()) - 1).copied()
    }

    /// Whether a second call may be made now.
    fn take(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let may = known.allowed >= 1.0;
        if may {
            known.allowed -= 1.0;
        }
        may
    }

    /// Takes in how long an answer took.
    fn learn(&self, ask: Ask<'_>, latency: Duration) {
        let Some(quantile) = self.quantile else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.allowed = (known.allowed + 2.0 * (1.0 - quantile)).min(SAVED);
        if known.kinds.len() >= KINDS && !known.kinds.contains_key(&kind(ask)) {
            known.kinds.clear();
        }
        let latencies = known.kinds.entry(kind(ask)).or_default();
        if latencies.len() == KNOWN {
            latencies.pop_front();
        }
        latencies.push_back(latency);
    }
}

fn kind(ask: Ask<'_>) -> (u32, u32) {
    (ask.request.decoding.max_tokens, ask.n)
}

/// One attempt at a call, with a second beside it where the first is late; and what the one that does not count was billed.
pub(super) async fn attempt(model: &OpenaiModel, ask: Ask<'_>, toll: &dyn Toll) -> (Attempted, Usage) {
    let admission = admit(model, ask).await;
    let began = Instant::now();
    let (attempted, extra) = hedged(model, ask, toll, exchange_timed(model, ask, admission), began).await;
    if attempted.is_ok() {
        model.hedge.learn(ask, began.elapsed());
    }
    (attempted, extra)
}

async fn hedged(
    model: &OpenaiModel,
    ask: Ask<'_>,
    toll: &dyn Toll,
    first: impl Future<Output = Attempted>,
    began: Instant,
) -> (Attempted, Usage) {
    let nothing = Usage::default();
    let mut first = pin!(first);
    let Some(patience) = model.hedge.patience(ask) else { return (first.await, nothing) };
    if let Either::Left((attempted, _)) = select(first.as_mut(), pin!(tokio::time::sleep(patience))).await {
        return (attempted, nothing);
    }
    if !model.hedge.take() {
        return (first.await, nothing);
    }
    // The toll is heard to its end, as it writes things down.
    let (answered, allowed) = match select(first.as_mut(), pin!(toll.begin_spare(1, ask.n))).await {
        Either::Left((attempted, asking)) => (Some(attempted), asking.await),
        Either::Right((allowed, _)) => (None, allowed),
    };
    if let Some(attempted) = answered {
        if allowed {
            toll.end(1, ask.n, nothing);
        }
        return (attempted, nothing);
    }
    if !allowed {
        return (first.await, nothing);
    }
    tracing::debug!(model = %model.id, ?patience, "a call is late: a second one is made");
    let sent = AtomicBool::new(false);
    let second = pin!(async {
        let admission = admit(model, ask).await;
        sent.store(true, Ordering::SeqCst);
        exchange_timed(model, ask, admission).await
    });
    // The most that the one that is given up may cost.
    let given_up = Usage {
        prompt: u64::from(prompt_bound(ask.request)),
        cached_prompt: 0,
        decode: u64::from(ask.n) * u64::from(ask.request.decoding.max_tokens),
        calls: 1,
    };
    let was_sent = || sent.load(Ordering::SeqCst);
    let (attempted, extra) = match select(first.as_mut(), second).await {
        Either::Left((Err(failed), _)) if !was_sent() => (Err(failed), nothing),
        Either::Left((Err(failed), second)) => {
            model.overheard(&failed.failure);
            (second.await.map(|answer| since(began, answer)), failed.taken())
        }
        Either::Right((Err(failed), first)) => {
            model.overheard(&failed.failure);
            (first.await, failed.taken())
        }
        Either::Right((Ok(answer), _)) => (Ok(since(began, answer)), given_up),
        Either::Left((Ok(answer), _)) => (Ok(answer), if was_sent() { given_up } else { nothing }),
    };
    toll.end(1, ask.n, extra);
    (attempted, extra)
}

/// An answer with the time that whoever waits for it has waited.
fn since<T>(began: Instant, (answer, _): (T, u64)) -> (T, u64) {
    (answer, microseconds(began.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agenttts_core::{Decoding, Message, Request, Temperature};

    fn request(max_tokens: u32) -> Request {
        let temperature = Temperature::new(0.7).unwrap();
        let decoding = Decoding { temperature, top_p: None, max_tokens, stop: vec![], constraint: None };
        Request { messages: vec![Message::user("x")], decoding }
    }

    fn ask(request: &Request, n: u32) -> Ask<'_> {
        Ask { request, n, seed: 0, on_text: None, trace: None }
    }

    fn hedge(quantile: f64, latencies: impl IntoIterator<Item = u64>, request: &Request) -> Hedge {
        let hedge = Hedge::new(Some(quantile));
        latencies.into_iter().for_each(|ms| hedge.learn(ask(request, 1), Duration::from_millis(ms)));
        hedge
    }

    #[test]
    fn a_call_is_late_beyond_the_quantile_of_its_kind() {
        let (short, long) = (request(10), request(1000));
        let hedge = hedge(0.9, 1..=20, &short);
        assert_eq!(hedge.patience(ask(&short, 1)), Some(Duration::from_millis(18)));
        assert_eq!(hedge.patience(ask(&short, 2)), None, "nothing is known of two samples");
        assert_eq!(hedge.patience(ask(&long, 1)), None, "nor of longer texts");
    }

    #[test]
    fn nothing_is_late_before_enough_is_known_and_the_latest_count() {
        let short = request(10);
        assert_eq!(hedge(0.9, 1..=15, &short).patience(ask(&short, 1)), None);
        let hedge = hedge(0.9, (0..200).map(|_| 900).chain((0..64).map(|_| 5)), &short);
        assert_eq!(hedge.patience(ask(&short, 1)), Some(Duration::from_millis(5)));
    }

    #[test]
    fn kinds_that_take_turns_forget_alike() {
        let (short, long) = (request(10), request(1000));
        let hedge = Hedge::new(Some(0.9));
        for ms in [900; 64].into_iter().chain([5; 64]) {
            hedge.learn(ask(&short, 1), Duration::from_millis(ms));
            hedge.learn(ask(&long, 1), Duration::from_millis(ms));
        }
        assert_eq!(hedge.patience(ask(&short, 1)), Some(Duration::from_millis(5)));
        assert_eq!(hedge.patience(ask(&long, 1)), Some(Duration::from_millis(5)));
    }

    #[test]
    fn without_the_option_no_call_is_late() {
        let short = request(10);
        let never = Hedge::new(None);
        (0..100).for_each(|_| never.learn(ask(&short, 1), Duration::from_millis(5)));
        assert_eq!(never.patience(ask(&short, 1)), None);
    }

    #[test]
    fn second_calls_are_at_most_twice_the_share_that_is_late_in_ordinary_times() {
        let short = request(10);
        let hedge = Hedge::new(Some(0.95));
        let mut made = 0;
        for _ in 0..1000 {
            hedge.learn(ask(&short, 1), Duration::from_millis(5));
            made += u32::from(hedge.take());
        }
        assert!((95..=100).contains(&made), "{made} of 1000");
    }
}
