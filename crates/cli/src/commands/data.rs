//! `agenttts data`: published data sets, looked at and made into a pipeline's splits.

use agenttts_core::Problems;
use agenttts_tasks::{Dataset, PrepareOptions, ReadOptions, inspect as look_into, prepare as split};
use serde_json::json;

use crate::args::{DataArgs, DataCommand, InspectArgs, PrepareArgs, ReadArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::data;

pub(super) fn data(context: &Context, args: &DataArgs) -> Result<Exit, Failure> {
    match &args.command {
        DataCommand::Inspect(args) => inspect(context, args),
        DataCommand::Prepare(args) => prepare(context, args),
    }
}

fn options(args: &ReadArgs) -> ReadOptions {
    ReadOptions {
        expected: args.dataset.as_deref().and_then(Dataset::from_name),
        aliases: args.aliases.clone(),
        tools: args.tools.clone(),
        complete_graph: args.complete_graph,
    }
}

fn inspect(context: &Context, args: &InspectArgs) -> Result<Exit, Failure> {
    let found = look_into(&args.read.file, &options(&args.read)).map_err(Problems::from)?;
    if args.read.json {
        context.screen.print_json(&found)?;
    } else {
        context.screen.print(&data::inspection(&found))?;
    }
    Ok(Exit::Ok)
}

fn prepare(context: &Context, args: &PrepareArgs) -> Result<Exit, Failure> {
    let options = PrepareOptions {
        read: options(&args.read),
        search: args.search,
        test: args.test,
        test_from: args.test_from.clone(),
        seed: args.seed,
        candidates: args.candidates,
        skip_bad: args.skip_bad,
        fewer: false,
    };
    let made = split(&args.read.file, &options)?;
    let [search, test] = made.write(&args.output, args.force).map_err(Problems::from)?;
    if args.read.json {
        context.screen.print_json(&json!({
            "search": {"file": search, "examples": made.search.examples.len()},
            "test": {"file": test, "examples": made.test.examples.len()},
            "report": made.report,
        }))?;
    } else {
        let counts = [(search, made.search.examples.len()), (test, made.test.examples.len())];
        context.screen.print(&data::prepared(&made.report, &counts))?;
    }
    Ok(Exit::Ok)
}
