//! Stopping and resuming a study.

use std::panic::{AssertUnwindSafe, catch_unwind};

use agenttts_core::StudyState;
use agenttts_engine::{EngineError, Observers, ResumeOptions, StopHandle, StudyContext, resume_study};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::query::Path;
use super::view::{DashboardState, Run, lock};

/// What was done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {
    done: &'static str,
}

/// Asks the process that runs a study to stop it, as Ctrl-C does.
pub(super) async fn stop(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
) -> Result<(StatusCode, Json<Done>), Fault> {
    state
        .look(study, |view| {
            if view.store().ask_to_stop(view.name())? {
                return Ok(());
            }
            Err(Fault::conflict(
                format!("no process runs the study {}", view.name()),
                "it has stopped already, or was killed: it can be resumed",
            ))
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Done { done: "asked to stop: calls under way are awaited and kept" })))
}

/// What may change when a study goes on.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "ResumeChanges")]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Changes {
    /// Another limit of trials, those of earlier sessions included.
    trials: Option<u32>,
    /// Whether its search budget is lifted.
    unlimited: bool,
}

/// Goes on with a study, in this process.
pub(super) async fn resume(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Json(changes): Json<Changes>,
) -> Result<(StatusCode, Json<Done>), Fault> {
    let workshop = state.workshop().clone();
    let (store, name) = state
        .look(study, |view| {
            let glance = view.glance()?;
            if glance.is_run {
                let hint = "stop it first; a study has one process at a time";
                return Err(Fault::conflict(format!("the study {} is being run", view.name()), hint));
            }
            if glance.state == StudyState::Done {
                let hint = "a finished study goes on with more trials: `agenttts search --resume STUDY --trials N`";
                return Err(Fault::conflict(format!("the study {} is done", view.name()), hint));
            }
            Ok((view.bulk().clone(), view.name().to_owned()))
        })
        .await?;
    let run = Run { stop: StopHandle::new(), fault: None, is_over: false };
    {
        let mut runs = lock(state.runs());
        if runs.get(&name).is_some_and(|run| !run.is_over) {
            return Err(Fault::conflict(format!("the study {name} is being resumed"), "wait for it to begin"));
        }
        runs.insert(name.clone(), run.clone());
    }
    let options = ResumeOptions {
        trials: changes.trials,
        search_budget: changes.unlimited.then(Default::default),
        release: false,
    };
    let context = StudyContext { workshop, observers: Observers::new(Vec::new()), stop: run.stop };
    let (state, runtime) = (state.clone(), tokio::runtime::Handle::current());
    // A study borrows across its calls, so its future stays on one thread; what it awaits runs on the others.
    tokio::task::spawn_blocking(move || {
        let search = || runtime.block_on(resume_study(&store, &name, options, context));
        // Whatever becomes of it, it is over: the server's end waits for that.
        let ended = catch_unwind(AssertUnwindSafe(search))
            .unwrap_or_else(|_| Err(EngineError::Internal("the search broke off; the log has where".into())));
        if let Some(run) = lock(state.runs()).get_mut(&name) {
            run.is_over = true;
            run.fault = ended.err().map(Fault::from);
        }
    });
    Ok((StatusCode::ACCEPTED, Json(Done { done: "it goes on" })))
}
