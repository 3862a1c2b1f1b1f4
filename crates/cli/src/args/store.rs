//! What can be typed about the store.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Check that the store holds together: structure, references, hashes, sums of the ledger, and that all can be read
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the store's file as small as it can be
    Vacuum,
    /// Bring the store to this program's schema, after copying it
    Migrate {
        /// Where the copy goes [default: beside the store, with the old schema in its name]
        #[arg(long, value_name = "FILE")]
        backup: Option<PathBuf>,
    },
    /// Write every table of the store into a file of its own
    Export {
        /// The folder of the files
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// The form of the files
        #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
        format: ExportFormatArg,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormatArg {
    Jsonl,
    Parquet,
}
