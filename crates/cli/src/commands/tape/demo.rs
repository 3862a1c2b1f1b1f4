//! `agenttts demo --tape`: an ordinary study of the demo's pipeline whose models a tape plays, so that it needs neither
//! models, nor keys, nor a network.

use std::fs;
use std::sync::Arc;

use agenttts_core::StudyState;
use agenttts_engine::Tape;
use agenttts_store::Store;

use crate::args::{DemoArgs, SearchArgs};
use crate::commands::search;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{study, why};

/// Every draw of the demo's models that any of its plans needs.
const DEMO: &[u8] = include_bytes!("../../../../../pipelines/demo/demo.tape");

/// The demo is a part of the program, so it must stay small.
const _: () = assert!(DEMO.len() < 2 << 20, "the demo's tape is too large to be part of the program");

pub(crate) async fn demo(context: &Context, args: &DemoArgs) -> Result<Exit, Failure> {
    let tape = Arc::new(Tape::from_bytes("the demo's tape", DEMO)?);
    let loaded = tape.load()?;
    let typed = SearchArgs {
        method: args.method.clone(),
        budget: Some(args.budget),
        trials: args.trials,
        seed: args.seed,
        ..SearchArgs::default()
    };
    // The demo is for looking at: unless a store is named, it leaves nothing behind but its report.
    let folder = tempfile::tempdir().map_err(|e| Failure::write(&std::env::temp_dir(), e))?;
    let store = match context.named_store() {
        true => context.store()?,
        false => Store::open(&folder.path().join("demo.db"))?,
    };
    let workshop = search::workshop(context, Some(tape))?;
    let summary = search::start(context, &typed, &store, workshop, loaded).await?;
    if args.json {
        context.screen.print_json(&summary)?;
    } else {
        // The whole explanation where nobody could ask for it later.
        let kept = context.named_store();
        let mut text = study::study(&context.screen, &summary, kept);
        if !kept {
            text.push_str(&why::whole(&context.screen, &summary));
        }
        context.screen.print(&text)?;
    }
    fs::write(&args.output, agenttts_report::html(&summary)).map_err(|e| Failure::write(&args.output, e))?;
    context.screen.say(&format!("\nreport: {}", args.output.display()));
    context.screen.say(
        "the models were played from a tape of SmolLM2-135M and Qwen2.5-Coder-0.5B: texts, tokens and scores are theirs, \
         the time is not",
    );
    context.screen.say("next:\n  agenttts init DIR          a pipeline of your own to start from");
    if context.named_store() {
        context.screen.say(&format!("  agenttts show {} --trials", summary.study));
    }
    Ok(if summary.state == StudyState::Interrupted { Exit::Interrupted } else { Exit::Ok })
}
