//! What can be typed after `agenttts bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::number::error_rate;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(override_usage = "agenttts bench [OPTIONS] LANDSCAPE...\n       agenttts bench COMMAND")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BenchCommand>,
    /// Landscapes: CSV files with a TOML file beside each, folders of them, or simulated ones such as sim:insights:7
    #[arg(required = true, value_name = "LANDSCAPE")]
    pub(crate) landscapes: Vec<String>,
    /// The methods to compare; METHOD@N runs all its trials on N examples [default: all that need no model]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) methods: Vec<String>,
    /// Runs of every method on every landscape
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) seeds: u32,
    /// The search budget of a run: examples evaluated, in all trials together, or on a tape tokens drawn [default: 2500, and
    /// half of the tokens that all plans of a tape take]
    #[arg(long, value_name = "N")]
    pub(crate) evaluations: Option<u32>,
    /// Runs at once; the outcome does not depend on it [default: one for every core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// End trials early once their plan has fallen behind, as `agenttts search` does; not those of outside methods
    #[arg(long)]
    pub(crate) racing: bool,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write results.json, index.html and a regret curve of every landscape as SVG into this folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// Who answers methods that ask a language model.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The language model of methods that ask one: a pulled model or a GGUF file. What it replies goes into --replies
    #[arg(long, value_name = "NAME_OR_GGUF")]
    pub(crate) agent_model: Option<String>,
    /// The model's replies, one a line: those that are there are replayed, so that no model is needed
    #[arg(long, value_name = "JSONL")]
    pub(crate) replies: Option<PathBuf>,
    /// Landscapes of earlier tasks that mlcopilot learns from: the one most like each landscape, never itself
    #[arg(long, value_name = "LANDSCAPES", value_delimiter = ',')]
    pub(crate) history: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Study how robust methods are: one of search examples, plan budgets, insights, prices
    Study(super::study::StudyArgs),
    /// Measure on tapes what ending votes early saves, and what it does to the answers
    Adaptive(AdaptiveArgs),
    /// Write a simulated landscape as CSV and TOML files
    Simulate(SimulateArgs),
    /// Draw all that the plans of a pipeline need with its live models, into a tape; the same command goes on after a stop
    Record(super::tape::RecordArgs),
}

/// What `bench adaptive` takes.
#[derive(Debug, Args)]
pub(crate) struct AdaptiveArgs {
    /// Tapes of grids, as `bench record` writes them
    #[arg(required = true, value_name = "FILE.tape")]
    pub(crate) tapes: Vec<PathBuf>,
    /// The accepted probability for a vote to come out otherwise than with all samples; several are compared
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_value = "0", value_parser = error_rate)]
    pub(crate) error: Vec<f64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Its name, such as sim:insights:7
    pub(crate) name: String,
    /// The folder to write it into
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}
