//! The inner parts under criterion, each told as a ratio to the least that it could take.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

use crate::measured::number;
use crate::run::{cargo, run, say, target_dir};

#[derive(Args)]
pub(crate) struct InnerArgs {
    /// Only this one
    #[arg(value_parser = [KEYS.0, BANK.0, STAGE.0, SEARCH.0])]
    part: Option<String>,
}

/// Something measured beside a limit, both under the names that the benchmarks give them.
struct Pair {
    /// The benchmark's target and its crate.
    target: (&'static str, &'static str),
    limit: &'static str,
    ours: &'static str,
    what: &'static str,
}

#[rustfmt::skip]
const PAIRS: [Pair; 9] = [
    Pair { target: KEYS, limit: "keys/sha-256/2", ours: "keys/key/2", what: "a key of 2 kB, of one pass of its hash" },
    Pair { target: KEYS, limit: "keys/sha-256/32", ours: "keys/key/32", what: "a key of 32 kB, of one pass of its hash" },
    Pair { target: BANK, limit: "bank/plain/1", ours: "bank/store/1", what: "one sample out of the bank, of plain SQLite" },
    Pair { target: BANK, limit: "bank/plain/64", ours: "bank/store/64", what: "64 samples out of the bank, of plain SQLite" },
    Pair { target: STAGE, limit: "render/copy", ours: "render/stage", what: "a prompt filled in, of a copy of it" },
    Pair { target: STAGE, limit: "read/contains", ours: "read/stage", what: "a title found in a reply, of a plain look" },
    Pair { target: STAGE, limit: "vote/count", ours: "vote/stage", what: "a vote of 64, of counting texts" },
    Pair { target: SEARCH, limit: "search/random/400", ours: "search/planner/400", what: "a search by planner, of random plans" },
    Pair { target: SEARCH, limit: "search/planner/200", ours: "search/planner/400", what: "twice the evaluations, of once" },
];

const KEYS: (&str, &str) = ("keys", "agenttts-core");
const BANK: (&str, &str) = ("bank", "agenttts-store");
const STAGE: (&str, &str) = ("stage", "agenttts-stage");
const SEARCH: (&str, &str) = ("search", "agenttts-bench");

/// Runs the benchmarks, and prints how many times the limit each part takes.
pub(crate) fn inner(args: &InnerArgs) -> Result<()> {
    let wanted = |target: &str| args.part.as_deref().is_none_or(|part| part == target);
    let home = target_dir().join("criterion");
    // All in one command, so that dependencies are built once.
    let mut bench = cargo(&["bench"]);
    for (target, package) in [KEYS, BANK, STAGE, SEARCH].into_iter().filter(|(target, _)| wanted(target)) {
        bench.args(["--package", package, "--bench", target]);
    }
    run(bench.env("CRITERION_HOME", &home))?;
    let time = |name: &str| -> Result<f64> {
        let file = home.join(name).join("new").join("estimates.json");
        let text = fs::read_to_string(&file).with_context(|| format!("no times in {}", file.display()))?;
        let median = text.split("\"median\":").nth(1).context("no median")?;
        Ok(number(median, "point_estimate"))
    };
    for Pair { limit, ours, what, .. } in PAIRS.iter().filter(|pair| wanted(pair.target.0)) {
        let (limit, ours) = (time(limit)?, time(ours)?);
        say(&format!("{:>8.2} {what} ({:.1} us)", ours / limit, ours / 1e3));
    }
    Ok(())
}
