//! A study that only keeps the books: what is drawn outside of a search goes through its ledger.

use agenttts_core::StudyState;
use agenttts_store::{NewStudy, Store, Study};

use crate::error::EngineError;
use crate::load::Loaded;
use crate::settings::{SearchOptions, settings};
use crate::study::{json, now_ms};
use crate::workshop::ModelSet;

/// The study of that name: begun, or opened where it exists.
pub(crate) async fn books(
    store: &Store,
    name: String,
    loaded: &Loaded,
    models: &ModelSet,
) -> Result<Study, EngineError> {
    if store.heads()?.iter().any(|study| study.name == name) {
        let study = store.open_study(&name).await?;
        study.set_state(StudyState::Running, None).await?;
        return Ok(study);
    }
    let options = SearchOptions { method: Some("grid".into()), ..SearchOptions::default() };
    let mut settings = settings(loaded, &options)?;
    settings.models = models.identities();
    Ok(store
        .create_study(NewStudy {
            name: Some(name),
            pipeline: loaded.pipeline.name.clone(),
            snapshot: json(&loaded.snapshot)?,
            settings: json(&settings)?,
            started_ms: now_ms(),
        })
        .await?)
}
