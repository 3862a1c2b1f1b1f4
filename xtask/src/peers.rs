//! Outside optimisers for `agenttts bench`: a Python environment with pinned versions of Optuna and SMAC.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{cargo, root, run, say};

const FOLDER: &str = "crates/bench/peers";

/// The oldest Python that the pinned versions support.
const OLDEST: (u32, u32) = (3, 11);

/// Looked for in this order, where none is named.
const PYTHONS: [&str; 5] = ["python3", "python3.13", "python3.12", "python3.11", "python"];

/// What the comparison runs on where no landscapes are named.
const LANDSCAPES: [&str; 3] = ["sim:insights:1", "sim:insights:2", "sim:insights:3"];

#[derive(Args)]
pub(crate) struct PeersArgs {
    /// Also install what optuna-gp needs: PyTorch, with three gigabytes of CUDA libraries on Linux with x86_64
    #[arg(long)]
    gp: bool,
    /// The Python to make the environment with, 3.11 or newer [default: the first of python3, python3.13, ...]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<String>,
    /// Then compare our methods with them
    #[arg(long)]
    run: bool,
    /// Passed on to `agenttts bench` with --run, such as `-- landscapes/ --seeds 5`
    #[arg(last = true, requires = "run")]
    bench: Vec<String>,
}

/// Makes the environment, or brings it up to date, and tries every optimiser.
pub(crate) fn bench_peers(args: &PeersArgs) -> Result<()> {
    let folder = folder()?;
    let python = environment(&folder, args.python.as_deref())?;
    install(&python, args.gp)?;
    let mut samplers = vec!["optuna-tpe", "smac"];
    if args.gp {
        samplers.push("optuna-gp");
    }
    for sampler in &samplers {
        check(&python, sampler)?;
    }
    say(&format!("{} are ready in {}", samplers.join(", "), folder.display()));
    if !args.run {
        say("compare with them: agenttts bench LANDSCAPE... --methods planner,optuna-tpe,smac");
        return Ok(());
    }
    let mut bench = cargo(&["run", "--release", "--package", "agenttts", "--no-default-features", "--", "bench"]);
    bench.env("AGENTTTS_PEERS", &folder);
    if !args.bench.iter().any(|a| a.starts_with("--methods")) {
        let mut methods = vec!["planner", "halving", "random", "optuna-tpe+init"];
        methods.extend(&samplers);
        bench.args(["--methods", &methods.join(",")]);
    }
    if args.bench.first().is_none_or(|a| a.starts_with('-')) {
        bench.args(LANDSCAPES);
    }
    run(bench.args(&args.bench))
}

/// Where `agenttts bench` looks for it.
fn folder() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("AGENTTTS_PEERS") {
        return std::path::absolute(&folder).with_context(|| format!("{} is no path", folder.display()));
    }
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(cache.context("set HOME, or AGENTTTS_PEERS to a folder")?.join("agenttts").join("peers"))
}

/// The Python of an environment, which is made where it is not there or does not work any more.
pub(crate) fn environment(folder: &Path, named: Option<&str>) -> Result<PathBuf> {
    let inner = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let works = version(&inner.to_string_lossy()).is_some_and(|v| v >= OLDEST);
    if works && named.is_none() {
        return Ok(inner);
    }
    let python = match named {
        Some(program) => {
            suitable(program)?;
            program.to_owned()
        }
        None => first_suitable(&PYTHONS)?,
    };
    if !crate::run::succeeds(&python, &["-c", "import venv, ensurepip"]) {
        bail!(
            "{python} cannot make environments: install its module venv and run this again (Debian: apt-get install python3-venv)"
        );
    }
    run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(folder))?;
    Ok(inner)
}

/// The first of the programs that is new enough.
fn first_suitable(programs: &[&str]) -> Result<String> {
    let mut old = Vec::new();
    for program in programs {
        match version(program) {
            Some(found) if found >= OLDEST => return Ok((*program).to_owned()),
            Some((major, minor)) => old.push(format!("{program} is {major}.{minor}")),
            None => {}
        }
    }
    let (major, minor) = OLDEST;
    if old.is_empty() {
        bail!(
            "Python is not installed: install Python {major}.{minor} or newer and run this again (Debian: apt-get install python3 python3-venv)"
        );
    }
    bail!(
        "Python is too old: {}, and Optuna's pinned version needs {major}.{minor} or newer; install one, or name one with --python",
        old.join(", ")
    )
}

fn suitable(program: &str) -> Result<()> {
    let (major, minor) = OLDEST;
    match version(program) {
        None => bail!("{program} is no Python that runs: name another with --python"),
        Some(found) if found < OLDEST => {
            bail!(
                "{program} is Python {}.{}, and {major}.{minor} or newer is needed: name another with --python",
                found.0,
                found.1
            )
        }
        Some(_) => Ok(()),
    }
}

/// The version of a Python; `None` if it does not run.
fn version(program: &str) -> Option<(u32, u32)> {
    let output = Command::new(program)
        .args(["-c", "import sys; print(sys.version_info[0], sys.version_info[1])"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn install(python: &Path, gp: bool) -> Result<()> {
    let requirements = |file: &str| root().join(FOLDER).join(file);
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"])
        .arg(requirements("requirements.txt"));
    if gp {
        say("PyTorch is large: on Linux with x86_64 this fetches about three gigabytes");
        pip.arg("-r").arg(requirements("requirements-gp.txt"));
    }
    run(&mut pip).context(
        "pip could not install the packages (its messages are above). They come from PyPI: is there network, or a mirror \
         named in pip's configuration? Nothing else of agenttts needs them",
    )
}

/// Runs a tiny study, as `agenttts bench` would.
fn check(python: &Path, sampler: &str) -> Result<()> {
    let options = [("a", 1), ("a", 2), ("b", 1), ("b", 2)];
    let options = options.iter().enumerate().map(|(i, (model, samples))| {
        format!(
            r#"{{"option": {i}, "model": "{model}", "temperature": "0.7", "aggregator": "vote", "samples": {samples}}}"#
        )
    });
    let options = options.collect::<Vec<_>>().join(", ");
    let stages = format!(r#"[{{"name": "s", "options": [{options}]}}]"#);
    let requests = [
        format!(r#"{{"new": {{"sampler": "{sampler}", "seed": 1, "stages": {stages}, "initial": [[3]]}}}}"#),
        r#"{"ask": {}}"#.to_owned(),
        r#"{"tell": {"plan": [3], "score": 0.5}}"#.to_owned(),
        r#"{"ask": {}}"#.to_owned(),
    ];
    let mut child = Command::new(python)
        .arg(root().join(FOLDER).join("peer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be run", python.display()))?;
    let mut input = child.stdin.take().context("Python has no input")?;
    // Where it ended too early, what it said is more telling than a broken pipe.
    let _ = input.write_all(requests.map(|r| r + "\n").concat().as_bytes());
    drop(input);
    let output = child.wait_with_output().context("Python was lost")?;
    let answers = String::from_utf8_lossy(&output.stdout);
    if answers.lines().count() != 4 || answers.contains(r#""error""#) || answers.matches(r#""plan""#).count() != 2 {
        bail!(
            "{sampler} is installed but does not work: {}\n{}\nremove the environment and run this again",
            answers.trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_absent_is_told_from_one_that_is_too_old() {
        let absent = first_suitable(&["no-such-python"]).unwrap_err().to_string();
        assert!(absent.contains("not installed") && absent.contains("3.11"), "{absent}");
        assert!(suitable("no-such-python").unwrap_err().to_string().contains("--python"));
    }

    #[cfg(unix)]
    #[test]
    fn an_old_python_is_named_with_its_version() {
        use std::os::unix::fs::PermissionsExt;
        let old = env::temp_dir().join(format!("agenttts-old-python-{}", std::process::id()));
        std::fs::write(&old, "#!/bin/sh\necho 3 8\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = old.to_string_lossy().into_owned();
        let refused =
            [first_suitable(&[&program]).unwrap_err().to_string(), suitable(&program).unwrap_err().to_string()];
        std::fs::remove_file(&old).unwrap();
        assert!(refused.iter().all(|r| r.contains("3.8") && r.contains("--python")), "{refused:?}");
    }
}
