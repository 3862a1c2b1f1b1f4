//! What can be typed. Nothing here has a meaning yet: the commands give it one.

mod bench;
mod budget;
mod data;
mod number;
mod pilot;
mod price;
mod serve;
mod store;
mod study;
mod tape;
mod ui;
mod watch;

use std::path::PathBuf;

use agenttts_engine::METHODS;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use bench::{AdaptiveArgs, AgentArgs, BenchArgs, BenchCommand, SimulateArgs};
pub(crate) use budget::BudgetArg;
pub(crate) use data::{DataArgs, DataCommand, InspectArgs, PrepareArgs, ReadArgs};
use number::{amount, signed_amount};
pub(crate) use pilot::PilotArgs;
use price::PriceArg;
pub(crate) use serve::{AccessArgs, KeysArgs, KeysCommand, LogArg, ScopeArg, ServeArgs};
pub(crate) use store::{ExportFormatArg, StoreArgs, StoreCommand};
pub(crate) use study::{StudyArgs, StudyCommand, StudyOf};
pub(crate) use tape::{DemoArgs, ExportArgs, RecordArgs, TapeArgs, TapeCommand};
pub(crate) use ui::UiArgs;
pub(crate) use watch::WatchArgs;

/// Finds the model, the number of samples and the aggregator of every stage of an LLM pipeline that give the best
/// quality within a budget.
#[derive(Debug, Parser)]
#[command(name = "agenttts", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "Start with `agenttts init DIR`, then `agenttts search DIR`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// The store of samples and studies [default: the nearest .agenttts/store.db in this folder or above it]
    #[arg(long, global = true, value_name = "PATH", env = "AGENTTTS_STORE", hide_env_values = true)]
    pub(crate) store: Option<PathBuf>,
    /// The folder of embedded models [default: agenttts/models in the user's cache]
    #[arg(long, global = true, value_name = "DIR", env = "AGENTTTS_MODELS", hide_env_values = true)]
    pub(crate) models_dir: Option<PathBuf>,
    /// When to use colour; NO_COLOR is honoured too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub(crate) color: ColorArg,
    /// Run generated code even where this system cannot hold it in the sandbox: only for code that you trust
    #[arg(long, global = true)]
    pub(crate) allow_weak_sandbox: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented pipeline folder to start from; it runs at once, without network
    Init(InitArgs),
    /// Validate a pipeline and tell what searching it would take
    Check(CheckArgs),
    /// Search the best plan within the budget, or go on with a study that was stopped
    Search(SearchArgs),
    /// Search a small pipeline to see how it goes; nothing is needed for it, as a tape plays its models
    Demo(DemoArgs),
    /// Find out what models, samples and upstream quality do to every stage, and which insights of AgentTTS hold
    Pilot(PilotArgs),
    /// List the studies of the store
    Studies(StudiesArgs),
    /// Show a study
    Show(ShowArgs),
    /// Write the plan file of a study, or of one of its trials
    Plan(PlanArgs),
    /// Choose again from what a study has drawn, under another budget, other prices or a limit on time, without a call
    Replan(ReplanArgs),
    /// Write a study's report: one HTML file that needs nothing else
    Report(ReportArgs),
    /// Answer inputs with a found plan
    Run(RunArgs),
    /// Answer requests with found plans, over the OpenAI API
    Serve(ServeArgs),
    /// Make, list and take away the API keys of `serve`
    Keys(KeysArgs),
    /// Show studies in a browser: live, down to every sample; stop them, resume them, and try plans
    Ui(UiArgs),
    /// Show a study in this terminal while it goes on, and stop it
    Watch(WatchArgs),
    /// List, fetch and add models that run in this process
    Models(ModelsArgs),
    /// Look at a published data set, or make the splits of a pipeline of it
    Data(DataArgs),
    /// Write what a study drew into one file, from which anyone can search again what it searched
    Tape(TapeArgs),
    /// Look after the store's file: verify it, make it small, migrate it, or export its tables
    Store(StoreArgs),
    /// Price one stage by hand
    Cost(CostArgs),
    /// Compare search methods on landscapes: tables of every plan's score and cost, where no model is called
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to make; files that are there already are left alone
    pub(crate) dir: PathBuf,
}

/// What a pipeline is loaded with.
#[derive(Debug, Default, Args)]
pub(crate) struct WithArgs {
    /// The profile that is laid over the pipeline, profiles/NAME.toml in its folder [default: the pipeline's
    /// default_profile]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The published file (or folder) of the data set that the pipeline is for; its examples are split and kept beside
    /// the store
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A pipeline's folder, or its pipeline.toml
    pub(crate) pipeline: PathBuf,
    #[command(flatten)]
    pub(crate) with: WithArgs,
    /// Also call every model once, to see that it answers
    #[arg(long)]
    pub(crate) probe: bool,
    /// Check under another plan budget, in units of the pipeline's cost model
    #[arg(long, value_name = "UNITS", value_parser = signed_amount, allow_negative_numbers = true)]
    pub(crate) budget: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct SearchArgs {
    /// A pipeline's folder, or its pipeline.toml
    #[arg(required_unless_present_any = ["resume", "tape"])]
    pub(crate) pipeline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) with: WithArgs,
    /// Play all models from a tape that `bench record` or `tape export` wrote instead of calling them [PIPELINE default: the
    /// tape's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) tape: Option<PathBuf>,
    /// Go on with a study after Ctrl-C, a crash or a reached limit
    #[arg(long, value_name = "STUDY", conflicts_with = "pipeline", conflicts_with_all = NOT_ON_RESUME)]
    pub(crate) resume: Option<String>,
    /// Try examples again that were quarantined because they failed in every trial
    #[arg(long, requires = "resume")]
    pub(crate) release: bool,
    /// The new study's name [default: the pipeline's name and a number]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The search method [default: the pipeline's; else agent if an agent is named, else planner]
    #[arg(long, value_name = "METHOD", help = method_help())]
    pub(crate) method: Option<String>,
    /// The agent's model, by its name in the pipeline
    #[arg(long, value_name = "MODEL")]
    pub(crate) agent_model: Option<String>,
    /// The plan budget: the most that one answer may cost, in units of the pipeline's cost model
    #[arg(long, value_name = "UNITS", value_parser = signed_amount, allow_negative_numbers = true)]
    pub(crate) budget: Option<f64>,
    /// The search budget: the most that the whole search may spend, such as tokens=2M,usd=3,minutes=20. Limits that are
    /// not named stay as they are; `none` lifts one
    #[arg(long, value_name = "LIMITS")]
    pub(crate) search_budget: Option<BudgetArg>,
    /// The most trials, those of earlier sessions included
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) trials: Option<u32>,
    /// Trials that are proposed at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// Examples of a trial, for methods that do not choose it themselves [default: all of the search split]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) examples_per_trial: Option<u32>,
    /// The earlier study that mlcopilot learns from [default: the most similar one of the store]
    #[arg(long, value_name = "STUDY")]
    pub(crate) history: Option<String>,
    /// The seed of all choices and draws
    #[arg(long)]
    pub(crate) seed: Option<u32>,
    /// For the method agent: the loop of the paper unaided, the model's plans as they are and the best score wins
    #[arg(long)]
    pub(crate) faithful: bool,
    /// For the method agent: the loop as the released code of AgentTTS runs it, with its faults
    #[arg(long, conflicts_with = "faithful")]
    pub(crate) released: bool,
    /// End a trial early once its plan has fallen behind the leading one beyond doubt
    #[arg(long)]
    pub(crate) racing: bool,
    /// Run every trial on all of its examples, also where the pipeline says racing = true
    #[arg(long, conflicts_with = "racing")]
    pub(crate) no_racing: bool,
    /// Leave one of the paper's insights out of every rule and prompt (1, 2 or 3; repeatable)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) without_insight: Vec<u8>,
    /// Where the plan file goes [default: STUDY.plan.toml in this folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print the study's summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn method_help() -> String {
    format!(
        "The search method: {} [default: the pipeline's; else agent if an agent is named, else planner]",
        METHODS.join(", ")
    )
}

/// A study keeps what it was started with; only its search budget and its trials can change.
const NOT_ON_RESUME: [&str; 15] = [
    "profile",
    "data",
    "name",
    "method",
    "agent_model",
    "budget",
    "batch",
    "seed",
    "without_insight",
    "faithful",
    "released",
    "racing",
    "no_racing",
    "examples_per_trial",
    "history",
];

#[derive(Debug, Args)]
pub(crate) struct StudiesArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The study [default: the newest]
    pub(crate) study: Option<String>,
    /// Say why the plan won: what matters, where samples stop paying, how stages move each other
    #[arg(long)]
    pub(crate) why: bool,
    /// List every trial
    #[arg(long)]
    pub(crate) trials: bool,
    /// Print the guidelines that steered the search
    #[arg(long)]
    pub(crate) guidelines: bool,
    /// Print the whole summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The study
    pub(crate) study: String,
    /// The trial whose plan is wanted [default: the recommended one]
    #[arg(long, value_name = "N")]
    pub(crate) trial: Option<u32>,
    /// Where the plan file goes; - is standard output [default: STUDY.plan.toml in this folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplanArgs {
    /// The study
    pub(crate) study: String,
    /// The most that one answer may cost, in units of the cost model [default: the study's budget, or any cost where
    /// costs are counted otherwise]
    #[arg(long, value_name = "UNITS", value_parser = signed_amount, allow_negative_numbers = true)]
    pub(crate) budget: Option<f64>,
    /// How plans are priced: paper-flops, flops, usd, usd-batch, tokens or seconds [default: as in the study, or usd with --price]
    #[arg(long, value_name = "NAME")]
    pub(crate) cost_model: Option<String>,
    /// What a model costs now, in dollars per million tokens of prompt and of reply (repeatable)
    #[arg(long, value_name = "MODEL=PROMPT/DECODE")]
    pub(crate) price: Vec<PriceArg>,
    /// The most seconds that an answer may take on average, stage after stage, as timed in the search
    #[arg(long, value_name = "SECONDS", value_parser = amount)]
    pub(crate) max_latency: Option<f64>,
    /// Write the plan file there; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The study [default: the newest]
    pub(crate) study: Option<String>,
    /// Draw a summary that `show --json` wrote instead of a study of the store
    #[arg(long, value_name = "FILE", conflicts_with = "study")]
    pub(crate) summary: Option<PathBuf>,
    /// Where the report goes; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A plan file
    pub(crate) plan: PathBuf,
    /// One input: a JSON object with the fields that the pipeline's templates read
    #[arg(long, value_name = "JSON", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) input: Option<String>,
    /// Many inputs: a file of such objects, one a line; - is standard input. Prints one line of JSON for each
    #[arg(long, value_name = "JSONL")]
    pub(crate) file: Option<PathBuf>,
    /// Lines of the file that are answered side by side
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// Also tell what every stage did
    #[arg(long)]
    pub(crate) trace: bool,
    /// Print JSON for a single input too
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that are here and those that can be fetched by name
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch models by name
    Pull {
        /// Names, as `models list` shows them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Take a GGUF file into the folder of models
    Add {
        /// The file; it keeps its name
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    /// paper-flops, flops, usd, usd-batch, tokens or seconds
    #[arg(long, value_name = "NAME")]
    pub(crate) cost_model: String,
    /// Tokens of the prompt
    #[arg(long, value_name = "TOKENS", value_parser = number::count)]
    pub(crate) prompt: u64,
    /// Those of them that are read from a cache
    #[arg(long, value_name = "TOKENS", default_value = "0", value_parser = number::count)]
    pub(crate) cached_prompt: u64,
    /// Tokens that one sample decodes
    #[arg(long, value_name = "TOKENS", value_parser = number::count)]
    pub(crate) decode: u64,
    /// Samples after one shared prompt
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) samples: u32,
    /// Parameters of the model, in billions (paper-flops, flops)
    #[arg(long, value_name = "BILLIONS", value_parser = amount)]
    pub(crate) params_b: Option<f64>,
    /// Layers of the model, for the attention term of flops
    #[arg(long, requires = "width")]
    pub(crate) layers: Option<u32>,
    /// Width of the model, for the attention term of flops
    #[arg(long, requires = "layers")]
    pub(crate) width: Option<u32>,
    /// Dollars per million prompt tokens (usd)
    #[arg(long, value_name = "USD", value_parser = amount, requires = "price_decode")]
    pub(crate) price_prompt: Option<f64>,
    /// Dollars per million cached prompt tokens (usd) [default: the price of the prompt]
    #[arg(long, value_name = "USD", value_parser = amount, requires = "price_prompt")]
    pub(crate) price_cached_prompt: Option<f64>,
    /// Dollars per million decoded tokens (usd)
    #[arg(long, value_name = "USD", value_parser = amount, requires = "price_prompt")]
    pub(crate) price_decode: Option<f64>,
    /// The share of these prices that the provider's batch API asks for, such as 0.5 (usd-batch)
    #[arg(long, value_name = "SHARE", value_parser = number::share, requires = "price_prompt")]
    pub(crate) price_batch: Option<f64>,
    /// Prompt tokens a second (seconds)
    #[arg(long, value_name = "TOKENS", value_parser = amount, requires = "speed_decode")]
    pub(crate) speed_prompt: Option<f64>,
    /// Decoded tokens a second of one sample (seconds)
    #[arg(long, value_name = "TOKENS", value_parser = amount, requires = "speed_prompt")]
    pub(crate) speed_decode: Option<f64>,
    /// Samples that decode at that speed side by side (seconds)
    #[arg(long, value_name = "SAMPLES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) parallel: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_study_that_goes_on_takes_no_new_settings() {
        let parse = |args: &str| Cli::try_parse_from(args.split(' '));
        assert!(parse("agenttts search --resume demo-1 --search-budget tokens=4M --json").is_ok());
        for other in ["p", "--method rules", "--batch 3", "--seed 2", "--budget 3", "--without-insight 1", "--name x"] {
            assert!(parse(&format!("agenttts search --resume demo-1 {other}")).is_err(), "{other}");
        }
        assert!(parse("agenttts search --resume demo-1 --faithful").is_err());
        assert!(parse("agenttts search").is_err());
    }
}
