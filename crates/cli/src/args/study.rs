//! What can be typed after `agenttts bench study`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::bench::AgentArgs;
use super::price::PriceArg;

#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    #[command(subcommand)]
    pub(crate) study: StudyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StudyCommand {
    /// What methods find with 50, 75 and 100 examples in the search split
    Examples(ExamplesArgs),
    /// What methods find under a low, a medium and a high plan budget
    Budgets(BudgetsArgs),
    /// What planner and rules find without each insight of the paper, also where it does not hold
    Insights(InsightsArgs),
    /// What methods find when plans are paid in dollars instead of floating-point operations
    Prices(PricesArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ExamplesArgs {
    /// Examples in the split; tapes that have fewer are studied in the same proportions
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "50,75,100")]
    pub(crate) examples: Vec<u32>,
    #[command(flatten)]
    pub(crate) of: StudyOf,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetsArgs {
    /// Shares of a landscape's plans that the budgets let in
    #[arg(long, value_name = "SHARES", value_delimiter = ',', default_value = "0.25,0.5,0.75")]
    pub(crate) shares: Vec<f64>,
    #[command(flatten)]
    pub(crate) of: StudyOf,
}

#[derive(Debug, Args)]
pub(crate) struct InsightsArgs {
    /// Also run on N simulated worlds in which all insights hold, and on the same worlds with each insight broken
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) worlds: u32,
    #[command(flatten)]
    pub(crate) of: StudyOf,
}

#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    /// A model's dollars per million prompt and decoded tokens, such as small=0.06/0.18; may be repeated [default: by its
    /// parameters]
    #[arg(long, value_name = "MODEL=PROMPT/DECODE")]
    pub(crate) price: Vec<PriceArg>,
    /// The share of a landscape's plans that both plan budgets let in
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub(crate) share: f64,
    #[command(flatten)]
    pub(crate) of: StudyOf,
}

/// What every study is told.
#[derive(Debug, Args)]
pub(crate) struct StudyOf {
    /// Landscapes and tapes: files, folders of them, or simulated ones such as sim:insights:7
    #[arg(value_name = "LANDSCAPE")]
    pub(crate) landscapes: Vec<String>,
    /// The methods; the others are compared with the first [default: planner,rules,halving,tpe,random; for insights
    /// planner,rules]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) methods: Vec<String>,
    /// Runs of every method under every setting
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) seeds: u32,
    /// The search budget of a run, the same under every setting [default: 2500; 50 trials on the whole split where
    /// examples are studied; on tapes in tokens]
    #[arg(long, value_name = "N")]
    pub(crate) evaluations: Option<u32>,
    /// Runs at once; the outcome does not depend on it [default: one for every core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write results.json, index.html and a chart as SVG into this folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
