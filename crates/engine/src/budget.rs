//! The search budget of a study: its limits, what is set aside for the confirmation, and the clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use agenttts_core::pipeline::SearchBudget;
use agenttts_core::{CallTokens, Cost, CostModel, ModelSpec, Usage};
use agenttts_store::{Amounts, Limits};

use crate::event::{Limit, Spent};
use crate::pace::{Pace, Work};

/// The limits of a study while it runs.
pub(crate) struct Budget {
    limits: SearchBudget,
    /// What searching must leave for the confirmation; nothing once the confirmation runs.
    aside: Mutex<Aside>,
    pace: Pace,
    started: Instant,
    /// Seconds of earlier sessions.
    before: f64,
}

/// What is set aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Aside {
    pub(crate) amounts: Amounts,
    pub(crate) time: TestTime,
}

/// What the time of a test is estimated from, anew whenever a call was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TestTime {
    /// Without this there is no test; nothing where no test is to come.
    pub(crate) core: Vec<Work>,
    /// These may be left out.
    pub(crate) extra: Vec<Work>,
    /// Examples that run side by side.
    pub(crate) width: usize,
    /// The share of a search's tokens that the test takes: all that is known before the first call was measured.
    pub(crate) share: f64,
    /// Whether there is something to be tested. Until then searching has at least half of the time.
    pub(crate) measured: bool,
}

/// Room for tests that take longer than searching lets expect.
const MARGIN: f64 = 1.25;

/// Room for what is no call: this share of the limit, and so many seconds at most.
const LEAST: (f64, f64) = (0.05, 2.0);

impl TestTime {
    /// Seconds to set aside of so many.
    fn seconds(&self, pace: &Pace, of: f64) -> f64 {
        if self.core.is_empty() {
            return 0.0;
        }
        let half = of / 2.0;
        let total = |work: &[Work]| work.iter().map(|w| w.seconds(pace, self.width)).sum::<Option<f64>>();
        let (Some(core), Some(extra)) = (total(&self.core), total(&self.extra)) else {
            return (of * self.share).min(half);
        };
        let least = (of * LEAST.0).min(LEAST.1);
        let (core, all) = (core * MARGIN + least, (core + extra) * MARGIN + least);
        if self.measured { all.min(half).max(core) } else { all.min(half) }
    }
}

impl Budget {
    /// `before` is the seconds of earlier sessions.
    pub(crate) fn new(limits: SearchBudget, before: f64) -> Self {
        Budget { limits, aside: Mutex::new(Aside::default()), pace: Pace::default(), started: Instant::now(), before }
    }

    /// Sets what searching must leave over.
    pub(crate) fn set_aside(&self, aside: Aside) {
        *lock(&self.aside) = aside;
    }

    /// How long calls take.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether amounts are at most half of each limit: what is set aside for a confirmation is no more, lest it leave nothing to be
    /// confirmed.
    pub(crate) fn is_within_half(&self, amounts: Amounts) -> bool {
        self.at_most_half(amounts) == amounts
    }

    /// At most half of each limit.
    pub(crate) fn at_most_half(&self, amounts: Amounts) -> Amounts {
        let least = |a: u64, limit: Option<u64>| limit.map_or(a, |l| a.min(l / 2));
        let least_cost = |a: Cost, limit: Option<Cost>| limit.map_or(a, |l| a.min(Cost(l.0 / 2)));
        Amounts {
            tokens: least(amounts.tokens, self.limits.tokens),
            usd: least_cost(amounts.usd, self.limits.usd),
            flops: least_cost(amounts.flops, self.limits.flops),
            calls: least(amounts.calls, self.limits.calls),
        }
    }

    /// The limit of which less is left than that, and what is left, in words; whatever is set aside.
    pub(crate) fn lacking(&self, need: Amounts, spent: Amounts) -> Option<(Limit, String)> {
        let count = |need: u64, spent: u64, limit: Option<u64>, what: &str| {
            let left = limit?.saturating_sub(spent);
            (need > left).then(|| format!("about {need} {what}, and {left} are left"))
        };
        let cost = |need: Cost, spent: Cost, limit: Option<Cost>, model: CostModel| {
            let left = (limit? - spent).max(Cost::ZERO);
            (need > left).then(|| format!("about {}, and {} are left", model.display(need), model.display(left)))
        };
        let limits = &self.limits;
        None.or_else(|| Some((Limit::Tokens, count(need.tokens, spent.tokens, limits.tokens, "tokens")?)))
            .or_else(|| Some((Limit::Usd, cost(need.usd, spent.usd, limits.usd, CostModel::Usd)?)))
            .or_else(|| Some((Limit::Flops, cost(need.flops, spent.flops, limits.flops, CostModel::Flops)?)))
            .or_else(|| Some((Limit::Calls, count(need.calls, spent.calls, limits.calls, "calls")?)))
    }

    /// The limits that a reservation is checked against now.
    pub(crate) fn limits(&self) -> Limits {
        let aside = lock(&self.aside).amounts;
        Limits {
            tokens: self.limits.tokens.map(|l| l.saturating_sub(aside.tokens)),
            usd: self.limits.usd.map(|l| l - aside.usd),
            flops: self.limits.flops.map(|l| l - aside.flops),
            calls: self.limits.calls.map(|l| l.saturating_sub(aside.calls)),
        }
    }

    /// What is left of the limits, but for what is set aside, in tokens. Other limits are converted at the rate of what
    /// was spent so far; `None` without a limit, or where only others are set and nothing was spent yet.
    pub(crate) fn tokens_left(&self, spent: Amounts) -> Option<f64> {
        let limits = self.limits();
        let at_rate =
            |left: f64, used: f64| (spent.tokens > 0 && used > 0.0).then(|| left.max(0.0) / used * spent.tokens as f64);
        let left = |limit: Cost, used: Cost| at_rate((limit.0 - used.0) as f64, used.0 as f64);
        let calls = |limit: u64| at_rate(limit as f64 - spent.calls as f64, spent.calls as f64);
        let time = |minutes: f64| at_rate(minutes * 60.0 - self.aside_seconds() - self.seconds(), self.seconds());
        let all = [
            limits.tokens.map(|l| l.saturating_sub(spent.tokens) as f64),
            limits.usd.and_then(|l| left(l, spent.usd)),
            limits.flops.and_then(|l| left(l, spent.flops)),
            limits.calls.and_then(calls),
            self.limits.minutes.and_then(time),
        ];
        all.into_iter().flatten().min_by(f64::total_cmp)
    }

    /// Seconds over all sessions.
    pub(crate) fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Seconds that are set aside now.
    fn aside_seconds(&self) -> f64 {
        let all = self.limits.minutes.unwrap_or(0.0) * 60.0;
        lock(&self.aside).time.seconds(&self.pace, all)
    }

    /// Whether no further call may begin: the time is up, but for what is set aside, and while something is, for what calls
    /// that are under way will take.
    pub(crate) fn time_is_up(&self) -> Option<String> {
        let minutes = self.limits.minutes?;
        let aside = self.aside_seconds();
        let drain = if aside > 0.0 { self.pace.typical() } else { 0.0 };
        (self.seconds() > minutes * 60.0 - aside - drain).then(|| self.used_time(minutes))
    }

    /// Resolves when no more than what is set aside is left of the time: even calls that are under way cannot be awaited
    /// then. Never where the time is not limited.
    pub(crate) async fn last_moment(&self) -> String {
        // What is set aside changes with what is measured.
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        let Some(minutes) = self.limits.minutes else { return std::future::pending().await };
        loop {
            let left = minutes * 60.0 - self.aside_seconds() - self.seconds();
            if left <= 0.0 {
                return self.used_time(minutes);
            }
            tokio::time::sleep(Duration::from_secs_f64(left).min(LOOK_AGAIN)).await;
        }
    }

    /// What is left of the time, whatever is set aside; `None` without a limit.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let left = self.limits.minutes? * 60.0 - self.seconds();
        Some(Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(Duration::MAX))
    }

    fn used_time(&self, minutes: f64) -> String {
        let aside = self.aside_seconds();
        let aside =
            if aside > 0.0 { format!(", and the final test needs about {:.1}", aside / 60.0) } else { String::new() };
        format!("{:.1} of {minutes} minutes are used{aside}", self.seconds() / 60.0)
    }

    /// What is spent, with the limit that is nearest to its end.
    pub(crate) fn spent(&self, spent: Amounts, usage: Usage) -> Spent {
        let ratio = |used: f64, limit: f64| if limit > 0.0 { used / limit } else { 1.0 };
        let shares = [
            (Limit::Tokens, self.limits.tokens.map(|l| ratio(spent.tokens as f64, l as f64))),
            (Limit::Usd, self.limits.usd.map(|l| ratio(spent.usd.0 as f64, l.0 as f64))),
            (Limit::Flops, self.limits.flops.map(|l| ratio(spent.flops.0 as f64, l.0 as f64))),
            (Limit::Calls, self.limits.calls.map(|l| ratio(spent.calls as f64, l as f64))),
            (Limit::Minutes, self.limits.minutes.map(|l| ratio(self.seconds(), l * 60.0))),
        ];
        let nearest = shares.into_iter().filter_map(|(l, s)| Some((l, s?))).max_by(|a, b| a.1.total_cmp(&b.1));
        Spent { usage, seconds: self.seconds(), share: nearest.map_or(0.0, |(_, s)| s), limit: nearest.map(|(l, _)| l) }
    }
}

/// What a call takes in every unit that can be limited. Units for which the model lacks a fact count as nothing: limits
/// in them are refused before a study begins.
pub(crate) fn amounts(model: &ModelSpec, call: &CallTokens) -> Amounts {
    let in_units = |cost_model: CostModel| cost_model.call(model, call).unwrap_or(Cost::ZERO);
    Amounts {
        tokens: call.prompt * u64::from(call.prompts) + call.decode,
        usd: in_units(CostModel::Usd),
        flops: in_units(CostModel::Flops),
        calls: u64::from(call.prompts),
    }
}

/// The most that an attempt at a call can take, of a prompt and samples of so many tokens at most: every prompt, and every
/// sample decoded to its end.
pub(crate) fn most_of_attempt(model: &ModelSpec, (prompt, decode): (u64, u64), prompts: u32, samples: u32) -> Amounts {
    let call = CallTokens {
        prompt,
        cached_prompt: 0,
        prompts,
        samples,
        decode: decode * u64::from(samples),
        latency_us: Some(0),
    };
    amounts(model, &call)
}

/// What a call for `n` samples took in every such unit, by what was billed for it.
pub(crate) fn billed(model: &ModelSpec, usage: &Usage, n: u32) -> Amounts {
    let calls = usage.calls.max(1);
    let tokens = CallTokens {
        prompt: usage.prompt.div_ceil(calls),
        cached_prompt: usage.cached_prompt / calls,
        prompts: u32::try_from(calls).unwrap_or(u32::MAX),
        samples: n,
        decode: usage.decode,
        latency_us: Some(0),
    };
    Amounts { tokens: usage.tokens(), calls: usage.calls, ..amounts(model, &tokens) }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere cannot leave plain numbers half-written.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_counts_in_tokens_whatever_is_limited() {
        let spent = Amounts { tokens: 1_000, calls: 10, ..Amounts::default() };
        let left = |limits: SearchBudget, spent| Budget::new(limits, 0.0).tokens_left(spent);
        let tokens = SearchBudget { tokens: Some(5_000), ..SearchBudget::default() };
        assert_eq!(left(tokens, spent), Some(4_000.0));
        let calls = SearchBudget { calls: Some(30), ..SearchBudget::default() };
        assert_eq!(left(calls, spent), Some(2_000.0), "a hundred tokens a call");
        assert_eq!(left(calls, Amounts::default()), None, "nothing tells the rate yet");
        assert_eq!(left(SearchBudget { calls: Some(11), ..tokens }, spent), Some(100.0), "the tightest counts");
        assert_eq!(left(SearchBudget::default(), spent), None);

        let budget = Budget::new(tokens, 0.0);
        budget.set_aside(Aside { amounts: Amounts { tokens: 1_500, ..Amounts::default() }, ..Aside::default() });
        assert_eq!(budget.tokens_left(spent), Some(2_500.0));
    }

    #[test]
    fn time_for_the_test_is_set_aside_from_the_first_moment_and_follows_what_is_measured() {
        let work = |examples| Work { examples, calls: vec![("a".into(), 1, 1.0)] };
        let time = TestTime { core: vec![work(40.0)], extra: vec![work(40.0)], width: 4, share: 0.1, measured: false };
        let pace = Pace::default();
        let seconds = |time: &TestTime| time.seconds(&pace, 100.0);
        assert_eq!(seconds(&time), 10.0, "by the forecast's share");
        pace.note("a", 1, 1.0);
        assert_eq!(seconds(&time), 27.0, "ten rounds, twice, and a quarter more; and two seconds");
        pace.note("a", 1, 5.0);
        assert_eq!(seconds(&time), 50.0, "at most half while nothing is measured");
        let measured = TestTime { measured: true, ..time };
        assert_eq!(seconds(&measured), 50.0, "the others are left out before the half is passed");
        pace.note("a", 1, 9.0);
        assert_eq!(seconds(&measured), 64.5, "but never what makes the test");
        assert_eq!(seconds(&TestTime::default()), 0.0);
    }
}
