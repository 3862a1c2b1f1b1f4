//! The list of studies, and one study without its trials.

use agenttts_core::StudySummary;
use agenttts_engine::{Glance, glances};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::Fault;
use super::query::Path;
use super::view::{DashboardState, blocking, lock};

/// All studies.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StudyList")]
pub(crate) struct List {
    /// The name of the store's file.
    store: String,
    studies: Vec<Glance>,
}

pub(super) async fn list(State(state): State<DashboardState>) -> Result<Json<List>, Fault> {
    let store = state.store_name();
    let studies = blocking(move || match state.stores()? {
        Some(stores) => Ok(glances(&stores.pages)?),
        None => Ok(Vec::new()),
    });
    Ok(Json(List { store, studies: studies.await? }))
}

/// A study.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Study {
    glance: Glance,
    /// Its summary without trials.
    summary: StudySummary,
    /// Whether all that it spent is added up; if not, ask again.
    complete: bool,
    /// What became of it when it was resumed here, where that was an error.
    resume_fault: Option<String>,
}

pub(super) async fn one(State(state): State<DashboardState>, Path(study): Path<String>) -> Result<Json<Study>, Fault> {
    let run = lock(state.runs()).get(&study).cloned();
    let resume_fault = run.and_then(|run| run.fault).map(|fault| fault.words());
    let looked = state.look(study, move |view| {
        let (mut summary, complete) = view.outline()?;
        // As many as there are test examples, and no page shows them.
        for plan in summary.confirmation.iter_mut().flat_map(|c| &mut c.plans) {
            plan.scores.clear();
        }
        Ok(Study { glance: view.glance()?, summary, complete, resume_fault })
    });
    Ok(Json(looked.await?))
}
