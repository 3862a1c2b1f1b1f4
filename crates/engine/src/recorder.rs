//! Keeps a study's events in its store, without holding up whoever sends them.

use std::sync::Arc;

use agenttts_store::Study;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::event::{Event, Observer};
use crate::study::now_ms;

/// Writes events to the store in the background.
pub(crate) struct Recorder {
    observer: Arc<Sender>,
    task: JoinHandle<()>,
}

struct Sender(UnboundedSender<(i64, String)>);

impl Observer for Sender {
    fn on(&self, event: &Event) {
        // Progress within a trial is for the moment only.
        if matches!(event, Event::Progress { .. }) {
            return;
        }
        if let Ok(json) = serde_json::to_string(event) {
            // After the end nobody listens any more.
            let _ = self.0.send((now_ms(), json));
        }
    }
}

impl Recorder {
    pub(crate) fn start(study: Arc<Study>) -> Self {
        let (sender, events) = unbounded_channel();
        Recorder { observer: Arc::new(Sender(sender)), task: tokio::spawn(write(study, events)) }
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.observer.clone()
    }

    /// Waits until all events are written. Every other holder of the observer must be gone.
    pub(crate) async fn finish(self) {
        drop(self.observer);
        // A panic of the task has nothing to add to what the study returns.
        let _ = self.task.await;
    }
}

async fn write(study: Arc<Study>, mut events: UnboundedReceiver<(i64, String)>) {
    while let Some((ms, event)) = events.recv().await {
        if let Err(error) = study.append_event(ms, event).await {
            tracing::warn!("an event could not be stored: {error}");
        }
    }
}
