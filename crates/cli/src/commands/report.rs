//! `agenttts report`: the HTML report of a study.

use std::fs;
use std::path::Path;

use agenttts_core::{SUMMARY_VERSION, StudySummary};

use crate::args::ReportArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn report(context: &Context, args: &ReportArgs) -> Result<Exit, Failure> {
    let summary = match &args.summary {
        Some(file) => read(file)?,
        None => context.summary(args.study.as_deref())?.1,
    };
    let html = agenttts_report::html(&summary);
    if args.output == Path::new("-") {
        context.screen.print(&html)?;
    } else {
        fs::write(&args.output, html).map_err(|e| Failure::write(&args.output, e))?;
        context.screen.say(&format!("report of study {}: {}", summary.study, args.output.display()));
    }
    Ok(Exit::Ok)
}

/// Reads a summary that `show --json` or `search --json` wrote.
fn read(file: &Path) -> Result<StudySummary, Failure> {
    const HINT: &str = "a summary is written by `agenttts show STUDY --json`";
    let text = fs::read_to_string(file)
        .map_err(|e| Failure::input(format!("{} cannot be read: {e}", file.display()), HINT))?;
    let summary: StudySummary = serde_json::from_str(&text)
        .map_err(|e| Failure::input(format!("{} is not a summary: {e}", file.display()), HINT))?;
    if summary.version > SUMMARY_VERSION {
        let message =
            format!("{} has format {}, this program reads {SUMMARY_VERSION}", file.display(), summary.version);
        return Err(Failure::input(message, "update agenttts"));
    }
    Ok(summary)
}
