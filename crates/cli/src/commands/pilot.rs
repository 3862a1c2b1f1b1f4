//! `agenttts pilot`: which insights of the paper hold for a pipeline, on live models or from a tape.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agenttts_core::Pilot;
use agenttts_core::pipeline::{Overrides, SearchSettings};
use agenttts_engine::{Loaded, PilotOptions, StopHandle, StudyContext, Tape, pilot as draw, pilot_tape};

use crate::args::PilotArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::pilot as output;
use crate::output::recording::Recording;

/// How every tape begins.
const TAPE: &[u8] = b"agenttts tape";

pub(super) async fn pilot(context: &Context, args: &PilotArgs) -> Result<Exit, Failure> {
    let options = PilotOptions { examples: args.examples, draws: args.draws, margin: args.margin };
    let made = if is_tape(&args.pipeline) {
        Some(from_tape(args, options).await?)
    } else {
        live(context, args, options).await?
    };
    let Some(pilot) = made else {
        context.screen.say("stopped; what was drawn is kept: the same command goes on");
        return Ok(Exit::Interrupted);
    };
    if args.json {
        context.screen.print_json(&pilot)?;
    } else {
        context.screen.print(&output::text(&context.screen, &pilot))?;
    }
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}-pilot.html", pilot.pipeline)));
    fs::write(&file, agenttts_report::pilot_html(&pilot)).map_err(|e| Failure::write(&file, e))?;
    context.screen.say(&format!("\npage: {}", file.display()));
    if let Some(reason) = &pilot.stopped {
        context.screen.say(&format!(
            "not all was drawn: {reason}\nthe same command goes on with a larger --search-budget, or looks at fewer --examples"
        ));
    }
    Ok(Exit::Ok)
}

async fn from_tape(args: &PilotArgs, options: PilotOptions) -> Result<Pilot, Failure> {
    let tape = Arc::new(Tape::open(&args.pipeline)?);
    let loaded = overridden(tape.load()?, args)?;
    Ok(pilot_tape(&tape, loaded, options).await?)
}

async fn live(context: &Context, args: &PilotArgs, options: PilotOptions) -> Result<Option<Pilot>, Failure> {
    let workshop = context.workshop()?;
    let loaded = overridden(context.pipeline(&args.pipeline, &args.with, &workshop)?, args)?;
    let store = context.store()?;
    let display = Recording::new(&context.screen, "sets of samples of a stage", 10);
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), display.speaker());
    let made = draw(&store, loaded, options, StudyContext { workshop, observers: display.observers(), stop }).await;
    display.finish();
    Ok(made?)
}

fn is_tape(path: &Path) -> bool {
    let mut start = [0; TAPE.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    // What cannot be read is told by whoever loads it.
    read.is_ok() && start == TAPE || path.extension().is_some_and(|e| e == "tape")
}

/// What the command line changes in the pipeline.
fn overridden(loaded: Loaded, args: &PilotArgs) -> Result<Loaded, Failure> {
    let search =
        SearchSettings { seed: args.seed.unwrap_or(loaded.pipeline.search.seed), ..loaded.pipeline.search.clone() };
    let search_budget = args.search_budget.as_ref().map(|typed| typed.apply(loaded.pipeline.search_budget));
    if search == loaded.pipeline.search && search_budget.is_none() {
        return Ok(loaded);
    }
    let plan_budget = loaded.snapshot.overrides.plan_budget;
    Ok(loaded.with_overrides(Overrides { plan_budget, search_budget, search: Some(search) })?)
}
