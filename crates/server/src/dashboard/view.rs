//! What the dashboard looks at: a store, and the studies of it that somebody has looked at.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use agenttts_core::StudySummary;
use agenttts_engine::{Glance, Looked, StopHandle, Workshop};
use agenttts_store::{SpendTotals, Store, StoreError};

use super::error::Fault;
use super::index::Index;
use super::kept::{Kept, lock};

/// Plans that are explained at the most: what is believed of plans takes time that grows with the cube of their number.
pub(super) const MOST_EXPLAINED: usize = 600;

/// How long a page waits for what takes longer; then it gets what is there, and asks again.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// What the dashboard needs. Clones share it.
#[derive(Clone)]
pub(crate) struct DashboardState {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    workshop: Workshop,
    ending: StopHandle,
    stores: Mutex<Option<Stores>>,
    views: Mutex<HashMap<String, Arc<View>>>,
    runs: Mutex<HashMap<String, Run>>,
}

/// Two readers, so that a page is not held up while very many trials are read.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) pages: Store,
    pub(super) bulk: Store,
}

/// A study that was resumed here.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) stop: StopHandle,
    /// Why it ended, where that was an error.
    pub(super) fault: Option<Fault>,
    pub(super) is_over: bool,
}

/// A study that is looked at.
pub(super) struct View {
    pub(super) stores: Stores,
    pub(super) looked: Looked,
    pub(super) name: String,
    index: Mutex<Index>,
    /// Whether a thread brings the index up to date, and why it last could not.
    update: (Mutex<Update>, Condvar),
    totals: Kept<SpendTotals>,
    summary: Kept<StudySummary>,
}

#[derive(Default)]
struct Update {
    is_under_way: bool,
    fault: Option<Fault>,
}

/// What is said of a study beyond its trials.
pub(super) enum Said {
    Summary(Arc<StudySummary>),
    /// It is being worked out.
    Soon,
    /// It has too many plans.
    TooMuch,
}

impl DashboardState {
    /// A dashboard of the store in this file, which may come to be later. Studies are resumed and plans tried with the
    /// models of the workshop.
    pub(crate) fn new(store: impl Into<PathBuf>, workshop: Workshop) -> Self {
        DashboardState {
            inner: Arc::new(Inner {
                path: store.into(),
                workshop,
                ending: StopHandle::new(),
                stores: Mutex::default(),
                views: Mutex::default(),
                runs: Mutex::default(),
            }),
        }
    }

    /// Ends the streams of events, and stops the studies that were resumed here as Ctrl-C does.
    pub(crate) fn end(&self) {
        self.inner.ending.stop();
        lock(&self.inner.runs).values().for_each(|run| run.stop.stop());
    }

    /// Waits until the studies that were resumed here have ended.
    pub(crate) async fn drain(&self) {
        while lock(&self.inner.runs).values().any(|run| !run.is_over) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Resolves when the server ends.
    pub(super) async fn ended(&self) {
        self.inner.ending.stopped().await;
    }

    pub(super) fn workshop(&self) -> &Workshop {
        &self.inner.workshop
    }

    pub(super) fn runs(&self) -> &Mutex<HashMap<String, Run>> {
        &self.inner.runs
    }

    /// The name of the store's file.
    pub(super) fn store_name(&self) -> String {
        self.inner.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    /// The store, where there is one: looking must not make one.
    pub(super) fn stores(&self) -> Result<Option<Stores>, StoreError> {
        let mut stores = lock(&self.inner.stores);
        if stores.is_none() && self.inner.path.exists() {
            let open = || Store::open(&self.inner.path);
            *stores = Some(Stores { pages: open()?, bulk: open()? });
        }
        Ok(stores.clone())
    }

    /// A study, by its whole name. Blocks.
    pub(super) fn view(&self, study: &str) -> Result<Arc<View>, Fault> {
        if let Some(view) = lock(&self.inner.views).get(study) {
            return Ok(view.clone());
        }
        let unknown = || {
            let hint = "the list of studies has all of this store";
            Fault::missing(format!("there is no study {study:?}"), hint)
        };
        let stores = self.stores()?.ok_or_else(unknown)?;
        if !stores.pages.glances()?.iter().any(|g| g.name == study) {
            return Err(unknown());
        }
        let looked = Looked::read(&stores.pages, study)?;
        let view = Arc::new(View {
            stores,
            looked,
            name: study.to_owned(),
            index: Mutex::default(),
            update: Default::default(),
            totals: Kept::default(),
            summary: Kept::default(),
        });
        Ok(lock(&self.inner.views).entry(study.to_owned()).or_insert(view).clone())
    }

    /// Does something that blocks with a study.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        study: String,
        see: impl FnOnce(&Arc<View>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let state = self.clone();
        blocking(move || see(&state.view(&study)?)).await
    }
}

/// Does something that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let gone = |_| {
        Fault::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "the dashboard failed to answer",
            "load the page again; if it stays, the log of the server says more",
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(gone)?
}

impl View {
    pub(super) fn glance(&self) -> Result<Glance, Fault> {
        let all = agenttts_engine::glances(&self.stores.pages)?;
        let found = all.into_iter().find(|g| g.name == self.name);
        found.ok_or_else(|| {
            Fault::missing(format!("there is no study {:?} any more", self.name), "see the list of studies")
        })
    }

    /// Its trials as they are now; or, where reading them takes longer than a page should wait, those that are read so far.
    pub(super) fn index<T>(self: &Arc<Self>, see: impl FnOnce(&Index) -> Result<T, Fault>) -> Result<T, Fault> {
        let (update, changed) = &self.update;
        let mut state = lock(update);
        if !state.is_under_way {
            state.is_under_way = true;
            let view = self.clone();
            std::thread::spawn(move || view.bring_up_to_date());
        }
        let waited = changed.wait_timeout_while(state, PATIENCE, |state| state.is_under_way);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some(fault) = state.fault.clone().filter(|_| !state.is_under_way) {
            return Err(fault);
        }
        drop(state);
        see(&lock(&self.index))
    }

    fn bring_up_to_date(&self) {
        let mut is_first = true;
        let fault = loop {
            let step = lock(&self.index).step(&self.stores.bulk, self.looked.id(), is_first);
            is_first = false;
            match step {
                // Whoever waits for the index gets it now.
                Ok(true) => std::thread::sleep(Duration::from_millis(1)),
                Ok(false) => break None,
                Err(error) => break Some(error.into()),
            }
        };
        let (update, changed) = &self.update;
        *lock(update) = Update { is_under_way: false, fault };
        changed.notify_all();
    }

    /// What is said of it without its trials. What it spent is absent as long as adding it up takes longer than a page
    /// should wait.
    pub(super) fn outline(self: &Arc<Self>) -> Result<(StudySummary, bool), Fault> {
        let view = self.clone();
        let totals =
            self.totals.get(self.state()?, PATIENCE, move || Ok(view.stores.bulk.spend(view.looked.id())?))?;
        let is_complete = totals.is_some();
        let totals = totals.unwrap_or_default();
        Ok((self.looked.outline(&self.stores.pages, &totals)?, is_complete))
    }

    /// All that is said of it.
    pub(super) fn summary(self: &Arc<Self>, patience: Duration) -> Result<Said, Fault> {
        let measured = |index: &Index| index.plans.iter().filter(|p| !p.trials.is_empty()).count();
        let (plans, is_complete) = self.index(|index| Ok((measured(index), index.is_complete)))?;
        if plans > MOST_EXPLAINED {
            return Ok(Said::TooMuch);
        }
        if !is_complete {
            return Ok(Said::Soon);
        }
        let view = self.clone();
        let make = move || Ok(agenttts_engine::summary(&view.stores.bulk, &view.name)?);
        Ok(self.summary.get(self.state()?, patience, make)?.map_or(Said::Soon, Said::Summary))
    }

    /// A number that changes when something happens in the study.
    fn state(&self) -> Result<i64, Fault> {
        Ok(self.stores.pages.last_events(self.looked.id(), 1)?.first().map_or(0, |(seq, _, _)| *seq))
    }
}
