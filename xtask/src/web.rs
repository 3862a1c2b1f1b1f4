//! The pages of the dashboard: built from `web/`, kept in `crates/server/assets`, and tried in a browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{root, run, say, succeeds, target_dir};
use crate::setup::{self, Need};
use crate::test::program;

#[derive(Args)]
pub(crate) struct WebArgs {
    /// Fail where the committed pages are not what `web/` builds
    #[arg(long)]
    check: bool,
}

/// Builds the pages.
pub(crate) fn web(args: &WebArgs) -> Result<()> {
    setup::ensure(&[Need::Node])?;
    packages()?;
    build(args.check)
}

/// The tests of the pages: of their parts, and of all of them in a headless Chromium. Skipped with a message where node or
/// Chromium are not to be had.
pub(crate) fn test_web() -> Result<()> {
    if let Err(missing) = setup::ensure(&[Need::Node, Need::Chromium]) {
        say(&format!("skipped: the tests of the dashboard's pages ({missing:#})"));
        return Ok(());
    }
    if let Err(error) = packages() {
        say(&format!("skipped: the tests of the dashboard's pages, as their packages cannot be fetched ({error:#})"));
        return Ok(());
    }
    build(true)?;
    run(npm().args(["run", "lint"]))?;
    run(npm().args(["test"]))?;
    let shots = std::env::var_os("AGENTTTS_SHOTS").map_or_else(|| target_dir().join("web-pages"), PathBuf::from);
    say(&format!("pictures of all pages are kept in {}", shots.display()));
    run(npm().args(["run", "test:web"]).env("AGENTTTS_PROGRAM", program()?).env("AGENTTTS_SHOTS", shots))
}

/// Fetches the packages that the pages are built with, where those of the lock file are not there.
fn packages() -> Result<()> {
    let inside = |name: &str| fs::metadata(folder().join(name)).and_then(|m| m.modified()).ok();
    let (wanted, there) = (inside("package-lock.json"), inside("node_modules/.package-lock.json"));
    if there.is_some() && there >= wanted {
        return Ok(());
    }
    run(npm().args(["ci", "--no-audit", "--no-fund"]))
}

fn build(check: bool) -> Result<()> {
    let before = assets()?;
    run(npm().args(["run", "build"]))?;
    let after = assets()?;
    let changed: Vec<&String> =
        after.iter().filter(|(name, text)| before.get(*name) != Some(text)).map(|p| p.0).collect();
    if check && (!changed.is_empty() || before.len() != after.len()) {
        bail!("crates/server/assets was not what web/ builds, and is now: commit it ({changed:?})");
    }
    Ok(())
}

/// What is embedded into the program.
fn assets() -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = root().join("crates/server/assets");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(found)
}

fn folder() -> PathBuf {
    root().join("web")
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder());
    command
}

/// The names under which systems have Chromium.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Whether there is a Chromium.
pub(crate) fn has_chromium() -> bool {
    CHROMIUM.iter().any(|name| succeeds(name, &["--version"]))
}
