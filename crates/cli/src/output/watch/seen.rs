//! What is known of a study that is watched: read from its store, never all of its trials at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agenttts_core::{Estimate, Plan, StudyState, StudySummary, Trial};
use agenttts_engine::{EngineError, Event, Fate, Glance, Said, TrialIndex, View};
use agenttts_store::Store;

use crate::failure::Failure;
use crate::output::progress::line;

/// Events that are kept to be shown.
const MOST_EVENTS: usize = 200;

/// How long a look waits for what takes longer: keys must not wait.
const PATIENCE: Duration = Duration::from_millis(80);

/// Points of the chart at the most.
const MOST_POINTS: usize = 2_000;

/// A study that is watched.
pub(crate) struct Watching {
    view: Arc<View>,
    seq: i64,
    pub(super) seen: Seen,
}

/// What is known of it.
pub(super) struct Seen {
    pub(super) glance: Glance,
    /// Its summary without trials.
    pub(super) outline: StudySummary,
    /// Whether all that it spent is added up.
    pub(super) is_added_up: bool,
    /// Whether all its trials are read.
    pub(super) is_complete: bool,
    /// Trials measured.
    pub(super) measured: usize,
    /// Examples that they ran on.
    run: u64,
    pub(super) best: Option<Best>,
    /// The plan that led, from a trial on.
    pub(super) leads: Vec<(u32, Estimate)>,
    /// The last trial measured.
    pub(super) last_measured: u32,
    pub(super) front: Vec<Row>,
    /// Whether the front goes by what is believed of plans, or by their own means.
    pub(super) is_believed: bool,
    /// The newest events last.
    pub(super) events: VecDeque<Happened>,
    /// What the study is doing.
    pub(super) now: Option<String>,
    /// Seconds that it had run, and when that was, in milliseconds since 1970.
    clock: Option<(f64, i64)>,
    /// When this was looked at.
    looked_ms: i64,
}

/// The plan that leads, or is recommended.
pub(super) struct Best {
    pub(super) trial: u32,
    pub(super) plan: Plan,
    pub(super) objective: Estimate,
    pub(super) cost: f64,
    pub(super) is_recommended: bool,
}

/// A plan or trial in a table.
pub(super) struct Row {
    pub(super) trial: u32,
    pub(super) plan: Plan,
    pub(super) fate: Fate,
    pub(super) objective: Estimate,
    pub(super) cost: f64,
    pub(super) failures: u32,
}

/// An event that is worth a line.
pub(super) struct Happened {
    /// Milliseconds since 1970.
    pub(super) ms: i64,
    /// In words.
    pub(super) line: String,
}

impl Watching {
    /// Begins with what is there. The second reader, where there is one, is for what takes long.
    pub(crate) fn begin(store: Store, bulk: Option<Store>, study: &str) -> Result<Self, Failure> {
        let bulk = bulk.unwrap_or_else(|| store.clone());
        let view = Arc::new(View::open(store, bulk, study, PATIENCE)?);
        let glance = view.glance()?;
        let (outline, is_added_up) = view.outline().map_err(shared)?;
        let last = view.store().last_events(view.looked().id(), MOST_EVENTS as u32)?;
        let seq = last.first().map_or(0, |(seq, _, _)| *seq);
        let seen = Seen {
            glance,
            outline,
            is_added_up,
            is_complete: false,
            measured: 0,
            run: 0,
            best: None,
            leads: Vec::new(),
            last_measured: 0,
            front: Vec::new(),
            is_believed: false,
            events: VecDeque::new(),
            now: None,
            clock: None,
            looked_ms: now_ms(),
        };
        let mut watching = Watching { view, seq, seen };
        for (_, ms, json) in last.iter().rev() {
            watching.seen.take_in(*ms, json);
        }
        watching.look_at_trials()?;
        Ok(watching)
    }

    /// Waits until all trials are read, but not for ever: for those who look once.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        const TRIES: usize = 400;
        for _ in 0..TRIES {
            if self.seen.is_complete && self.seen.is_added_up && self.seen.front_is_final() {
                break;
            }
            std::thread::sleep(PATIENCE / 2);
            self.look()?;
        }
        Ok(())
    }

    /// Looks again; the lines of new events, oldest first.
    pub(super) fn look(&mut self) -> Result<Vec<String>, Failure> {
        let found = self.view.store().events_after(self.view.looked().id(), self.seq, MOST_EVENTS as u32)?;
        let mut lines = Vec::new();
        for (seq, ms, json) in found {
            self.seq = seq;
            lines.extend(self.seen.take_in(ms, &json));
        }
        self.seen.glance = self.view.glance()?;
        (self.seen.outline, self.seen.is_added_up) = self.view.outline().map_err(shared)?;
        self.seen.looked_ms = now_ms();
        self.look_at_trials()?;
        Ok(lines)
    }

    fn look_at_trials(&mut self) -> Result<(), Failure> {
        let said = self.view.summary(None).map_err(shared)?;
        let recommended = self.seen.outline.recommended.as_ref().map(|r| r.trial);
        let seen = &mut self.seen;
        self.view
            .index(|index| {
                let front = match &said {
                    Said::Summary(summary) => index.plans_of(&summary.pareto),
                    Said::Soon | Said::TooMuch => index.front(),
                };
                seen.is_believed = matches!(said, Said::Summary(_));
                seen.front = front.into_iter().map(of_plan).collect();
                seen.best = best(index, recommended);
                seen.leads = leads(index);
                let mut measured = index.lines.iter().filter(|l| l.fate == Fate::Measured);
                seen.measured = measured.clone().count();
                seen.run = measured.clone().map(|l| u64::from(l.objective.n)).sum();
                seen.last_measured = measured.next_back().map_or(0, |l| l.number);
                seen.is_complete = index.is_complete;
            })
            .map_err(shared)
    }

    /// Trials by how far they are from the newest, which is 0; and how many there are.
    pub(super) fn rows(&self, places: Range<usize>) -> Result<(Vec<Row>, usize), Failure> {
        let rows = self.view.index(|index| {
            let wanted = index.lines.iter().rev().skip(places.start).take(places.len());
            let row = |line: &agenttts_engine::TrialLine| Row {
                trial: line.number,
                plan: index.plans[line.plan as usize].plan.clone(),
                fate: line.fate,
                objective: line.objective,
                cost: line.cost,
                failures: line.failures,
            };
            (wanted.map(row).collect(), index.lines.len())
        });
        rows.map_err(shared)
    }

    /// A trial, whole.
    pub(super) fn trial(&self, number: u32) -> Result<Option<Trial>, Failure> {
        Ok(self.view.store().trials_of(self.view.looked().id(), &[number])?.pop())
    }

    /// Asks the process that runs the study to stop it; false where none does.
    pub(super) fn stop(&self) -> Result<bool, Failure> {
        Ok(self.view.store().ask_to_stop(self.view.name())?)
    }
}

impl Seen {
    /// Takes in a stored event, and returns its lines.
    fn take_in(&mut self, ms: i64, json: &str) -> Vec<String> {
        // One of another version says nothing here.
        let Ok(event) = serde_json::from_str::<Event>(json) else { return Vec::new() };
        let words = match &event {
            Event::Stopped { reason } => Some(format!("stopped: {reason}")),
            event => line::of(event, self.outline.cost_model, &|_, text| text.to_owned()),
        };
        // What models and data say must not steer a terminal.
        let plain = |line: &str| line.trim().replace(char::is_control, " ");
        let lines: Vec<String> = words.iter().flat_map(|words| words.lines()).map(plain).collect();
        self.events.extend(lines.iter().map(|line| Happened { ms, line: line.clone() }));
        while self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
        match &event {
            Event::TrialStarted { trial, plan } => self.now = Some(format!("trial {trial}: {plan}")),
            Event::Confirming { label, plan } => self.now = Some(format!("test split, {label}: {plan}")),
            Event::AgentAsked { .. } => self.now = Some("asking the agent".into()),
            Event::Started { resumed, .. } => {
                let before = self.clock.map_or(if *resumed { self.outline.spend.seconds } else { 0.0 }, |c| c.0);
                (self.now, self.clock) = (None, Some((before, ms)));
            }
            Event::TrialMeasured { spent, .. } => (self.now, self.clock) = (None, Some((spent.seconds, ms))),
            Event::AgentAnswered { .. } => self.now = None,
            Event::Stopped { .. } => (self.now, self.clock) = (None, None),
            _ => {}
        }
        lines
    }

    /// Whether a process works on it.
    pub(super) fn is_run(&self) -> bool {
        self.glance.is_run
    }

    /// How it stands, in words.
    pub(super) fn state(&self) -> &'static str {
        match (self.glance.state, self.is_run()) {
            (_, true) => "running",
            (StudyState::Running, false) => "killed: it can be resumed",
            (state, false) => crate::output::study::state(state),
        }
    }

    /// Whether nothing better will be said of the front.
    fn front_is_final(&self) -> bool {
        self.is_believed || self.measured > agenttts_engine::MOST_EXPLAINED || self.measured == 0
    }

    /// Seconds that it has run, over all its sessions.
    pub(super) fn seconds(&self) -> f64 {
        match self.clock {
            Some((seconds, ms)) if self.is_run() => seconds + (self.looked_ms - ms).max(0) as f64 / 1000.0,
            _ => self.outline.spend.seconds,
        }
    }

    /// Trials made, in wholes of the search split, and the most.
    pub(super) fn made(&self) -> (f64, Option<u32>) {
        (self.run as f64 / f64::from(self.outline.search_examples.max(1)), self.glance.most_trials)
    }

    /// What is used of every limit: its name, what is used, and the limit.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.outline.spend.limits.iter().map(|l| match l.what.as_str() {
            "minutes" => ("minutes", self.seconds() / 60.0, l.limit),
            what => (what, l.used, l.limit),
        })
    }

    /// Seconds until the search ends, by its pace so far: at its trials, or at the limit that it reaches first.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        let seconds = self.seconds();
        if !self.is_run() || seconds <= 0.0 {
            return None;
        }
        let (made, most) = self.made();
        let by_trials = most.filter(|_| made > 0.0).map(|most| seconds / made * (f64::from(most) - made).max(0.0));
        // A share that is hardly begun foretells nothing.
        let shares = self.limits().map(|(_, used, limit)| used / limit).filter(|share| *share > 0.02);
        let by_limits = shares.map(|share| seconds / share * (1.0 - share).max(0.0));
        by_trials.into_iter().chain(by_limits).min_by(f64::total_cmp)
    }
}

fn best(index: &TrialIndex, recommended: Option<u32>) -> Option<Best> {
    let chosen = recommended.and_then(|n| index.measured().find(|p| p.trials.contains(&n)));
    let leading = || index.leads.last().map(|lead| &index.plans[lead.plan as usize]);
    let plan = chosen.or_else(leading)?;
    Some(Best {
        trial: plan.first_trial()?,
        plan: plan.plan.clone(),
        objective: plan.objective,
        cost: plan.cost.mean,
        is_recommended: chosen.is_some(),
    })
}

fn leads(index: &TrialIndex) -> Vec<(u32, Estimate)> {
    // The last changes matter most, and no terminal shows more.
    let from = index.leads.len().saturating_sub(MOST_POINTS);
    index.leads[from..].iter().map(|lead| (lead.since, lead.objective)).collect()
}

fn of_plan(plan: &agenttts_engine::PlanLine) -> Row {
    Row {
        trial: plan.first_trial().unwrap_or(0),
        plan: plan.plan.clone(),
        fate: Fate::Measured,
        objective: plan.objective,
        cost: plan.cost.mean,
        failures: 0,
    }
}

fn shared(error: agenttts_engine::LookError) -> Failure {
    // Whoever waits for the same thing may hold it too: its words are enough then.
    match Arc::try_unwrap(error) {
        Ok(error) => Failure::Engine(error),
        Err(error) => match &*error {
            EngineError::Store(error) => Failure::from(error.clone()),
            other => Failure::Internal(other.to_string()),
        },
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
