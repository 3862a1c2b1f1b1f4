//! What can be typed for `agenttts data`.

use std::path::PathBuf;

use agenttts_tasks::{CANDIDATES, Dataset};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Tell what a data file holds, what it lacks, and show three examples
    Inspect(InspectArgs),
    /// Write the search and test examples of a data file as a pipeline reads them
    Prepare(PrepareArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// A published file of a data set, or a folder with one
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Refuse the file unless it holds this data set
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Dataset::ALL.map(Dataset::name)))]
    pub(crate) dataset: Option<String>,
    /// The aliases of 2WikiMultiHopQA [default: id_aliases.json beside the file]
    #[arg(long, value_name = "FILE")]
    pub(crate) aliases: Option<PathBuf>,
    /// The tools of TaskBench [default: tool_desc.json beside the file]
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// Keep all gold triples in the knowledge graph, where AgentTTS keeps only the crucial ones
    #[arg(long)]
    pub(crate) complete_graph: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The folder for search.jsonl and test.jsonl
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Examples for the search [default: 50, or half of the file]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) search: Option<usize>,
    /// Examples for the final test [default: 500, or what is left]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) test: Option<usize>,
    /// Take the test examples from another file; none shares its source with a search example
    #[arg(long, value_name = "FILE")]
    pub(crate) test_from: Option<PathBuf>,
    /// Of the splits, and of the order of candidates
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Candidates of an example where they are taken from the whole file, gold included
    #[arg(long, value_name = "N", default_value_t = CANDIDATES, value_parser = count)]
    pub(crate) candidates: usize,
    /// Leave out examples that cannot be used, instead of refusing the file
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Replace search.jsonl and test.jsonl
    #[arg(long)]
    pub(crate) force: bool,
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number from 1 on".into()),
        Ok(count) => Ok(count),
    }
}
