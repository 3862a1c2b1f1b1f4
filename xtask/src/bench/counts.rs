//! Instructions along hot paths, which a busy machine does not change, against committed ones.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::measured::{build, example};
use crate::run::{cargo, root, run, say, target_dir};
use crate::setup::{self, Need};

#[derive(Args)]
pub(crate) struct CountsArgs {
    /// Write the counts down as the ones to compare with
    #[arg(long)]
    write: bool,
    /// Fail where valgrind is missing, instead of skipping
    #[arg(long)]
    required: bool,
    /// Count along shorter paths in the build that tests run, which is there already where they ran
    #[arg(long)]
    debug: bool,
}

/// Something that is counted.
struct Path {
    /// What the counting program calls it.
    name: &'static str,
    /// How many of what it is made of: evaluations, requests.
    size: u32,
    what: &'static str,
}

const RELEASE: [Path; 3] = [
    Path { name: "tape", size: 1, what: "every plan of the demo's tape replayed, parsed, voted and scored" },
    Path { name: "search", size: 200, what: "a search by planner over 200 evaluations of a simulated landscape" },
    Path { name: "keys", size: 1_000, what: "the keys of 1,000 requests of 2 kB" },
];

const DEBUG: [Path; 2] = [
    Path { name: "search", size: 30, what: "a search by planner over 30 evaluations, unoptimised" },
    Path { name: "keys", size: 100, what: "the keys of 100 requests of 2 kB, unoptimised" },
];

/// More than this above the committed count fails: compilers and C libraries differ by less.
const TOLERANCE: f64 = 0.10;

/// Counts each path, and fails if one takes more instructions than it did.
pub(crate) fn counts(args: &CountsArgs) -> Result<()> {
    if let Err(missing) = setup::ensure(&[Need::Valgrind]) {
        if args.required {
            return Err(missing);
        }
        say(&format!("skipped: instruction counts: {missing:#}"));
        return Ok(());
    }
    let (program, paths, file) = if args.debug {
        // As the tests have it built: with what the whole workspace asks of its dependencies.
        run(cargo(&["build", "--workspace"]).args(["--example", PROGRAM]))?;
        (target_dir().join("debug/examples").join(PROGRAM), &DEBUG[..], "instructions-unoptimised.tsv")
    } else {
        build()?;
        (example(PROGRAM), &RELEASE[..], "instructions.tsv")
    };
    let file = root().join("docs/results").join(file);
    let before =
        if args.write { String::new() } else { fs::read_to_string(&file).context("no counts to compare with")? };
    let mut lines = String::new();
    let mut more = Vec::new();
    for path in paths {
        let count = counted(&program, path, 2)?.saturating_sub(counted(&program, path, 1)?);
        let Path { name, what, .. } = path;
        lines.push_str(&format!("{name}\t{count}\t{what}\n"));
        let known = before.lines().find_map(|line| line.strip_prefix(name)?.split('\t').nth(1)?.parse::<u64>().ok());
        let ratio = known.map(|known| count as f64 / known as f64);
        say(&format!("{name:<8} {count:>15} instructions, {:.3} of the committed count", ratio.unwrap_or(f64::NAN)));
        // A path without a committed count is one that nothing is compared with.
        if !args.write && ratio.is_none_or(|ratio| ratio > 1.0 + TOLERANCE) {
            more.push(*name);
        }
    }
    if args.write {
        fs::write(&file, lines)?;
        say(&format!("written to {}", file.display()));
    }
    if !more.is_empty() {
        bail!(
            "{} takes more instructions than it did, or has no count yet; if that is meant, `cargo xtask bench counts{} --write`",
            more.join(" and "),
            if args.debug { " --debug" } else { "" }
        );
    }
    Ok(())
}

/// The example of `agenttts-bench` that goes along the paths.
const PROGRAM: &str = "counts";

/// Instructions of a whole run, start included.
fn counted(program: &PathBuf, path: &Path, times: u32) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.arg(path.name).args([path.size, times].map(|number| number.to_string()));
    let output = valgrind.stdout(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    count.filter(|_| output.status.success()).with_context(|| format!("callgrind counted nothing: {said}"))
}
