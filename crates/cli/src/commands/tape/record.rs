//! `agenttts bench record`: draws all that the plans of a pipeline need, into a tape.

use std::path::PathBuf;

use agenttts_engine::{Recorder, StopHandle, StudyContext, record as draw_all};

use super::replace;
use crate::args::RecordArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::number::grouped;
use crate::output::recording::Recording;

pub(crate) async fn record(context: &Context, args: &RecordArgs) -> Result<Exit, Failure> {
    let workshop = context.workshop()?;
    let loaded = context.pipeline(&args.pipeline, &args.with, &workshop)?;
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tape", loaded.pipeline.name)));
    let recorder = Recorder::new(loaded)?;
    let store = context.store()?;
    let (plans, examples) = (recorder.plans(), recorder.examples());
    context.screen.say(&format!("recording {plans} plans on {examples} examples of both splits"));
    let display = Recording::new(&context.screen, "examples of plans", 1);
    let stop = StopHandle::new();
    let _watch = interrupt::watch(stop.clone(), display.speaker());
    let result = draw_all(&store, recorder, StudyContext { workshop, observers: display.observers(), stop }).await;
    display.finish();
    let Some(tape) = result? else {
        context.screen.say("stopped; what was drawn is kept: the same command goes on");
        return Ok(Exit::Interrupted);
    };
    let bytes = tape.to_bytes()?;
    replace(&file, &bytes)?;
    let (requests, draws) = (grouped(tape.requests() as u128), grouped(tape.draws() as u128));
    let kilobytes = grouped(bytes.len().div_ceil(1000) as u128);
    let file = file.display();
    context.screen.say(&format!("tape: {file}, {draws} draws of {requests} requests, {kilobytes} kB"));
    context.screen.say(&format!("next:\n  agenttts search --tape {file}\n  agenttts bench {file}"));
    Ok(Exit::Ok)
}
