//! The README's first command: from a fresh checkout to a found plan and a report.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::run::{cargo, root, run, say, target_dir};
use crate::setup::{self, Need};

/// The embedded models that the demo pipeline uses.
pub(crate) const MODELS: [&str; 2] = ["smollm2-135m", "qwen-coder-0.5b"];

/// Its folder in the checkout.
pub(crate) const PIPELINE: &str = "pipelines/demo";
const REPORT: &str = "report.html";
const PLAN: &str = "demo.plan.toml";

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Passed on to `agenttts search`, such as `-- --method random --trials 20`.
    #[arg(last = true)]
    search: Vec<String>,
}

/// Builds the program, fetches the models, searches and writes the report.
pub(crate) fn demo(args: &DemoArgs) -> Result<()> {
    if !root().join(PIPELINE).is_dir() {
        bail!("{PIPELINE} is not there: run this in a whole checkout");
    }
    build()?;
    let agenttts = || {
        let mut command = Command::new(program());
        command.current_dir(root());
        command
    };
    run(agenttts().args(["models", "pull"]).args(MODELS))?;
    let mut search = agenttts();
    search.args(["search", PIPELINE, "--output", PLAN]);
    if !args.search.iter().any(|a| a.starts_with("--method")) {
        search.args(["--method", "rules"]);
    }
    run(search.args(&args.search))?;
    // Without a name, `report` takes the newest study.
    run(agenttts().args(["report", "--output", REPORT]))?;
    say("");
    say("The demo is done.");
    say(&format!("  program  {}", program().display()));
    say(&format!("  plan     {}", root().join(PLAN).display()));
    say(&format!("  report   {}", root().join(REPORT).display()));
    say(&format!(
        "Run the plan on the test questions: {} run {PLAN} --file {PIPELINE}/data/test.jsonl",
        program().display()
    ));
    Ok(())
}

/// Builds the program with its embedded engine, and installs first what that needs.
pub(crate) fn build() -> Result<()> {
    setup::ensure(&[Need::Cmake, Need::Make, Need::Compiler, Need::Clang, Need::Pip])?;
    say("building (the first time llama.cpp is built too, which takes some minutes) ...");
    run(&mut cargo(&["build", "--release", "--package", "agenttts"]))
}

/// What [`build`] builds.
pub(crate) fn program() -> PathBuf {
    target_dir().join("release").join(format!("agenttts{}", std::env::consts::EXE_SUFFIX))
}
