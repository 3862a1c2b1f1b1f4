//! What can be typed about tapes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// A pipeline's folder, or its pipeline.toml; all plans of its stages are recorded, whatever they cost
    pub(crate) pipeline: PathBuf,
    #[command(flatten)]
    pub(crate) with: super::WithArgs,
    /// Where the tape goes [default: the pipeline's name and .tape, in this folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TapeArgs {
    #[command(subcommand)]
    pub(crate) command: TapeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Write the tape of a study: `agenttts search --tape FILE` then makes the same trials and the same choice again,
    /// without a model, key or network
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The study
    pub(crate) study: String,
    /// Where the tape goes [default: STUDY.tape in this folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out what models wrote, but for the answers that stages read in it
    #[arg(long)]
    pub(crate) without_texts: bool,
    /// Do not search again from the tape to see that it gives the same
    #[arg(long)]
    pub(crate) unchecked: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Take the draws of the demo's models from the tape that comes with this program (the only way so far)
    #[arg(long, required = true)]
    pub(crate) tape: bool,
    /// The search method [default: as of `search`]
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// The most that one answer may cost, in GFLOP; one sample of the larger model at both stages costs twice the default
    #[arg(long, value_name = "GFLOP", default_value = "231")]
    #[arg(value_parser = super::number::signed_amount, allow_negative_numbers = true)]
    pub(crate) budget: f64,
    /// The most trials
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) trials: Option<u32>,
    /// The seed of all choices
    #[arg(long)]
    pub(crate) seed: Option<u32>,
    /// Where the report goes, one HTML file
    #[arg(short, long, value_name = "FILE", default_value = "demo-report.html")]
    pub(crate) output: PathBuf,
    /// Print the study's summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
