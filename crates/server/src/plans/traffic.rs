//! What a plan did since the server began, and lately.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agenttts_core::{CostModel, Usage};
use agenttts_engine::Reading;
use schemars::JsonSchema;
use serde::Serialize;

/// Requests of a plan that drift is judged by.
const WINDOW: usize = 500;

/// What a plan did. Counts everything that it was asked; nothing is ever left out.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    recent: VecDeque<Recent>,
}

/// Since the server began.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Traffic")]
pub(crate) struct Totals {
    /// Requests by how they ended.
    pub(crate) requests: BTreeMap<&'static str, u64>,
    /// As billed.
    pub(crate) usage: Usage,
    /// Dollars, where the models have prices; with the most that given-up calls can have cost.
    pub(crate) usd: f64,
    /// Tokens, with the most that given-up calls can have taken.
    pub(crate) tokens_at_most: u64,
    /// Seconds of all requests together.
    pub(crate) seconds: f64,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Recent {
    failed: bool,
    seconds: f64,
    answer: Option<AnswerFacts>,
}

/// What drift is judged by of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AnswerFacts {
    /// In units of the cost model.
    pub(crate) cost: f64,
    /// How far its samples agreed.
    pub(crate) agreement: Option<f64>,
    /// The share of its samples that could not be read.
    pub(crate) unread: Option<f64>,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// `ok`, or why not.
    pub(crate) outcome: &'static str,
    pub(crate) seconds: f64,
    pub(crate) took: Reading,
    /// Of each answer.
    pub(crate) answers: Vec<AnswerFacts>,
}

/// The values of the last requests that the plan itself answered or failed at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) failed: Vec<f64>,
    pub(crate) seconds: Vec<f64>,
    pub(crate) cost: Vec<f64>,
    pub(crate) agreement: Vec<f64>,
    pub(crate) unread: Vec<f64>,
}

impl Traffic {
    /// Books a request.
    pub(crate) fn book(&self, ended: &Ended) {
        let mut state = self.lock();
        let State { totals, recent } = &mut *state;
        *totals.requests.entry(ended.outcome).or_default() += 1;
        totals.usage += ended.took.usage;
        totals.usd += CostModel::Usd.units(ended.took.amounts.usd);
        totals.tokens_at_most += ended.took.amounts.tokens;
        totals.seconds += ended.seconds;
        // What clients gave up, or limited too tightly, says nothing of the plan.
        let failed = match ended.outcome {
            "ok" => false,
            "failed" | "upstream" | "no-answer" => true,
            _ => return,
        };
        let seconds = ended.seconds;
        if ended.answers.is_empty() {
            recent.push_back(Recent { failed, seconds, answer: None });
        }
        for answer in &ended.answers {
            recent.push_back(Recent { failed, seconds, answer: Some(*answer) });
        }
        while recent.len() > WINDOW {
            recent.pop_front();
        }
    }

    /// Since the server began.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    /// The last requests.
    pub(crate) fn window(&self) -> Window {
        let state = self.lock();
        let recent = &state.recent;
        let answered = recent.iter().filter(|r| !r.failed);
        let facts = || answered.clone().filter_map(|r| r.answer);
        Window {
            failed: recent.iter().map(|r| f64::from(u8::from(r.failed))).collect(),
            seconds: answered.clone().map(|r| r.seconds).collect(),
            cost: facts().map(|a| a.cost).collect(),
            agreement: facts().filter_map(|a| a.agreement).collect(),
            unread: facts().filter_map(|a| a.unread).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: &'static str, answers: Vec<(f64, Option<f64>)>) -> Ended {
        let answers =
            answers.into_iter().map(|(cost, agreement)| AnswerFacts { cost, agreement, unread: None }).collect();
        Ended { outcome, seconds: 1.0, took: Reading::default(), answers }
    }

    #[test]
    fn every_request_counts_and_drift_sees_what_the_plan_did() {
        let traffic = Traffic::default();
        traffic.book(&ended("ok", vec![(2.0, Some(0.5)), (4.0, None)]));
        traffic.book(&ended("cancelled", vec![]));
        traffic.book(&ended("upstream", vec![]));
        assert_eq!(traffic.totals().requests, BTreeMap::from([("ok", 1), ("cancelled", 1), ("upstream", 1)]));
        let window = traffic.window();
        assert_eq!(window.failed, [0.0, 0.0, 1.0]);
        assert_eq!((window.cost, window.agreement), (vec![2.0, 4.0], vec![0.5]));
    }

    #[test]
    fn the_window_is_bounded() {
        let traffic = Traffic::default();
        for i in 0..2 * WINDOW {
            traffic.book(&ended("ok", vec![(i as f64, None)]));
        }
        assert_eq!(traffic.window().cost.len(), WINDOW);
        assert_eq!(traffic.window().cost[0], WINDOW as f64);
    }
}
