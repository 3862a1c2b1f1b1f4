//! Asking a study to stop: by a person, or by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Asks a study to drain and stop. Clones ask the same study.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    notify: Notify,
}

impl StopHandle {
    /// A handle that nobody has used yet.
    pub fn new() -> Self {
        StopHandle::default()
    }

    /// Asks for the stop: no call is begun any more, calls under way are awaited and kept.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    /// Whether a stop was asked for.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// Resolves when a stop is asked for.
    pub async fn stopped(&self) {
        let notified = self.inner.notify.notified();
        if !self.is_stopped() {
            notified.await;
        }
    }
}
