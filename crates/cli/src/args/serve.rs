//! What can be typed after `serve` and `keys`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::number::error_rate;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Plan files to serve, each as the model of its study's name, or of the name before a `=`
    #[arg(required = true, value_name = "[NAME=]PLAN.toml")]
    pub(crate) plans: Vec<String>,
    /// The address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Requests that are answered at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: u32,
    /// Requests that may wait behind them; more are refused with 429
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) queue: u32,
    /// The longest that a request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) deadline: u32,
    /// End a vote as soon as it is decided: exactly, or with this probability that it comes out otherwise than with all
    /// samples. `agenttts bench adaptive` measures what that saves
    #[arg(long, value_name = "ERROR", num_args = 0..=1, default_missing_value = "0", value_parser = error_rate)]
    pub(crate) adaptive: Option<f64>,
    /// The largest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_body: u32,
    /// How long requests under way may take to end after a stop, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) grace: u32,
    /// Do not look for changed plan files; POST /api/serving/reload still reads them again
    #[arg(long)]
    pub(crate) no_reload: bool,
    /// Keep answered requests as examples of a later search, in a file NAME.jsonl of this folder for each plan: what people
    /// ask is stored as they asked it
    #[arg(long, value_name = "DIR")]
    pub(crate) log_examples: Option<PathBuf>,
    /// The field of these examples that has the plan's answer
    #[arg(long, value_name = "FIELD", default_value = "served", requires = "log_examples")]
    pub(crate) log_answer_as: String,
    /// The most that these files may have for a plan, in megabytes; the older half goes first
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..), requires = "log_examples")]
    pub(crate) log_examples_mb: u32,
    /// Export traces and metrics by OpenTelemetry, as the OTEL_* variables say; done unasked where they name a collector
    #[arg(long)]
    pub(crate) otel: bool,
    /// Put prompts and answers into the spans that are exported
    #[arg(long)]
    pub(crate) otel_content: bool,
    /// The form of the log on stderr
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) log: LogArg,
}

/// Who may reach a server.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// The file of API keys that `keys new` writes; without it only this machine is answered
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The certificate chain of the server, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy that you trust stands before the server, speaks TLS and writes X-Forwarded-For
    #[arg(long)]
    pub(crate) behind_proxy: bool,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogArg {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// The file of keys
    #[arg(long, global = true, value_name = "FILE", default_value = "agenttts-keys.toml")]
    pub(crate) keys: PathBuf,
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it, once: the file keeps only its hash
    New {
        /// Whose it is, for logs
        name: String,
        /// What it allows
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [ScopeArg::Use])]
        scopes: Vec<ScopeArg>,
    },
    /// List the keys of the file
    List,
    /// Take a key away; a running server notices within a second
    Revoke {
        /// Whose it is
        name: String,
    },
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// Sending requests to plans
    Use,
    /// Looking at studies, traffic and metrics
    View,
    /// Everything that changes something
    Administrate,
}
