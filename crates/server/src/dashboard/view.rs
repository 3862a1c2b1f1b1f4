//! What the dashboard looks at: a store, and the studies of it that somebody has looked at.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agenttts_engine::{StopHandle, View, Workshop};
use agenttts_store::{Store, StoreError};

use super::error::Fault;
use crate::answering;
use crate::api_error::ApiError;
use crate::plans::{Gate, Pass};

/// How long a page waits for what takes longer; then it gets what is there, and asks again.
const PATIENCE: Duration = Duration::from_millis(250);

/// What the dashboard needs. Clones share it.
#[derive(Clone)]
pub(crate) struct DashboardState {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    workshop: Workshop,
    gate: Gate,
    deadline: Duration,
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

impl DashboardState {
    /// A dashboard of the store in this file, which may come to be later. Studies are resumed and plans tried with the
    /// models of the workshop; a try waits for its turn as requests of plans do, and must end in time as they must.
    pub(crate) fn new(store: impl Into<PathBuf>, workshop: Workshop, gate: Gate, deadline: Duration) -> Self {
        DashboardState {
            inner: Arc::new(Inner {
                path: store.into(),
                workshop,
                gate,
                deadline,
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

    /// How long a try may take, waiting included.
    pub(super) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// Waits for a place among all that is answered.
    pub(super) async fn enter(&self, client: &str) -> Result<Pass, ApiError> {
        answering::enter(&self.inner.gate, client, self.deadline()).await
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
        let view = Arc::new(View::open(stores.pages, stores.bulk, study, PATIENCE)?);
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

/// The lock, whatever became of who held it: what it guards is replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
