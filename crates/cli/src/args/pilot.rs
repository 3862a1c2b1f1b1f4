//! What can be typed about a pilot study.

use std::path::PathBuf;

use clap::Args;

use super::BudgetArg;

#[derive(Debug, Args)]
pub(crate) struct PilotArgs {
    /// A pipeline's folder, its pipeline.toml, or a tape that `bench record` wrote, which needs no models
    pub(crate) pipeline: PathBuf,
    #[command(flatten)]
    pub(crate) with: super::WithArgs,
    /// Examples of the search split [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) examples: Option<u32>,
    /// The most samples to draw and look at [default: the most that each stage permits]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) draws: Option<u32>,
    /// The smallest difference of scores that is worth knowing
    #[arg(long, value_name = "SCORE", default_value_t = agenttts_engine::PILOT_MARGIN, value_parser = margin)]
    pub(crate) margin: f64,
    /// The seed of all draws, subsets and tests
    #[arg(long)]
    pub(crate) seed: Option<u32>,
    /// The most that the pilot may spend over all its sessions, such as tokens=2M,usd=3,minutes=20 [default: the pipeline's
    /// search budget]. Limits that are not named stay as they are; `none` lifts one
    #[arg(long, value_name = "LIMITS")]
    pub(crate) search_budget: Option<BudgetArg>,
    /// Where the page goes, one HTML file [default: PIPELINE-pilot.html in this folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn margin(text: &str) -> Result<f64, String> {
    let value = super::number::amount(text)?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err("must be above 0 and below 1".into()) }
}
