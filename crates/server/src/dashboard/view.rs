//! What the dashboard looks at: a store, and the studies of it that somebody has looked at.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use agenttts_core::StudySummary;
use agenttts_engine::{EngineError, Glance, Looked, StopHandle, Workshop};
use agenttts_store::{Store, StoreError};

use super::error::Fault;
use super::index::Index;
use super::kept::{Kept, lock};

/// Plans that are explained at the most: what is believed of plans takes time that grows with the cube of their number.
pub(super) const MOST_EXPLAINED: usize = 600;

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
    outline: Kept<StudySummary>,
    summary: Kept<StudySummary>,
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
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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
            outline: Kept::default(),
            summary: Kept::default(),
        });
        Ok(lock(&self.inner.views).entry(study.to_owned()).or_insert(view).clone())
    }

    /// Does something that blocks with a study.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        study: String,
        see: impl FnOnce(&View) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let state = self.clone();
        blocking(move || see(&*state.view(&study)?)).await
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

    /// Its trials as they are now.
    pub(super) fn index<T>(&self, see: impl FnOnce(&Index) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut index = lock(&self.index);
        index.update(&self.stores.bulk, self.looked.id())?;
        see(&index)
    }

    /// What is said of it without its trials.
    pub(super) fn outline(&self) -> Result<Arc<StudySummary>, Fault> {
        Ok(self.outline.get(self.state()?, || self.looked.outline(&self.stores.bulk))?)
    }

    /// All that is said of it; `None` where it has too many plans for that.
    pub(super) fn summary(&self) -> Result<Option<Arc<StudySummary>>, Fault> {
        let plans = self.index(|index| Ok(index.plans.iter().filter(|p| !p.trials.is_empty()).count()))?;
        if plans > MOST_EXPLAINED {
            return Ok(None);
        }
        let make = || -> Result<StudySummary, EngineError> { agenttts_engine::summary(&self.stores.bulk, &self.name) };
        Ok(Some(self.summary.get(self.state()?, make)?))
    }

    /// A number that changes when something happens in the study.
    fn state(&self) -> Result<i64, Fault> {
        Ok(self.stores.pages.last_events(self.looked.id(), 1)?.first().map_or(0, |(seq, _, _)| *seq))
    }
}
