//! Examples that fail again and again, whichever plan runs on them: no more calls are spent on them.
//!
//! What counts is that a model could not be had for an example, after all retries: it refused the example, broke on it or sent
//! nothing usable, while others were answered. That a plan's outputs cannot be parsed says something of the plan, and does not
//! count.

use std::collections::{BTreeSet, HashMap};

use agenttts_core::{Archive, Quarantined, Trial, TrialState};
use agenttts_store::{ExampleOutcome, Store};

use crate::error::EngineError;
use crate::load::Loaded;

/// Trials in a row that must fail for an example to be quarantined.
const TRIES: u32 = 3;

/// The quarantine of a study. It follows from the trials that were measured, in order, so a study that goes on has the same.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// Trials up to this one do not count: what they put there was released.
    after: u32,
    failing: HashMap<String, Failing>,
    held: Vec<Quarantined>,
}

/// An example that has failed since it was last answered.
#[derive(Debug, Default)]
struct Failing {
    trials: u32,
    /// The models that failed it.
    models: BTreeSet<String>,
}

impl Quarantine {
    /// The quarantine of a study as its measured trials left it.
    pub(crate) fn read(
        store: &Store,
        study: i64,
        loaded: &Loaded,
        archive: &Archive,
        after: u32,
    ) -> Result<Self, EngineError> {
        let mut quarantine = Quarantine { after, ..Quarantine::default() };
        for (trial, _) in archive.measured().filter(|(trial, _)| trial.number > after) {
            quarantine.take(loaded, trial, &store.outcomes(study, trial.number)?);
        }
        Ok(quarantine)
    }

    /// Takes in what a measured trial did; the examples that are quarantined from now on.
    pub(crate) fn take(&mut self, loaded: &Loaded, trial: &Trial, outcomes: &[ExampleOutcome]) -> Vec<Quarantined> {
        let mut new = Vec::new();
        if trial.number <= self.after {
            return new;
        }
        for outcome in outcomes.iter().filter(|outcome| !outcome.quarantined) {
            let Some(stage) = &outcome.fault else {
                self.failing.remove(&outcome.example);
                continue;
            };
            let place = loaded.pipeline.stages.iter().position(|s| &s.name == stage);
            let model = place.and_then(|place| Some(trial.plan.choices.get(place)?.model.clone()));
            // One model may mind an example that another answers.
            let pool = place.map_or(1, |place| loaded.pipeline.stages[place].models.len());
            let failing = self.failing.entry(outcome.example.clone()).or_default();
            failing.trials += 1;
            failing.models.extend(model);
            if failing.trials >= TRIES && failing.models.len() >= pool.min(2) {
                new.push(Quarantined {
                    example: outcome.example.clone(),
                    trial: trial.number,
                    failures: failing.trials,
                    reason: outcome.failure.clone().unwrap_or_default(),
                });
            }
        }
        self.held.extend(new.iter().cloned());
        new
    }

    /// Why an example is quarantined, if it is.
    pub(crate) fn holds(&self, example: &str) -> Option<&Quarantined> {
        self.held.iter().find(|held| held.example == example)
    }

    /// All of it.
    pub(crate) fn all(&self) -> &[Quarantined] {
        &self.held
    }

    /// The trials that are to be measured again when all is released: those that counted such an example as failed. They
    /// are made pending; what they drew is in the bank.
    pub(crate) fn release(&self, store: &Store, study: i64, archive: &Archive) -> Result<Vec<Trial>, EngineError> {
        let mut again = Vec::new();
        for (trial, measured) in archive.measured() {
            let outcomes = store.outcomes(study, trial.number)?;
            let counted = |o: &ExampleOutcome| (o.quarantined || o.fault.is_some()) && self.holds(&o.example).is_some();
            if !outcomes.iter().any(counted) {
                continue;
            }
            let mut trial = trial.clone();
            // What was raced out may fare better now.
            if let (Some(raced), Some(span)) = (&measured.raced_out, &mut trial.span) {
                span.count = raced.planned_end - span.first;
            }
            trial.state = TrialState::Pending;
            again.push(trial);
        }
        Ok(again)
    }
}
