//! `agenttts studies`: what the store holds.

use agenttts_engine::list_studies;

use crate::args::StudiesArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::number::score;
use crate::output::study::state;
use crate::output::table::Columns;

pub(super) fn studies(context: &Context, args: &StudiesArgs) -> Result<Exit, Failure> {
    let lines = match context.existing_store()? {
        Some(store) => list_studies(&store)?,
        None => Vec::new(),
    };
    if args.json {
        context.screen.print_json(&lines)?;
        return Ok(Exit::Ok);
    }
    if lines.is_empty() {
        context.screen.say("no studies yet: `agenttts search PIPELINE` begins one");
        return Ok(Exit::Ok);
    }
    let mut table = Columns::new(&["study", "pipeline", "method", "state", ">trials", "best so far"]);
    for line in &lines {
        table.row([
            line.name.clone(),
            line.pipeline.clone(),
            line.method.clone(),
            state(line.state).to_owned(),
            line.trials.to_string(),
            line.best.as_ref().map_or_else(|| "-".into(), score),
        ]);
    }
    context.screen.print(&table.text())?;
    Ok(Exit::Ok)
}
