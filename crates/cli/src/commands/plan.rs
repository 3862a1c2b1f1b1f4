//! `agenttts plan`: the plan file of a study, or of one of its trials.

use std::fs;
use std::path::{Path, PathBuf};

use agenttts_engine::{PlanFile, plan_file};

use crate::args::PlanArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn plan(context: &Context, args: &PlanArgs) -> Result<Exit, Failure> {
    let (store, study) = context.study(&args.study)?;
    let plan = plan_file(&store, &study, args.trial)?;
    if args.output.as_deref() == Some(Path::new("-")) {
        context.screen.print(&plan.to_toml())?;
    } else if let Some(file) = write(context, &plan, args.output.as_deref())? {
        context.screen.say(&format!("plan file: {}", file.display()));
    } else {
        return Err(Failure::Said(Exit::Store));
    }
    Ok(Exit::Ok)
}

/// Writes a plan file to where it was asked for, or to `STUDY.plan.toml`; `None` if that would overwrite something else
/// that nobody named.
pub(super) fn write(context: &Context, plan: &PlanFile, output: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let file = output.map_or_else(|| PathBuf::from(format!("{}.plan.toml", plan.study)), Path::to_owned);
    if output.is_none() && file.exists() && !is_of_study(&file, &plan.study) {
        context.screen.warn(&format!("{} is there already and is not this study's: it was left alone", file.display()));
        context.screen.hint(&format!("agenttts plan {} -o FILE writes the plan elsewhere", plan.study));
        return Ok(None);
    }
    fs::write(&file, plan.to_toml()).map_err(|e| Failure::write(&file, e))?;
    Ok(Some(file))
}

fn is_of_study(file: &Path, study: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    PlanFile::parse(&file.display().to_string(), &text).is_ok_and(|plan| plan.study == study)
}
