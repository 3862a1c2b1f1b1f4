//! How the engine grows: a search on fake models with many trials, examples and samples, its time and its memory.
//!
//!     cargo run --release -p agenttts-engine --example scale -- [TRIALS] [EXAMPLES] [SAMPLES]
//!
//! Prints wall time, peak memory, and what was drawn and reused, for the size asked for (100 100 100) and for half of
//! each of the three numbers, with ratios: nothing should grow faster than its work.

use std::fmt::Write as _;
use std::time::Instant;

use agenttts_engine::{Observers, SearchOptions, StopHandle, StudyContext, Workshop, load_pipeline, start_study};
use agenttts_store::Store;

struct Size {
    trials: u32,
    examples: u32,
    samples: u32,
}

struct Cost {
    seconds: f64,
    peak_mb: f64,
    samples: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<u32> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let number = |i: usize| numbers.get(i).copied().unwrap_or(100);
    let full = Size { trials: number(0), examples: number(1), samples: number(2) };
    let half = |n: u32| (n / 2).max(1);
    let sizes = [
        Size { trials: half(full.trials), ..full },
        Size { examples: half(full.examples), ..full },
        Size { samples: half(full.samples), ..full },
    ];
    // Peak memory is a process's highest mark, so the small ones run first.
    let halves: Vec<Cost> = sizes.iter().map(run).collect::<Result<_, _>>()?;
    let whole = run(&full)?;
    for (what, cost) in ["trials", "examples", "samples"].iter().zip(&halves) {
        say(&format!(
            "twice the {what}: {:.2}x the time for {:.2}x the samples",
            whole.seconds / cost.seconds,
            whole.samples as f64 / cost.samples as f64
        ));
    }
    Ok(())
}

fn run(size: &Size) -> Result<Cost, Box<dyn std::error::Error>> {
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
    say(&format!(
        "{} trials x {} examples x up to {} samples: {seconds:.2} s, peak memory so far {:.0} MB, {samples} samples \
         drawn and stored, reuse {:.2}x",
        size.trials,
        size.examples,
        size.samples,
        cost.peak_mb,
        summary.reuse.ratio().unwrap_or(1.0)
    ));
    Ok(cost)
}

fn write_pipeline(folder: &std::path::Path, size: &Size) -> std::io::Result<()> {
    let stage = |name: &str| {
        format!(
            "[[stages]]\nname = \"{name}\"\nmodels = [\"small\", \"large\"]\nsamples = {{ min = 1, max = {} }}\n\
             prompt = \"{name}.j2\"\nmax_tokens = 32\nmetric = {{ kind = \"exact-match\", gold = \"{name}_gold\" }}\n\
             expected = {{ prompt_tokens = 60, decode_tokens = 8 }}\n",
            size.samples
        )
    };
    let toml = format!(
        "version = 1\nname = \"scale\"\n[plan_budget]\ncost_model = \"tokens\"\nlimit = 1000000\n[search]\ntrials = {}\n\
         batch = 5\nmethod = \"random\"\n[data]\nsearch = \"search.jsonl\"\ntest = \"test.jsonl\"\n\
         [models.small]\nprovider = \"fake\"\nid = \"p55\"\nparams_b = 1\n\
         [models.large]\nprovider = \"fake\"\nid = \"p75\"\nparams_b = 10\n{}{}",
        size.trials,
        stage("pick"),
        stage("answer")
    );
    std::fs::write(folder.join("pipeline.toml"), toml)?;
    std::fs::write(folder.join("pick.j2"), "{{ question }}\nanswer: {{ pick_gold }}\nwrong: shed | barn | mill")?;
    std::fs::write(
        folder.join("answer.j2"),
        "{{ question }} from {{ pick }}\nanswer: {{ answer_gold }}\nwrong: 1 | 2 | 3 | 4",
    )?;
    let lines = |from: u32, n: u32| {
        (from..from + n).fold(String::new(), |mut text, i| {
            let _ =
                writeln!(text, "{{\"question\": \"sum {i}\", \"pick_gold\": \"hut{i}\", \"answer_gold\": \"{i}\"}}");
            text
        })
    };
    std::fs::write(folder.join("search.jsonl"), lines(0, size.examples))?;
    std::fs::write(folder.join("test.jsonl"), lines(1_000_000, size.examples))
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
