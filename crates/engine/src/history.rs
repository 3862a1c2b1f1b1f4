//! Earlier studies that a method may learn from.

use std::collections::BTreeSet;

use agenttts_core::Pipeline;
use agenttts_core::pipeline::Snapshot;
use agenttts_core::text::nearest;
use agenttts_search::History;
use agenttts_store::{Store, StudyRow};

use crate::error::EngineError;
use crate::load::Loaded;
use crate::study::parse;
use crate::summary::task_text;

/// The study to learn from: the named one, else the most similar of the store with something measured. Studies with the
/// same stages go before others; then the more stages and models have common names, the more similar they are; the
/// newest among equals.
///
/// # Errors
/// The named study is not there or has measured nothing; or there is no study at all that has.
pub(crate) fn choose(store: &Store, pipeline: &Pipeline, named: Option<&str>) -> Result<String, EngineError> {
    let rows = store.studies()?;
    if let Some(name) = named
        && !rows.iter().any(|r| r.name.starts_with(name))
    {
        let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
        let hint = match nearest(name, &names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`agenttts studies` lists them".into(),
        };
        return Err(EngineError::input(format!("--history: there is no study {name:?}"), hint));
    }
    let rows = match named {
        Some(name) => vec![store.study(name)?],
        None => rows,
    };
    let mut best: Option<((bool, usize, usize, i64), String)> = None;
    for row in rows {
        if store.trials(row.id)?.iter().all(|t| t.measurement().is_none()) {
            continue;
        }
        let likeness = likeness(pipeline, &row)?;
        if best.as_ref().is_none_or(|(b, _)| likeness > *b) {
            best = Some((likeness, row.name));
        }
    }
    best.map(|(_, name)| name).ok_or_else(|| match named {
        Some(name) => EngineError::input(
            format!("--history: the study {name} has measured nothing"),
            "name a study with trials; `agenttts studies` lists them",
        ),
        None => EngineError::input(
            "the method learns from an earlier study, and the store has none that measured anything",
            "search a similar pipeline first, or name another store with --store",
        ),
    })
}

/// What a method may read of a study.
pub(crate) fn load(store: &Store, name: &str) -> Result<History, EngineError> {
    let row = store.study(name)?;
    let loaded = Loaded::new(parse::<Snapshot>(&row.snapshot)?)?;
    Ok(History { task: task_text(&loaded.pipeline), archive: store.archive(row.id)?, space: loaded.space })
}

fn likeness(pipeline: &Pipeline, row: &StudyRow) -> Result<(bool, usize, usize, i64), EngineError> {
    let other = parse::<Snapshot>(&row.snapshot)?.pipeline()?;
    let stages = |p: &Pipeline| p.stages.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let models = |p: &Pipeline| p.models.iter().map(|m| m.name.clone()).collect::<BTreeSet<_>>();
    let (mine, theirs) = (stages(pipeline), stages(&other));
    let shared = theirs.iter().filter(|s| mine.contains(s)).count();
    let models = models(pipeline).intersection(&models(&other)).count();
    Ok((mine == theirs, shared, models, row.started_ms))
}
