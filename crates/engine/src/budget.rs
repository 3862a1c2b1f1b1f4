//! The search budget of a study: its limits, what is set aside for the confirmation, and the clock.

use std::sync::Mutex;
use std::time::Instant;

use agenttts_core::pipeline::SearchBudget;
use agenttts_core::{CallTokens, Cost, CostModel, ModelSpec, Usage};
use agenttts_store::{Amounts, Limits};

use crate::event::{Limit, Spent};

/// The limits of a study while it runs.
pub(crate) struct Budget {
    limits: SearchBudget,
    /// What searching must leave for the confirmation; zero once the confirmation runs.
    aside: Mutex<Aside>,
    started: Instant,
    /// Seconds of earlier sessions.
    before: f64,
}

/// What is set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Aside {
    pub(crate) amounts: Amounts,
    pub(crate) seconds: f64,
}

impl Budget {
    /// `before` is the seconds of earlier sessions.
    pub(crate) fn new(limits: SearchBudget, before: f64) -> Self {
        Budget { limits, aside: Mutex::new(Aside::default()), started: Instant::now(), before }
    }

    /// Sets what searching must leave over.
    pub(crate) fn set_aside(&self, aside: Aside) {
        *lock(&self.aside) = aside;
    }

    /// The same, but at most half of each limit: a confirmation that is dearer than the search it confirms may fail, the
    /// search must not.
    pub(crate) fn at_most_half(&self, aside: Aside) -> Aside {
        let least = |a: u64, limit: Option<u64>| limit.map_or(a, |l| a.min(l / 2));
        let least_cost = |a: Cost, limit: Option<Cost>| limit.map_or(a, |l| a.min(Cost(l.0 / 2)));
        Aside {
            amounts: Amounts {
                tokens: least(aside.amounts.tokens, self.limits.tokens),
                usd: least_cost(aside.amounts.usd, self.limits.usd),
                flops: least_cost(aside.amounts.flops, self.limits.flops),
                calls: least(aside.amounts.calls, self.limits.calls),
            },
            seconds: self.limits.minutes.map_or(aside.seconds, |m| aside.seconds.min(m * 30.0)),
        }
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
        let aside = lock(&self.aside).seconds;
        let time = |minutes: f64| at_rate(minutes * 60.0 - aside - self.seconds(), self.seconds());
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

    /// Whether the time is up, but for what is set aside.
    pub(crate) fn time_is_up(&self) -> Option<String> {
        let minutes = self.limits.minutes?;
        let aside = lock(&self.aside).seconds;
        (self.seconds() > minutes * 60.0 - aside)
            .then(|| format!("{:.1} of {minutes} minutes are used", self.seconds() / 60.0))
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
        budget.set_aside(Aside { amounts: Amounts { tokens: 1_500, ..Amounts::default() }, seconds: 0.0 });
        assert_eq!(budget.tokens_left(spent), Some(2_500.0));
    }
}
