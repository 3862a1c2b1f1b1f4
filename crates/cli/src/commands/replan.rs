//! `agenttts replan`: another choice from what a study has drawn already.

use std::fs;
use std::path::Path;

use agenttts_engine::{ReplanOptions, replan as plan_again};

use super::cost::cost_model;
use crate::args::ReplanArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::replan;

pub(super) fn replan(context: &Context, args: &ReplanArgs) -> Result<Exit, Failure> {
    let (store, study) = context.study(&args.study)?;
    let options = ReplanOptions {
        budget: args.budget,
        cost_model: args.cost_model.as_deref().map(cost_model).transpose()?,
        prices: args.price.iter().map(|p| (p.model.clone(), p.price)).collect(),
        max_latency: args.max_latency,
    };
    let (found, file) = plan_again(&store, &study, &options)?;
    if args.json {
        context.screen.print_json(&found)?;
    } else {
        context.screen.print(&replan::text(&context.screen, &found))?;
    }
    match args.output.as_deref() {
        Some(path) if path == Path::new("-") => context.screen.print(&file.to_toml())?,
        Some(path) => {
            fs::write(path, file.to_toml()).map_err(|e| Failure::write(path, e))?;
            context.screen.say(&format!("plan file: {}", path.display()));
        }
        None if args.json => {}
        None => context.screen.hint("-o FILE writes the plan file"),
    }
    Ok(Exit::Ok)
}
