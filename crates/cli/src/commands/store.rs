//! `agenttts store`: looking after the store's file.

use std::path::Path;

use agenttts_store::care::{self, ExportFormat, Verdict};
use serde_json::json;

use crate::args::{ExportFormatArg, StoreCommand};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::number::grouped;

pub(super) fn store(context: &Context, command: &StoreCommand) -> Result<Exit, Failure> {
    let path = context.store_file()?;
    match command {
        StoreCommand::Verify { json } => verify(context, path, *json),
        StoreCommand::Vacuum => {
            let (before, after) = care::vacuum(path)?;
            let name = path.display();
            context.screen.say(&format!("{name}: {} before, {} after", kilobytes(before), kilobytes(after)));
            Ok(Exit::Ok)
        }
        StoreCommand::Migrate { backup } => {
            let done = care::migrate(path, backup.as_deref())?;
            let name = path.display();
            context.screen.say(&match &done.backup {
                Some(copy) => {
                    format!("{name}: from schema {} to {}; the copy as it was: {}", done.from, done.to, copy.display())
                }
                None => format!("{name} has schema {}, which is the newest: nothing to do", done.to),
            });
            Ok(Exit::Ok)
        }
        StoreCommand::Export { output, format } => {
            let format = match format {
                ExportFormatArg::Jsonl => ExportFormat::Jsonl,
                ExportFormatArg::Parquet => ExportFormat::Parquet,
            };
            for table in care::export(path, output, format)? {
                context.screen.say(&format!("{}: {} rows", table.file.display(), grouped(table.rows.into())));
            }
            Ok(Exit::Ok)
        }
    }
}

/// Says how the store is; what is wrong with it is the exit code too.
fn verify(context: &Context, path: &Path, json: bool) -> Result<Exit, Failure> {
    let verdict = care::verify(path)?;
    if json {
        context.screen.print_json(&document(path, &verdict))?;
    } else {
        context.screen.print(&text(path, &verdict))?;
    }
    for fault in verdict.faults.iter().filter(|_| !json) {
        context.screen.error(&fault.what);
        context.screen.hint(fault.advice);
    }
    Ok(if verdict.faults.is_empty() { Exit::Ok } else { Exit::Store })
}

fn text(path: &Path, verdict: &Verdict) -> String {
    let [studies, requests, samples, calls] = verdict.counts.map(|n| grouped(n.into()));
    let holds = if verdict.faults.is_empty() { "the store holds together" } else { "the store does not hold together" };
    let size = kilobytes(verdict.bytes);
    let name = path.display();
    let mut text = format!(
        "{name}: schema {}, {size}\n  {studies} studies, {samples} samples of {requests} requests, {calls} calls\n",
        verdict.schema
    );
    for note in &verdict.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text + holds + "\n"
}

fn document(path: &Path, verdict: &Verdict) -> serde_json::Value {
    let [studies, requests, samples, calls] = verdict.counts;
    let faults: Vec<_> = verdict.faults.iter().map(|f| json!({"what": f.what, "advice": f.advice})).collect();
    json!({
        "store": path, "schema": verdict.schema, "bytes": verdict.bytes, "studies": studies, "requests": requests,
        "samples": samples, "calls": calls, "faults": faults, "notes": verdict.notes,
    })
}

fn kilobytes(bytes: u64) -> String {
    format!("{} kB", grouped(bytes.div_ceil(1000).into()))
}
