//! How a test server behaves.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Certificate, Fault};

/// How a test server behaves; the default answers everything at once and well.
#[derive(Clone, Debug)]
pub struct Config {
    /// The models it offers; empty = any name is answered, and `p70` is listed.
    pub models: Vec<String>,
    /// The port on 127.0.0.1; 0 = any free one.
    pub port: u16,
    /// Speaks TLS with this certificate, and offers HTTP/2 before HTTP/1.1.
    pub tls: Option<Certificate>,
    /// Time until a reply starts.
    pub latency: Duration,
    /// What becomes of the first completion requests, in order of arrival; `None` = nothing special.
    pub script: Vec<Option<Fault>>,
    /// Faults of the requests after the script, each with its probability; at most one strikes a request.
    pub faults: Vec<(Fault, f64)>,
    /// Decides which requests the probable faults strike.
    pub fault_seed: u64,
    /// Completion requests with this text in a message always meet this fault, whatever the script says.
    pub poisoned: Vec<(String, Fault)>,
    /// Requests of any kind, by their number from 0 in order of arrival, whose connections are reset: the server is down.
    pub down: Range<usize>,
    /// What it makes of `n`.
    pub choices: ChoiceCount,
    /// What it reports as usage.
    pub usage: UsageReport,
    /// The key that it wants in `Authorization`.
    pub api_key: Option<String>,
    /// The longest prompt and continuation together, in tokens.
    pub context: Option<u32>,
    /// Refuses `max_tokens` in favour of `max_completion_tokens`.
    pub wants_max_completion_tokens: bool,
    /// Refuses `seed`.
    pub refuses_seed: bool,
    /// Refuses `stream_options`.
    pub refuses_stream_options: bool,
    /// Refuses `stream`.
    pub refuses_stream: bool,
    /// Sends the whole completion where events were asked for.
    pub ignores_stream: bool,
    /// Refuses `response_format` and `grammar`.
    pub refuses_constraints: bool,
    /// Puts this text into every choice as `reasoning_content`, and counts it.
    pub reasoning: Option<String>,
    /// Reported as `system_fingerprint`.
    pub fingerprint: Option<String>,
    /// A file to which each served sample is appended as a line of JSON, on disk before the reply leaves.
    pub log: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            models: Vec::new(),
            port: 0,
            tls: None,
            latency: Duration::ZERO,
            script: Vec::new(),
            faults: Vec::new(),
            fault_seed: 0,
            poisoned: Vec::new(),
            down: 0..0,
            choices: ChoiceCount::AsAsked,
            usage: UsageReport::AllChoices,
            api_key: None,
            context: None,
            wants_max_completion_tokens: false,
            refuses_seed: false,
            refuses_stream_options: false,
            refuses_stream: false,
            ignores_stream: false,
            refuses_constraints: false,
            reasoning: None,
            fingerprint: None,
            log: None,
        }
    }
}

/// What a server makes of `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceCount {
    /// Sends as many choices as asked for.
    AsAsked,
    /// Sends one choice whatever `n` says.
    One,
    /// Sends at most so many choices.
    AtMost(u32),
    /// Refuses a larger `n` with a 400 that does not name the limit, as llama.cpp's server does.
    RefusesAbove(u32),
    /// Refuses a larger `n` with a 400 that names the limit, as OpenAI's does.
    NamesLimit(u32),
    /// Sends so many more than asked for.
    More(u32),
}

/// What a server reports as usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageReport {
    /// The completion tokens of all choices.
    AllChoices,
    /// The completion tokens of the first choice, with llama.cpp's `timings` and `/tokenize` beside it.
    LlamaServer,
    /// The completion tokens of the first choice and nothing that gives it away.
    FirstChoice,
    /// None at all.
    Missing,
}
