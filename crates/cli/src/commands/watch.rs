//! `agenttts watch`: a study under way, in a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::args::WatchArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::watch_with;
use crate::output::watch::{Watching, live, once, plain};

/// How long the end may take after a signal.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn watch(context: &Context, args: &WatchArgs) -> Result<Exit, Failure> {
    let (store, name) = context.study_or_newest(args.study.as_deref())?;
    let mut watching = Watching::begin(store, context.existing_store()?, &name)?;
    if args.once {
        once(&context.screen, &mut watching)?;
        return Ok(Exit::Ok);
    }
    // The study is another process's: a signal ends the looking only.
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let end = move || {
        over.store(true, Ordering::Relaxed);
        // A terminal that nobody reads from may hold the drawing up for ever.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            std::process::exit(i32::from(Exit::Interrupted as u8));
        });
    };
    let _watch = watch_with(end, "", |_| {});
    tokio::task::block_in_place(|| match context.screen.is_terminal() {
        true => live(&context.screen, &mut watching, &is_over),
        false => plain(&context.screen, &mut watching, &is_over),
    })?;
    Ok(Exit::Ok)
}
