//! What each part of the engine is worth in a whole search of the demo.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::demo;
use crate::measured::{build, number, printed};
use crate::run::{root, run, say, target_dir};

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// Trials of each search
    #[arg(long, default_value_t = 8)]
    trials: u32,
    /// Examples to search on, and half as many to test on [default: the demo's, which take long]
    #[arg(long)]
    examples: Option<u32>,
    /// Times that each search is run, in turn
    #[arg(long, default_value_t = 1)]
    runs: u32,
}

/// A way to search, and what is put at the end of the pipeline and into the environment for it.
struct Way {
    name: &'static str,
    pipeline: &'static str,
    env: &'static [(&'static str, &'static str)],
    racing: bool,
}

const ALL: Way = Way { name: "everything on", pipeline: "", env: &[], racing: false };

const WAYS: [Way; 4] = [
    ALL,
    Way { name: "no shared prefixes", env: &[("AGENTTTS_SHARE_PREFIXES", "0")], ..ALL },
    Way {
        name: "one request at a time",
        pipeline: "\n[providers.embedded]\nkind = \"embedded\"\nconcurrency = 1\n",
        ..ALL
    },
    Way { name: "racing", racing: true, ..ALL },
];

/// Prints a table: seconds, tokens drawn and tokens a second of searches with one part off each, every one in a store of its own.
pub(crate) fn search(args: &SearchArgs) -> Result<()> {
    build()?;
    run(Command::new(demo::program()).args(["models", "pull"]).args(demo::MODELS))?;
    let folder = target_dir().join("bench").join("search");
    let _ = fs::remove_dir_all(&folder);
    say(
        "| search | s | of everything on | tokens that the trials drew | that they would have drawn without the bank | share of prompt tokens that was evaluated before |",
    );
    say("|---|---|---|---|---|---|");
    for turn in 0..args.runs.max(1) {
        let mut first = f64::NAN;
        for (at, way) in WAYS.iter().enumerate() {
            let home = folder.join(format!("{turn}-{at}"));
            copy(&root().join(demo::PIPELINE), &home)?;
            let file = home.join("pipeline.toml");
            fs::write(&file, with_examples(&fs::read_to_string(&file)?, args.examples) + way.pipeline)?;
            let mut command = Command::new(demo::program());
            command.arg("search").arg(&home).arg("--store").arg(home.join("store.db")).args(["--method", "rules"]);
            command.args(["--trials", &args.trials.to_string(), "--json"]).envs(way.env.iter().copied());
            if way.racing {
                command.arg("--racing");
            }
            let begin = Instant::now();
            let line = printed(&mut command)?;
            let seconds = begin.elapsed().as_secs_f64();
            if at == 0 {
                first = seconds;
            }
            let section = |name: &str| line.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
            let (spend, reuse) = (section("spend"), section("reuse"));
            say(&format!(
                "| {} | {seconds:.0} | {:.2} | {:.0} | {:.0} | {:.2} |",
                way.name,
                seconds / first,
                number(reuse, "drawn"),
                number(reuse, "fresh"),
                number(spend, "cached_prompt") / number(spend, "prompt"),
            ));
        }
    }
    Ok(())
}

/// The pipeline with other numbers of examples.
fn with_examples(pipeline: &str, examples: Option<u32>) -> String {
    let Some(examples) = examples else { return pipeline.to_owned() };
    let line = |line: &str| match line.split_once(" = ") {
        Some(("search_examples", _)) => format!("search_examples = {examples}\n"),
        Some(("test_examples", _)) => format!("test_examples = {}\n", examples.div_ceil(2)),
        _ => format!("{line}\n"),
    };
    pipeline.lines().map(line).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.path().extension().is_none_or(|ext| ext != "tape") {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
