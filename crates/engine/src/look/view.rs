//! A study that is looked at again and again while it goes on: what is dear to make is made once, kept, and made again only
//! when the study went on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use agenttts_core::StudySummary;
use agenttts_store::{SpendTotals, Store};

use super::index::TrialIndex;
use super::kept::Kept;
use super::{Glance, LookError, Looked};
use crate::budget::lock;
use crate::error::EngineError;
use crate::study::now_ms;

/// Plans that are explained at the most: what is believed of plans takes time that grows with the cube of their number.
pub const MOST_EXPLAINED: usize = 600;

/// How often what a study under way has spent is added up at the most, in milliseconds.
const SPEND_MS: i64 = 2_000;

/// A study that is looked at.
pub struct View {
    store: Store,
    bulk: Store,
    looked: Looked,
    name: String,
    patience: Duration,
    index: Mutex<TrialIndex>,
    /// Whether a thread brings the index up to date, and why it last could not.
    update: (Mutex<Update>, Condvar),
    totals: Kept<SpendTotals>,
    summary: Kept<StudySummary>,
}

#[derive(Default)]
struct Update {
    is_under_way: bool,
    fault: Option<LookError>,
}

/// What is said of a study beyond its trials.
pub enum Said {
    /// All of it.
    Summary(Arc<StudySummary>),
    /// It is being worked out.
    Soon,
    /// It has too many plans.
    TooMuch,
}

impl View {
    /// Looks at a study through two readers of its store, so that nobody is held up while very many trials are read by the
    /// second. `patience` is how long a caller waits for what takes longer; then it gets what is there, and asks again.
    ///
    /// # Errors
    /// No such study, or one that another version wrote.
    pub fn open(store: Store, bulk: Store, study: &str, patience: Duration) -> Result<Self, EngineError> {
        let looked = Looked::read(&store, study)?;
        let name = looked.name.clone();
        Ok(View {
            store,
            bulk,
            looked,
            name,
            patience,
            index: Mutex::default(),
            update: Default::default(),
            totals: Kept::default(),
            summary: Kept::default(),
        })
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The reader of its store that may be busy for long.
    pub fn bulk(&self) -> &Store {
        &self.bulk
    }

    /// Its pipeline, and single examples.
    pub fn looked(&self) -> &Looked {
        &self.looked
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it stands.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn glance(&self) -> Result<Glance, EngineError> {
        self.looked.glance(&self.store)
    }

    /// Its trials as they are now; or, where reading them takes longer than a caller waits, those that are read so far.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn index<T>(self: &Arc<Self>, see: impl FnOnce(&TrialIndex) -> T) -> Result<T, LookError> {
        let (update, changed) = &self.update;
        let mut state = lock(update);
        if !state.is_under_way {
            state.is_under_way = true;
            let view = self.clone();
            std::thread::spawn(move || view.bring_up_to_date());
        }
        let waited = changed.wait_timeout_while(state, self.patience, |state| state.is_under_way);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some(fault) = state.fault.clone().filter(|_| !state.is_under_way) {
            return Err(fault);
        }
        drop(state);
        Ok(see(&lock(&self.index)))
    }

    fn bring_up_to_date(&self) {
        let mut is_first = true;
        let fault = loop {
            let step = lock(&self.index).step(&self.bulk, self.looked.id(), is_first);
            is_first = false;
            match step {
                // Whoever waits for the index gets it now.
                Ok(true) => std::thread::sleep(Duration::from_millis(1)),
                Ok(false) => break None,
                Err(error) => break Some(Arc::new(error.into())),
            }
        };
        let (update, changed) = &self.update;
        *lock(update) = Update { is_under_way: false, fault };
        changed.notify_all();
    }

    /// What is said of it without its trials, and whether all that it spent is in it: adding that up may take longer than a
    /// caller waits.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn outline(self: &Arc<Self>) -> Result<(StudySummary, bool), LookError> {
        // A study under way spends between its events.
        let state = if self.store.is_run(&self.name) { now_ms() / SPEND_MS } else { self.state()? };
        let view = self.clone();
        let totals = self.totals.get(state, self.patience, move || Ok(view.bulk.spend(view.looked.id())?))?;
        let is_complete = totals.is_some();
        let totals = totals.unwrap_or_default();
        Ok((self.looked.outline(&self.store, &totals)?, is_complete))
    }

    /// All that is said of it. Waits as long as for all else, or for `patience`.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn summary(self: &Arc<Self>, patience: Option<Duration>) -> Result<Said, LookError> {
        let (plans, is_complete) = self.index(|index| (index.measured().count(), index.is_complete))?;
        if plans > MOST_EXPLAINED {
            return Ok(Said::TooMuch);
        }
        if !is_complete {
            return Ok(Said::Soon);
        }
        let view = self.clone();
        let make = move || crate::summary::summary(&view.bulk, &view.name);
        let made = self.summary.get(self.state()?, patience.unwrap_or(self.patience), make)?;
        Ok(made.map_or(Said::Soon, Said::Summary))
    }

    /// A number that changes when something happens in the study.
    fn state(&self) -> Result<i64, EngineError> {
        Ok(self.store.last_events(self.looked.id(), 1)?.first().map_or(0, |(seq, _, _)| *seq))
    }
}
