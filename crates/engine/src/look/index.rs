//! A study's trials in memory, each as a line: what tables and plots of very many trials are made of.
//!
//! Filled from the store and then kept up to date by what is new, so that a view of 100,000 trials reads them once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use agenttts_core::{Archive, Estimate, Plan, Trial, Usage};
use agenttts_store::{Store, StoreError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Trials that are read at once; others may read the store in between.
const CHUNK: u32 = 2_000;

/// The weight of the average plan in a leader's score, as in `Archive::best`.
const CAUTION: f64 = 10.0;

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Proposed, and perhaps running.
    Pending,
    /// Run on all of its examples.
    Measured,
    /// Given up.
    Abandoned,
}

/// A trial.
#[derive(Clone, Copy, Debug)]
pub struct TrialLine {
    /// Its number.
    pub number: u32,
    /// Its round.
    pub round: u32,
    /// Its place in [`TrialIndex::plans`].
    pub plan: u32,
    /// Its place in [`TrialIndex::methods`].
    pub method: u32,
    /// What became of it.
    pub fate: Fate,
    /// What it measured; nothing where it was not measured.
    pub objective: Estimate,
    /// Mean cost of a query, in units of the cost model.
    pub cost: f64,
    /// Failed examples.
    pub failures: u32,
    /// Tokens that it drew.
    pub drawn: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A plan that was proposed, with all its measured trials pooled.
#[derive(Clone, Debug)]
pub struct PlanLine {
    /// The plan.
    pub plan: Plan,
    /// The plan in words, in lower case.
    pub words: String,
    /// Its measured trials.
    pub trials: Vec<u32>,
    /// The objective; nothing where it was not measured.
    pub objective: Estimate,
    /// What one query costs, in units of the cost model.
    pub cost: Estimate,
}

impl PlanLine {
    /// Its first measured trial; `None` where it was not measured.
    pub fn first_trial(&self) -> Option<u32> {
        self.trials.first().copied()
    }
}

/// The plan that led from a trial on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// The trial after which it led.
    pub since: u32,
    /// Its place in [`TrialIndex::plans`].
    pub plan: u32,
    /// Its objective then, all its trials pooled.
    pub objective: Estimate,
    /// Mean cost of a query then, in units of the cost model.
    pub cost: f64,
}

/// The trials of a study.
#[derive(Debug, Default)]
pub struct TrialIndex {
    /// All trials, by number.
    pub lines: Vec<TrialLine>,
    /// All plans, in order of their first trial.
    pub plans: Vec<PlanLine>,
    /// Who proposed.
    pub methods: Vec<String>,
    /// Who led since when.
    pub leads: Vec<Lead>,
    /// Whether all trials of the store were in it when it was last brought up to date.
    pub is_complete: bool,
    places: HashMap<Plan, u32>,
    /// Trials of which all earlier ones are settled too: they are never read again.
    settled: usize,
    /// Measured plans by the examples behind them, best first.
    ranks: BTreeMap<u32, BTreeSet<Rank>>,
    measured_plans: u32,
    sum_of_means: f64,
}

/// A measured plan among those with as many examples: higher mean first, then the cheaper, then the earlier.
type Rank = (Reverse<Ordered>, Ordered, u32, u32);

/// A number in its total order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What of a stored trial becomes a line. The rest, most of it, is passed over.
#[derive(Deserialize)]
struct StoredTrial {
    number: u32,
    round: u32,
    plan: Plan,
    origin: StoredOrigin,
    state: StoredState,
}

#[derive(Deserialize)]
struct StoredOrigin {
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredState {
    Pending,
    Measured(StoredMeasurement),
    Abandoned(#[allow(dead_code, reason = "names the type of what is stored")] serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct StoredMeasurement {
    objective: Estimate,
    cost: Estimate,
    failures: u32,
    drawn: Usage,
    seconds: f64,
}

impl TrialIndex {
    /// The measured plans, in order of their first trial.
    pub fn measured(&self) -> impl Iterator<Item = &PlanLine> {
        self.plans.iter().filter(|p| !p.trials.is_empty())
    }

    /// The measured plans with these first trials, in their order: a front that is known from elsewhere.
    pub fn plans_of(&self, first_trials: &[u32]) -> Vec<&PlanLine> {
        let places: HashMap<u32, &PlanLine> = self.measured().filter_map(|p| Some((p.first_trial()?, p))).collect();
        first_trials.iter().filter_map(|n| places.get(n).copied()).collect()
    }

    /// The measured plans that none is both cheaper and better than, by their own means, cheapest first.
    pub fn front(&self) -> Vec<&PlanLine> {
        let mut by_cost: Vec<&PlanLine> = self.measured().collect();
        by_cost.sort_by(|a, b| a.cost.mean.total_cmp(&b.cost.mean).then(b.objective.mean.total_cmp(&a.objective.mean)));
        let mut best = f64::NEG_INFINITY;
        by_cost.retain(|p| {
            let better = p.objective.mean > best;
            best = best.max(p.objective.mean);
            better
        });
        by_cost
    }

    /// Takes in some of what the store holds beyond what is known. Returns whether there is more.
    ///
    /// The first step of an update forgets the trials that were not settled: it reads them again.
    pub(super) fn step(&mut self, store: &Store, study: i64, is_first: bool) -> Result<bool, StoreError> {
        if is_first {
            self.lines.truncate(self.settled);
        }
        let from = self.lines.last().map_or(1, |l| l.number + 1);
        let mut read: Vec<StoredTrial> = Vec::new();
        store.visit_trials(study, from, CHUNK, &mut |json| {
            read.push(serde_json::from_str(json)?);
            Ok(())
        })?;
        let count = read.len();
        let again = self.tried_again(store, study, &read)?;
        for trial in read {
            self.add(trial, &again);
        }
        self.is_complete = count < CHUNK as usize;
        Ok(!self.is_complete)
    }

    /// All trials of the plans of which these are not the first measured trials.
    fn tried_again(&self, store: &Store, study: i64, read: &[StoredTrial]) -> Result<HashMap<u32, Trial>, StoreError> {
        let mut seen: HashMap<&Plan, Vec<u32>> = HashMap::new();
        let mut wanted = BTreeSet::new();
        for trial in read.iter().filter(|t| matches!(t.state, StoredState::Measured(_))) {
            let known = || {
                let place = self.places.get(&trial.plan);
                place.map(|&place| self.plans[place as usize].trials.clone()).unwrap_or_default()
            };
            let trials = seen.entry(&trial.plan).or_insert_with(known);
            trials.push(trial.number);
            if trials.len() > 1 {
                wanted.extend(trials.iter().copied());
            }
        }
        let wanted: Vec<u32> = wanted.into_iter().collect();
        Ok(store.trials_of(study, &wanted)?.into_iter().map(|t| (t.number, t)).collect())
    }

    fn add(&mut self, trial: StoredTrial, again: &HashMap<u32, Trial>) {
        let StoredTrial { number, round, plan, origin, state } = trial;
        let plan = self.plan(plan);
        let method = match self.methods.iter().position(|m| *m == origin.method) {
            Some(known) => known as u32,
            None => {
                self.methods.push(origin.method);
                self.methods.len() as u32 - 1
            }
        };
        let mut line = TrialLine {
            number,
            round,
            plan,
            method,
            fate: Fate::Pending,
            objective: Estimate::of_values(&[]),
            cost: 0.0,
            failures: 0,
            drawn: 0,
            seconds: 0.0,
        };
        // Trials run in order, so what follows a pending one is pending too, or given up.
        let all_settled = self.settled == self.lines.len();
        match state {
            StoredState::Pending => {}
            StoredState::Abandoned(_) => line.fate = Fate::Abandoned,
            StoredState::Measured(m) => {
                line.fate = Fate::Measured;
                line.objective = m.objective;
                line.cost = m.cost.mean;
                line.failures = m.failures;
                line.drawn = m.drawn.tokens();
                line.seconds = m.seconds;
                if all_settled {
                    self.measure(number, plan, &m, again);
                }
            }
        }
        self.lines.push(line);
        if all_settled && line.fate != Fate::Pending {
            self.settled = self.lines.len();
        }
    }

    fn plan(&mut self, plan: Plan) -> u32 {
        if let Some(&known) = self.places.get(&plan) {
            return known;
        }
        let place = self.plans.len() as u32;
        self.plans.push(PlanLine {
            words: plan.to_string().to_lowercase(),
            plan: plan.clone(),
            trials: Vec::new(),
            objective: Estimate::of_values(&[]),
            cost: Estimate::of_values(&[]),
        });
        self.places.insert(plan, place);
        place
    }

    /// Counts a measured trial in, and sees who leads then.
    fn measure(&mut self, number: u32, place: u32, measured: &StoredMeasurement, again: &HashMap<u32, Trial>) {
        let line = &mut self.plans[place as usize];
        let before = (!line.trials.is_empty()).then(|| rank(line, place));
        let n_before = line.objective.n;
        line.trials.push(number);
        if line.trials.len() == 1 {
            (line.objective, line.cost) = (measured.objective, measured.cost);
        } else {
            let trials = line.trials.iter().filter_map(|n| again.get(n).cloned()).collect();
            let archive = Archive { trials, ..Archive::default() };
            if let Some(pooled) = archive.plans().first() {
                (line.objective, line.cost) = (pooled.objective, pooled.cost);
            }
        }
        let after = rank(line, place);
        let n_after = line.objective.n;
        match before {
            Some(old) => {
                self.sum_of_means -= old.0.0.0;
                if let Some(ranks) = self.ranks.get_mut(&n_before) {
                    ranks.remove(&old);
                }
            }
            None => self.measured_plans += 1,
        }
        self.sum_of_means += after.0.0.0;
        self.ranks.entry(n_after).or_default().insert(after);
        if let Some(plan) = self.leader() {
            let line = &self.plans[plan as usize];
            let lead = Lead { since: number, plan, objective: line.objective, cost: line.cost.mean };
            let is_new = self.leads.last().is_none_or(|l| l.plan != plan || l.objective != lead.objective);
            if is_new {
                self.leads.push(lead);
            }
        }
    }

    /// What `Archive::best` says, without going through all plans: within plans on equally many examples the order is that
    /// of their means.
    fn leader(&self) -> Option<u32> {
        let average = self.sum_of_means / f64::from(self.measured_plans.max(1));
        let best_of_each = self.ranks.iter().filter_map(|(n, ranks)| Some((f64::from(*n), *ranks.first()?)));
        let scored = best_of_each.map(|(n, rank)| {
            let cautious = (n * rank.0.0.0 + CAUTION * average) / (n + CAUTION);
            (Reverse(Ordered(cautious)), rank.1, rank.2, rank.3)
        });
        scored.min().map(|(_, _, _, plan)| plan)
    }
}

fn rank(line: &PlanLine, place: u32) -> Rank {
    let first = line.trials.first().copied().unwrap_or(0);
    (Reverse(Ordered(line.objective.mean)), Ordered(line.cost.mean), first, place)
}
