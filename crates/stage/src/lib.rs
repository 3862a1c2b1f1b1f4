//! What happens inside one stage: prompts out, samples in, one output and its score.
//!
//! A [`CompiledStage`] renders the messages of a stage for an example, parses each sample, combines the samples and
//! tells which further call that needs, if any. [`score`] compares an output with the gold answer.
//!
//! Everything here is pure: no IO, no clock, no randomness. The same samples always give the same output, and the first
//! `n` of `N` samples give what `n` samples alone would have given. Results derived from stored samples are keyed by
//! the version constants below; each grows when the same input may give another result.

mod aggregate;
mod code;
mod combine;
mod compile;
mod decided;
mod field;
mod flow;
mod judge;
mod metric;
mod normalise;
mod parse;
mod shorten;
mod stage;
mod step;
mod template;
mod verbatim;

pub use aggregate::{Aggregate, Counts, NoOutput, Ran, aggregate};
pub use code::{CodeFiles, NoCode, code_files};
pub use combine::{Combine, Sample};
pub use decided::more_samples;
pub use flow::Flow;
pub use judge::{ask_again, read_verdict};
pub use metric::{MetricError, Near, Seen, cosine, score};
pub use normalise::{normalise, squad, vote_key};
pub use parse::{ParseFailure, Parser};
pub use stage::CompiledStage;
pub use step::CompiledStep;
pub use template::RenderError;
pub use verbatim::{Trimmed, Verbatim};

/// Version of rendering: the variables that templates see, the template dialect, the built-in prompts.
pub const PROMPT_VERSION: u32 = 1;

/// Version of all output parsers.
pub const PARSER_VERSION: u32 = 1;

/// Version of all aggregators, the normalisation of answers before a vote included.
pub const AGGREGATOR_VERSION: u32 = 1;

/// Version of the metrics of answers and sets, the normalisation of answers included.
pub const METRIC_VERSION: u32 = 2;

/// Version of ROUGE, its words and stems included.
pub const ROUGE_VERSION: u32 = 1;

/// Version of the metrics of tool graphs, the reading of graphs included. 2: names of arguments count only where gold has
/// names.
pub const GRAPH_VERSION: u32 = 3;

/// Version of what judges are asked, and of the reading of verdicts.
pub const JUDGE_VERSION: u32 = 1;

/// Version of the metrics of generated code, the reading of its files included. 2: files may be named in the line of a
/// fence, and JSON of files may be a text. 3: a block of another language, or one without code, replaces no Python file.
pub const CODE_VERSION: u32 = 3;
