//! Commands on tapes: recording a grid, exporting a study, and the demo that plays one.

mod demo;
mod export;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::TapeCommand;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) use demo::demo;
pub(crate) use record::record;

pub(crate) async fn tape(context: &Context, command: &TapeCommand) -> Result<Exit, Failure> {
    match command {
        TapeCommand::Export(args) => export::export(context, args).await,
    }
}

/// Writes a file whole or not at all, so that an earlier tape survives a full disk.
fn replace(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        Failure::write(file, error)
    })
}
