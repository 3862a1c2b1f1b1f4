//! Ctrl-C and SIGTERM: the first asks a study to drain, the second ends the program at once.

use agenttts_engine::StopHandle;
use tokio::task::JoinHandle;

use crate::exit::Exit;

/// Watches for signals while a study runs; dropping it ends the watch.
pub(crate) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Stops the study at the first signal, and the program at the second.
pub(crate) fn watch(stop: StopHandle, say: impl Fn(&str) + Send + Sync + 'static) -> Watch {
    let stopping =
        "stopping: calls under way are awaited and kept (Ctrl-C again exits at once; nothing that is stored is lost)";
    watch_with(move || stop.stop(), stopping, say)
}

/// Does something at the first signal and says so, and ends the program at the second.
pub(crate) fn watch_with(
    first: impl FnOnce() + Send + 'static,
    words: &'static str,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Watch {
    Watch(tokio::spawn(async move {
        if signal().await {
            first();
            say(words);
        }
        if signal().await {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
    }))
}

/// Resolves at the next signal; false if signals cannot be watched.
#[cfg(unix)]
async fn signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return tokio::signal::ctrl_c().await.is_ok();
    };
    tokio::select! {
        caught = tokio::signal::ctrl_c() => caught.is_ok(),
        caught = terminate.recv() => caught.is_some(),
    }
}

#[cfg(not(unix))]
async fn signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
