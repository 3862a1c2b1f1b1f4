//! `agenttts tape export`: all that a study drew, in one file from which anyone can search again what it searched.

use std::path::PathBuf;
use std::sync::Arc;

use agenttts_core::{StudyState, StudySummary};
use agenttts_engine::{
    ExportOptions, Observers, StopHandle, StudyContext, Tape, export as tape_of, replayed, start_study,
};
use agenttts_store::Store;

use super::replace;
use crate::args::ExportArgs;
use crate::commands::search;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::number::grouped;

pub(super) async fn export(context: &Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let (store, summary) = context.summary(Some(&args.study))?;
    let workshop = context.workshop_of(context.models_dir().unwrap_or_default());
    let options = ExportOptions { without_texts: args.without_texts };
    let tape = tape_of(&store, &summary.study, &workshop, options).await?;
    let bytes = tape.to_bytes()?;
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tape", summary.study)));
    replace(&file, &bytes)?;
    let (requests, draws) = (grouped(tape.requests() as u128), grouped(tape.draws() as u128));
    let kilobytes = grouped(bytes.len().div_ceil(1000) as u128);
    let screen = &context.screen;
    screen.say(&format!("tape: {}, {draws} draws of {requests} requests, {kilobytes} kB", file.display()));
    if !args.unchecked {
        screen.say(&check(context, &summary, &bytes).await?);
    }
    screen.say(&format!("next:\n  agenttts search --tape {}", file.display()));
    Ok(Exit::Ok)
}

/// Searches again from the tape, and says whether that gave the same.
async fn check(context: &Context, study: &StudySummary, bytes: &[u8]) -> Result<String, Failure> {
    let tape = Arc::new(Tape::from_bytes("the tape", bytes)?);
    let folder = tempfile::tempdir().map_err(|e| Failure::write(&std::env::temp_dir(), e))?;
    let store = Store::open(&folder.path().join("replay.db"))?;
    let workshop = search::workshop(context, Some(tape.clone()))?;
    let replay = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
    let options = tape.search_options().unwrap_or_default();
    let name = study.study.clone();
    let options = agenttts_engine::SearchOptions { study: Some(name.clone()), ..options };
    let ended = start_study(&store, tape.load()?, options, replay).await;
    // A study that was stopped has no draws beyond that, so its replay ends with an error: its trials count all the same.
    let again = match agenttts_engine::summary(&store, &name) {
        Ok(again) => again,
        Err(_) => {
            return Ok(format!(
                "the tape could not be replayed: {}",
                ended.map(drop).map_or_else(|e| e.to_string(), |()| "-".into())
            ));
        }
    };
    let trials = study.archive.measured().count();
    let whole =
        if study.state == StudyState::Done { " and the result" } else { ", after which the study was stopped," };
    Ok(match replayed(study, &again) {
        Ok(()) => format!("replayed: all {trials} trials{whole} are the same to the last bit"),
        Err(difference) => format!(
            "replayed, with a difference: {difference}. The draws are all there, but the study met what a tape does not \
             hold, such as calls that were billed and failed, or a limit of time"
        ),
    })
}
