//! Input from hostile hands: cargo-fuzz over every target of `crates/fuzz`.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{cargo, root, say, succeeds};

#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// Targets, as `fuzz/Cargo.toml` names them; all where none is named
    targets: Vec<String>,
    /// Seconds for each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes each target for a while and prints a table; fails where a target failed on an input.
///
/// Our code has no unsafe blocks where these inputs go, so there is no sanitizer, and a stable toolchain does.
pub(crate) fn fuzz(args: &FuzzArgs) -> Result<()> {
    if !succeeds("cargo", &["fuzz", "--version"]) {
        bail!("cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`");
    }
    let targets = if args.targets.is_empty() { targets()? } else { args.targets.clone() };
    say("| target | executions | edges covered | inputs kept | longest s | failed |");
    say("|---|---|---|---|---|---|");
    let mut failed = Vec::new();
    for target in &targets {
        let before = artifacts(target);
        let log = root().join("fuzz/target").join(format!("{target}.log"));
        fs::create_dir_all(log.parent().unwrap_or(Path::new(".")))?;
        let corpus = root().join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        let mut command = cargo(&["fuzz", "run", "--fuzz-dir", "fuzz", "--sanitizer", "none", target]);
        command.arg(&corpus);
        for known in ["seeds", "found"] {
            let folder = root().join("crates/fuzz").join(known).join(target);
            if folder.is_dir() {
                command.arg(folder);
            }
        }
        let seconds = format!("-max_total_time={}", args.seconds);
        command.args(["--", &seconds, "-timeout=20", "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1"]);
        let output = File::create(&log)?;
        let status = command.stdout(output.try_clone()?).stderr(output).status().context("cargo cannot be run")?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if !said.contains("stat::number_of_executed_units") && !status.success() && artifacts(target) == before {
            bail!("{target} could not be run: see {}", log.display());
        }
        let stat = |name: &str| {
            let line = said.lines().rev().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
            line.map_or("-", str::trim).to_owned()
        };
        let covered = said.lines().rev().find_map(|line| line.split(" cov: ").nth(1)?.split_whitespace().next());
        let new = artifacts(target).saturating_sub(before);
        say(&format!(
            "| {target} | {} | {} | {} | {} | {new} |",
            stat("number_of_executed_units"),
            covered.unwrap_or("-"),
            stat("new_units_added"),
            stat("slowest_unit_time_sec"),
        ));
        if new > 0 || !status.success() {
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} failed: the inputs are in fuzz/artifacts; mend it, then keep each in crates/fuzz/found/TARGET as a test",
            failed.join(", ")
        );
    }
    Ok(())
}

/// The programs of `fuzz/Cargo.toml`.
fn targets() -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("fuzz/Cargo.toml"))?;
    let names = text.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1));
    Ok(names.map(str::to_owned).collect())
}

/// Inputs on which a target failed.
fn artifacts(target: &str) -> usize {
    fs::read_dir(root().join("fuzz/artifacts").join(target)).map_or(0, |entries| entries.flatten().count())
}
