//! How the engine grows: a search on fake models with many trials, examples, samples, stages and models, its time and its memory.
//!
//!     cargo run --release -p agenttts-engine --example scale -- [TRIALS] [EXAMPLES] [SAMPLES] [STAGES] [MODELS]
//!
//! Prints wall time, peak memory, and what was drawn and reused, for the size asked for (100 100 100 2 2) and for half of
//! each of the five numbers, with ratios: nothing should grow faster than its work.

use std::fmt::Write as _;
use std::time::Instant;

use agenttts_engine::{Observers, SearchOptions, StopHandle, StudyContext, Workshop, load_pipeline, start_study};
use agenttts_store::Store;

/// What can be doubled, in the order of the arguments.
const NUMBERS: [&str; 5] = ["trials", "examples", "samples", "stages", "models"];

/// How many of each of [`NUMBERS`].
type Size = [u32; 5];

struct Cost {
    seconds: f64,
    peak_mb: f64,
    samples: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<u32> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let mut full: Size = [100, 100, 100, 2, 2];
    full.iter_mut().zip(given).for_each(|(number, given)| *number = given);
    // Peak memory is a process's highest mark, so the small ones run first.
    let mut halves = Vec::new();
    for (at, what) in NUMBERS.iter().enumerate().filter(|(at, _)| full[*at] > 1) {
        let mut size = full;
        size[at] /= 2;
        halves.push((what, run(size)?));
    }
    let whole = run(full)?;
    for (what, half) in &halves {
        say(&format!(
            "twice the {what}: {:.2}x the time for {:.2}x the samples",
            whole.seconds / half.seconds,
            whole.samples as f64 / half.samples as f64
        ));
    }
    Ok(())
}

fn run(size: Size) -> Result<Cost, Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("agenttts-scale-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    write_pipeline(&folder, size)?;
    let loaded = load_pipeline(&folder, &|_| None)?;
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(async {
        let store = Store::open(&folder.join("store.db"))?;
        let context = StudyContext {
            workshop: Workshop::new("no-models".into()),
            observers: Observers::default(),
            stop: StopHandle::new(),
        };
        start_study(&store, loaded, SearchOptions::default(), context).await
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let samples: u64 = summary.spend.by_kind.values().map(|k| k.samples).sum();
    std::fs::remove_dir_all(&folder)?;
    let cost = Cost { seconds, peak_mb: peak_mb(), samples };
    let named: Vec<String> = size.iter().zip(NUMBERS).map(|(number, what)| format!("{number} {what}")).collect();
    say(&format!(
        "{}: {seconds:.2} s, peak memory so far {:.0} MB, {samples} samples drawn and stored, reuse {:.2}x",
        named.join(", "),
        cost.peak_mb,
        summary.reuse.ratio().unwrap_or(1.0)
    ));
    Ok(cost)
}

fn write_pipeline(folder: &std::path::Path, [trials, examples, samples, stages, models]: Size) -> std::io::Result<()> {
    let mut toml = format!(
        "version = 1\nname = \"scale\"\n[plan_budget]\ncost_model = \"tokens\"\nlimit = 1000000\n[search]\ntrials = {trials}\n\
         batch = 5\nmethod = \"random\"\n[data]\nsearch = \"search.jsonl\"\ntest = \"test.jsonl\"\n"
    );
    for model in 1..=models {
        let quality = 55 + 40 * (model - 1) / models;
        toml += &format!("[models.m{model}]\nprovider = \"fake\"\nid = \"p{quality}\"\nparams_b = {model}\n");
    }
    let pool: Vec<String> = (1..=models).map(|model| format!("\"m{model}\"")).collect();
    for stage in 1..=stages {
        toml += &format!(
            "[[stages]]\nname = \"s{stage}\"\nmodels = [{}]\nsamples = {{ min = 1, max = {samples} }}\n\
             prompt = \"s{stage}.j2\"\nmax_tokens = 32\nmetric = {{ kind = \"exact-match\", gold = \"gold\" }}\n\
             expected = {{ prompt_tokens = 60, decode_tokens = 8 }}\n",
            pool.join(", ")
        );
        let before = if stage == 1 { String::new() } else { format!(" from {{{{ s{} }}}}", stage - 1) };
        let prompt = format!("{{{{ question }}}}{before}\nanswer: {{{{ gold }}}}\nwrong: 1 | 2 | 3 | 4");
        std::fs::write(folder.join(format!("s{stage}.j2")), prompt)?;
    }
    std::fs::write(folder.join("pipeline.toml"), toml)?;
    let lines = |from: u32, n: u32| {
        (from..from + n).fold(String::new(), |mut text, i| {
            let _ = writeln!(text, "{{\"question\": \"sum {i}\", \"gold\": \"{i}\"}}");
            text
        })
    };
    std::fs::write(folder.join("search.jsonl"), lines(0, examples))?;
    std::fs::write(folder.join("test.jsonl"), lines(1_000_000, examples))
}

/// The process's highest resident memory so far, where the system tells.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).map_or(f64::NAN, |kb| kb / 1024.0)
}

#[expect(clippy::print_stdout, reason = "a command of its own, for a person")]
fn say(line: &str) {
    println!("{line}");
}
