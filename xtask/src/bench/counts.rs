//! Instructions along hot paths, which a busy machine does not change, against committed ones.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::measured::{build, example};
use crate::run::{root, say, succeeds};

#[derive(Args)]
pub(crate) struct CountsArgs {
    /// Write the counts down as the ones to compare with
    #[arg(long)]
    write: bool,
    /// Fail where valgrind is missing, instead of skipping
    #[arg(long)]
    required: bool,
}

const PATHS: [(&str, &str); 3] = [
    ("tape", "every plan of the demo's tape replayed, parsed, voted and scored"),
    ("search", "a search by planner over 200 evaluations of a simulated landscape"),
    ("keys", "the keys of 1,000 requests of 2 kB"),
];

/// More than this above the committed count fails: compilers and C libraries differ by less.
const TOLERANCE: f64 = 0.10;

/// Counts each path, and fails if one takes more instructions than it did.
pub(crate) fn counts(args: &CountsArgs) -> Result<()> {
    if !succeeds("valgrind", &["--version"]) {
        let missing = "valgrind is not installed (Debian: apt-get install valgrind)";
        if args.required {
            bail!("{missing}");
        }
        say(&format!("skipped: instruction counts: {missing}"));
        return Ok(());
    }
    build()?;
    let file = root().join("docs/results/instructions.tsv");
    let before =
        if args.write { String::new() } else { fs::read_to_string(&file).context("no counts to compare with")? };
    let mut lines = String::new();
    let mut more = Vec::new();
    for (path, what) in PATHS {
        let count = counted(path, 2)?.saturating_sub(counted(path, 1)?);
        lines.push_str(&format!("{path}\t{count}\t{what}\n"));
        let known = before.lines().find_map(|line| line.strip_prefix(path)?.split('\t').nth(1)?.parse::<u64>().ok());
        let ratio = known.map(|known| count as f64 / known as f64);
        say(&format!("{path:<8} {count:>15} instructions, {:.3} of the committed count", ratio.unwrap_or(f64::NAN)));
        if ratio.is_some_and(|ratio| ratio > 1.0 + TOLERANCE) {
            more.push(path);
        }
    }
    if args.write {
        fs::write(&file, lines)?;
        say(&format!("written to {}", file.display()));
    }
    if !more.is_empty() {
        bail!(
            "{} takes more instructions than it did; if that is meant, `cargo xtask bench counts --write`",
            more.join(" and ")
        );
    }
    Ok(())
}

/// Instructions of a whole run, start included.
fn counted(path: &str, times: u32) -> Result<u64> {
    let program: PathBuf = example("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).arg(path).arg(times.to_string());
    let output = valgrind.stdout(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.filter(|_| output.status.success()).with_context(|| format!("callgrind counted nothing: {said}"))
}
