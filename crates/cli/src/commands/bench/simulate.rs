//! `agenttts bench simulate`: a simulated landscape as files.

use std::fs;

use agenttts_bench::{simulate as simulated, write_landscape};

use crate::args::SimulateArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn simulate(context: &Context, args: &SimulateArgs) -> Result<Exit, Failure> {
    let table = simulated(&args.name)?;
    fs::create_dir_all(&args.output).map_err(|e| Failure::write(&args.output, e))?;
    let stem = args.name.replace(':', "-");
    let (csv, toml) = write_landscape(&table);
    for (extension, text) in [("csv", csv), ("toml", toml)] {
        let path = args.output.join(format!("{stem}.{extension}"));
        fs::write(&path, text).map_err(|e| Failure::write(&path, e))?;
    }
    let csv = args.output.join(format!("{stem}.csv"));
    context.screen.say(&format!("{} plans: {}", table.rows.len(), csv.display()));
    Ok(Exit::Ok)
}
