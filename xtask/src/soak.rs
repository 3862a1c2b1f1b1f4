//! A server under mixed traffic for a while: `crates/server/examples/soak.rs` does it, on loopback alone.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::run::{cargo, run, target_dir};

#[derive(Args)]
pub(crate) struct SoakArgs {
    /// How long
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Run unoptimised builds, which are there sooner
    #[arg(long)]
    debug: bool,
}

/// Prints what it came to; fails where a request was lost, a cost is not accounted for, or memory grew.
pub(crate) fn soak(args: &SoakArgs) -> Result<()> {
    let (folder, profile): (_, &[&str]) = if args.debug { ("debug", &[]) } else { ("release", &["--release"]) };
    let build = |what: &[&str]| run(cargo(&["build"]).args(profile).args(what));
    build(&["--package", "agenttts", "--no-default-features"])?;
    build(&["--package", "agenttts-server", "--example", "soak"])?;
    let built = target_dir().join(folder);
    let suffix = std::env::consts::EXE_SUFFIX;
    let mut soak = Command::new(built.join("examples").join(format!("soak{suffix}")));
    soak.arg(built.join(format!("agenttts{suffix}"))).arg(target_dir().join("soak"));
    run(soak.arg(args.minutes.to_string()))
}
