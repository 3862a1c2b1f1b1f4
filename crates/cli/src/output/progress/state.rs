//! What a display knows of a study: counted from its events.

use agenttts_core::pipeline::SearchBudget;
use agenttts_core::{CostModel, StudySummary};
use agenttts_engine::{Event, Leader, Spent};

use crate::output::number::{cost, duration, of_limit, percent, score};

/// What a display knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) cost_model: CostModel,
    /// The study's name, once it has begun.
    pub(super) study: Option<String>,
    limits: Vec<(&'static str, f64)>,
    /// Examples that trials ran on, in all sessions.
    run: u32,
    /// Examples of a trial on the whole search split.
    whole: u32,
    /// The most trials, in wholes of the search split.
    pub(super) trials: u32,
    /// The plan that leads.
    pub(super) best: Option<Leader>,
    pub(super) spent: Spent,
    /// Seconds, and examples that trials had run on, when this session began.
    session_start: Option<(f64, u32)>,
}

impl State {
    pub(super) fn new(budget: &SearchBudget, cost_model: CostModel, before: Option<&StudySummary>) -> Self {
        let limits = [
            ("tokens", budget.tokens.map(|v| v as f64)),
            ("calls", budget.calls.map(|v| v as f64)),
            ("minutes", budget.minutes),
        ];
        let best = before.and_then(|s| Leader::of(&s.archive));
        State {
            cost_model,
            study: None,
            limits: limits.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect(),
            run: before.map_or(0, |s| s.archive.measured().map(|(_, m)| m.objective.n).sum()),
            whole: before.map_or(1, |s| s.search_examples.max(1)),
            trials: 0,
            best,
            spent: Spent::default(),
            session_start: None,
        }
    }

    /// Takes in an event.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Started { study, trials, examples, .. } => {
                self.whole = (*examples).max(1);
                self.study = Some(study.clone());
                self.trials = *trials;
            }
            Event::Progress { spent, .. } => self.spend(*spent),
            Event::TrialMeasured { leader, spent, objective, .. } => {
                self.spend(*spent);
                self.run += objective.n;
                self.best.clone_from(leader);
            }
            _ => {}
        }
    }

    /// Trials made, in wholes of the search split.
    pub(super) fn made(&self) -> u32 {
        self.run / self.whole
    }

    fn spend(&mut self, spent: Spent) {
        self.session_start.get_or_insert((spent.seconds, self.run));
        self.spent = spent;
    }

    /// `trial 5  0.725 [0.572, 0.839] n=40  431 GFLOP  small x4 vote T=0.7`.
    pub(super) fn best_line(&self) -> String {
        match &self.best {
            None => "nothing measured yet".into(),
            Some(b) => {
                let (quality, price) = (score(&b.objective), cost(self.cost_model, b.cost));
                format!("trial {}  {quality} n={}  {price}  {}", b.trial, b.objective.n, b.plan)
            }
        }
    }

    /// What is spent, against each limit.
    pub(super) fn spend_line(&self) -> String {
        let usage = self.spent.usage;
        let limit = |name: &str| self.limits.iter().find(|(n, _)| *n == name).map(|(_, limit)| *limit);
        let part = |name: &str, used: f64| match limit(name) {
            Some(limit) => format!("{} of {}", of_limit(name, used), of_limit(name, limit)),
            None => of_limit(name, used),
        };
        let mut parts = vec![part("tokens", usage.tokens() as f64), part("calls", usage.calls as f64)];
        parts.push(match limit("minutes") {
            Some(minutes) => format!("{} of {}", duration(self.spent.seconds), duration(minutes * 60.0)),
            None => duration(self.spent.seconds),
        });
        if let Some(name) = self.spent.limit.map(|l| l.name()) {
            parts.push(format!("{} of the {name} limit", percent(self.spent.share)));
        }
        parts.join(", ")
    }

    /// Seconds until the search ends, by its pace so far: at its trials or at the limit that it reaches first.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        let (start, before) = self.session_start?;
        let (elapsed, done) = (self.spent.seconds - start, self.run - before);
        let by_trials = (done > 0 && elapsed > 0.0).then(|| {
            elapsed / f64::from(done) * f64::from(self.trials.saturating_mul(self.whole).saturating_sub(self.run))
        });
        let share = self.spent.share;
        let by_limit = (share > 0.02).then(|| self.spent.seconds / share * (1.0 - share).max(0.0));
        match (by_trials, by_limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, _) => a,
        }
    }

    /// `about 3m 12s left`.
    pub(super) fn left_line(&self) -> String {
        self.seconds_left().map_or_else(String::new, |s| format!("about {} left", duration(s)))
    }
}
