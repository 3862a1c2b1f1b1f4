//! The main experiment of AgentTTS in small: tapes of the paper's tasks with small models, and all methods on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo::{build, program};
use crate::run::{root, run, say};

/// The models of the pipelines' profile `tape`.
const MODELS: [&str; 2] = ["smollm2-135m", "qwen-coder-0.5b"];

const PROFILE: &str = "tape";

/// Methods that run where `-- --methods ...` names none; those that ask a language model need `--agent-model` as well.
const METHODS: &str = "planner,rules,halving,bo,tpe,evolution,coordinate,random";

#[derive(Args)]
pub(crate) struct PaperArgs {
    /// A pipeline with a profile `tape` and the published file of its data set, such as `webqsp=data/webqsp.json`
    #[arg(long = "data", required = true, value_name = "PIPELINE=FILE")]
    data: Vec<String>,
    /// Where tapes, draws and results go; recording goes on where it was stopped
    #[arg(short, long, value_name = "DIR", default_value = "paper")]
    output: PathBuf,
    /// Passed on to `agenttts bench`, such as `-- --seeds 10`
    #[arg(last = true)]
    bench: Vec<String>,
}

/// Builds the program, fetches the models, records what is not recorded yet, and compares the methods.
pub(crate) fn paper(args: &PaperArgs) -> Result<()> {
    let sets = args.data.iter().map(|word| set(word)).collect::<Result<Vec<_>>>()?;
    let folder = std::path::absolute(&args.output).with_context(|| format!("{} is no path", args.output.display()))?;
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    build()?;
    run(Command::new(program()).args(["models", "pull"]).args(MODELS))?;
    let mut bench = Command::new(program());
    bench.arg("bench");
    for (pipeline, file) in &sets {
        let tape = folder.join(format!("{pipeline}.tape"));
        if !tape.is_file() {
            let mut record = Command::new(program());
            record.args(["bench", "record"]).arg(root().join("pipelines").join(pipeline));
            record.args(["--profile", PROFILE]).arg("--data").arg(file);
            record.arg("--store").arg(folder.join("store.db")).arg("--output").arg(&tape);
            run(&mut record)?;
        }
        bench.arg(tape);
    }
    if !args.bench.iter().any(|a| a.starts_with("--methods")) {
        bench.args(["--methods", METHODS]);
    }
    run(bench.arg("--output").arg(folder.join("results")).args(&args.bench))?;
    say(&format!("tapes and results are in {}", folder.display()));
    Ok(())
}

/// `PIPELINE=FILE` as a pipeline that can be recorded and a file that is there.
fn set(word: &str) -> Result<(&str, &Path)> {
    let Some((pipeline, file)) = word.split_once('=') else {
        bail!("`{word}` is not PIPELINE=FILE, such as webqsp=data/webqsp.json");
    };
    let profile = root().join("pipelines").join(pipeline).join("profiles").join(format!("{PROFILE}.toml"));
    if !profile.is_file() {
        bail!("{} is not there: name a pipeline that has a profile `{PROFILE}`", profile.display());
    }
    let file = Path::new(file);
    if !file.exists() {
        bail!("{} is not there: name the data set's published file", file.display());
    }
    Ok((pipeline, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_recorded_is_said_before_anything_is_built() {
        let said = |word| set(word).unwrap_err().to_string();
        assert!(said("webqsp").contains("PIPELINE=FILE"));
        assert!(said("srdd=x.csv").contains("profile `tape`"));
        assert!(said("webqsp=no-such-file.json").contains("no-such-file.json"));
        assert!(set(&format!("webqsp={}", env!("CARGO_MANIFEST_DIR"))).is_ok());
    }
}
