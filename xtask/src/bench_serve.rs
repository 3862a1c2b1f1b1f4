//! What serving adds to a call, beside other proxies, on one mock model server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use clap::Args;

use crate::measured::{Started, build, example, free_port, many_files, number, printed};
use crate::peers::environment;
use crate::run::{run, say, target_dir};

#[derive(Args)]
pub(crate) struct BenchServeArgs {
    /// Leave the proxies of litellm and optillm out, which are installed from PyPI
    #[arg(long)]
    alone: bool,
    /// The mock's latency in milliseconds
    #[arg(long, default_value_t = 20)]
    latency_ms: u32,
}

/// litellm's proxy, as its registry has it.
const LITELLM: &str = "litellm[proxy]==1.99.4";

/// optillm without what only its plugins and local models need, such as PyTorch: its proxy starts and answers without.
const OPTILLM: &str = "optillm==0.4.0";
const OPTILLM_NEEDS: [&str; 12] = [
    "aiohttp==3.14.5",
    "cerebras_cloud_sdk==1.91.0",
    "flask==3.1.3",
    "litellm==1.110.2",
    "math-verify==0.9.0",
    "networkx==3.6.1",
    "numpy==2.4.6",
    "openai==3.57.0",
    "pyyaml==6.0.4",
    "requests==2.34.2",
    "sympy==1.14.0",
    "z3-solver==5.4.1.0",
];

/// Connections, requests that are sent over them, and those that are sent to the proxies of others, which take tens of times as long.
const LOADS: [(u32, u32, u32); 3] = [(1, 200, 100), (32, 3_000, 640), (256, 6_000, 1_024)];

/// Prints a table: latency added to a direct call, requests a second, memory.
pub(crate) fn bench_serve(args: &BenchServeArgs) -> Result<()> {
    build()?;
    let folder = target_dir().join("bench-serve");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let slow = upstream(args.latency_ms)?;
    let fast = upstream(0)?;
    let mut proxies = vec![("direct", None, slow.url(), fast.url(), "m")];
    let ours = [agenttts(&folder, "slow", &slow, 1)?, agenttts(&folder, "fast", &fast, 1)?];
    proxies.push(("agenttts", Some(ours[1].id()), ours[0].url(), ours[1].url(), "bench"));
    let mut theirs = Vec::new();
    if !args.alone {
        theirs.push(("litellm", litellm(&folder, [&slow, &fast])?));
        theirs.push(("optillm", optillm(&folder, [&slow, &fast])?));
    }
    for (name, [of_slow, of_fast]) in &theirs {
        proxies.push((name, Some(of_fast.id()), of_slow.url(), of_fast.url(), "m"));
    }
    say(
        "| server | connections | p50 ms | p95 ms | p99 ms | added to direct at p50 | failed | requests/s, mock without latency | memory MB |",
    );
    say("|---|---|---|---|---|---|---|---|---|");
    for (connections, ours, others) in LOADS {
        let mut direct = 0.0;
        for (name, process, url, fast_url, model) in &proxies {
            let requests = if ["direct", "agenttts"].contains(name) { ours } else { others };
            let line = load(requests, connections, name, url, model)?;
            let most = load(requests, connections, name, fast_url, model)?;
            if *name == "direct" {
                direct = number(&line, "p50");
            }
            let p50 = number(&line, "p50");
            say(&format!(
                "| {name} | {connections} | {p50:.2} | {:.2} | {:.2} | {:+.2} | {:.0} | {:.0} | {} |",
                number(&line, "p95"),
                number(&line, "p99"),
                p50 - direct,
                number(&line, "failed") + number(&most, "failed"),
                number(&most, "per_second"),
                process.map_or_else(|| "-".into(), |id| format!("{:.0}", memory(id))),
            ));
        }
    }
    let eight = agenttts(&folder, "eight", &slow, 8)?;
    let both = output(&["eight", "400", &slow.url(), &eight.url()])?;
    let of = |key| number(&both, key);
    say(&format!(
        "eight samples of one stage: p50 {:.2} ms, p95 {:.2} ms; the slowest of eight direct calls in the same round: p50 {:.2} ms, p95 {:.2} ms; \
         added: p50 {:.2} ms, p95 {:.2} ms",
        of("through_p50"),
        of("through_p95"),
        of("direct_p50"),
        of("direct_p95"),
        of("added_p50"),
        of("added_p95"),
    ));
    Ok(())
}

/// The mock model server.
pub(crate) fn upstream(latency_ms: u32) -> Result<Started> {
    let port = free_port()?;
    let mut command = many_files();
    Started::new(command.arg(example("overhead")).args(["upstream", &port.to_string(), &latency_ms.to_string()]), port)
}

/// Serves a plan of one stage with so many samples, over a mock.
fn agenttts(folder: &Path, name: &str, upstream: &Started, samples: u32) -> Result<Started> {
    let folder = folder.join(name);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("pipeline.toml"), pipeline(&upstream.base(), samples))?;
    fs::write(folder.join("answer.j2"), "{{ question }}\n")?;
    fs::write(folder.join("search.jsonl"), "{\"question\": \"one\", \"answer\": \"4\"}\n")?;
    fs::write(folder.join("test.jsonl"), "{\"question\": \"two\", \"answer\": \"4\"}\n")?;
    let program = target_dir().join("release").join(format!("agenttts{}", std::env::consts::EXE_SUFFIX));
    let mut search = Command::new(&program);
    search.args(["search", ".", "--name", "bench", "--store", "store.db"]).current_dir(&folder);
    run(search.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let port = free_port()?;
    let mut serve = Command::new(&program);
    let listen = format!("127.0.0.1:{port}");
    serve.args(["serve", "bench.plan.toml", "--store", "store.db", "--at-once", "1024", "--listen", &listen]);
    Started::new(serve.current_dir(&folder), port)
}

/// A program of a Python environment of its own, with these packages; `alone` is installed without what it asks for.
fn installed(program: &str, alone: &[&str], packages: &[&str]) -> Result<PathBuf> {
    let python = environment(&target_dir().join("clients").join(program), None)?;
    let pip = || {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet"]);
        pip
    };
    run(pip().args(packages))?;
    if !alone.is_empty() {
        run(pip().arg("--no-deps").args(alone))?;
    }
    Ok(python.with_file_name(program))
}

/// optillm's proxy, which passes requests on as they are.
fn optillm(folder: &Path, [slow, fast]: [&Started; 2]) -> Result<[Started; 2]> {
    let program = installed("optillm", &[OPTILLM], &OPTILLM_NEEDS)?;
    let start = |upstream: &Started| {
        let port = free_port()?;
        let mut command = Command::new(&program);
        command.args(["--base-url", &upstream.base(), "--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--approach", "none", "--model", "m", "--log", "error"]).env("OPENAI_API_KEY", "none");
        Started::new(command.current_dir(folder), port)
    };
    Ok([start(slow)?, start(fast)?])
}

/// litellm's proxy with one worker.
fn litellm(folder: &Path, [slow, fast]: [&Started; 2]) -> Result<[Started; 2]> {
    let program = installed("litellm", &[], &[LITELLM])?;
    let start = |upstream: &Started| {
        let port = free_port()?;
        let base = upstream.base();
        let config = format!(
            "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n      api_base: {base}\n      api_key: none\n"
        );
        let file = folder.join(format!("litellm-{port}.yaml"));
        fs::write(&file, config)?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&file).args(["--port", &port.to_string(), "--host", "127.0.0.1"]);
        Started::new(command.args(["--num_workers", "1"]), port)
    };
    Ok([start(slow)?, start(fast)?])
}

fn pipeline(base_url: &str, samples: u32) -> String {
    // Samples of one stage take differently long, as they do.
    let id = if samples > 1 { "spread" } else { "m" };
    format!(
        r#"version = 1
name = "bench"
description = "One call."
[plan_budget]
cost_model = "flops"
limit = 1000
[search]
method = "random"
trials = 1
[data]
search = "search.jsonl"
test = "test.jsonl"
[providers.mock]
kind = "openai"
base_url = "{base_url}"
concurrency = 1024
max_n = 1
[models.m]
provider = "mock"
id = "{id}"
params_b = 1
[[stages]]
name = "answer"
models = ["m"]
samples = {samples}
prompt = "answer.j2"
max_tokens = 20
metric = {{ kind = "exact-match", gold = "answer" }}
expected = {{ prompt_tokens = 20, decode_tokens = 4 }}
"#
    )
}

fn load(requests: u32, connections: u32, name: &str, url: &str, model: &str) -> Result<String> {
    output(&["load", &requests.to_string(), &connections.to_string(), name, url, model, "none"])
}

fn output(args: &[&str]) -> Result<String> {
    printed(Command::new(example("overhead")).args(args))
}

/// Resident memory in megabytes.
fn memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
