//! `agenttts bench`: what it prints, writes and refuses.

use crate::support::{Bench, snapshot};

const TOML: &str = r#"name = "small"
note = "two stages"
objective = "maximise"
budget = 30
cost_unit = "usd"
noise_examples = 20

[[stages]]
name = "draft"
models = [{ name = "small" }, { name = "large" }]

[[stages]]
name = "check"
models = [{ name = "small" }, { name = "large" }]
"#;

/// A folder with a landscape of 64 plans in `l/small.csv`.
fn landscape() -> Bench {
    let bench = Bench::empty();
    let mut csv = String::from("draft.model,draft.samples,check.model,check.samples,score,cost\n");
    for (draft, m) in [("small", 0), ("large", 1)] {
        for n in 1..=4 {
            for (check, k) in [("small", 0), ("large", 1)] {
                for s in 1..=4 {
                    // Samples help up to three, large models help, and the draft matters more.
                    let score = 200 + 150 * m + 60 * n.min(3) + 80 * k + 30 * s.min(3);
                    let cost = n * (1 + 5 * m) + s * (1 + 5 * k);
                    csv += &format!("{draft},{n},{check},{s},0.{score},{cost}\n");
                }
            }
        }
    }
    bench.write("l/small.csv", csv);
    bench.write("l/small.toml", TOML);
    bench
}

#[test]
fn a_comparison_is_printed_by_landscape_and_over_all() {
    let bench = landscape();
    snapshot!("bench", bench.run("bench l sim:insights:1 --methods random@10,grid@10 --seeds 3 --evaluations 600"));
}

#[test]
fn a_script_gets_every_checkpoint_and_the_summary() {
    let bench = landscape();
    let args = "bench l/small.csv --methods random,rules --seeds 4 --evaluations 300 --json";
    let json = bench.run(args).exits(0).json();
    let runs = json["runs"].as_array().unwrap();
    // Two methods, four seeds, checkpoints at 250 and 300.
    assert_eq!(runs.len(), 2 * 4 * 2);
    for run in runs {
        assert_eq!((&run["landscape"], run["seed"].as_u64().unwrap() < 4), (&"small".into(), true));
        assert!(run["evaluations"] == 250.0 || run["evaluations"] == 300.0, "{run}");
        let ratio = run["ratio"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&ratio) && run["method"].is_string());
    }
    let methods = &json["summary"][0]["methods"];
    assert_eq!(methods[0]["tried_examples"].as_array().unwrap().len(), 4);
    assert_eq!(json["summary"][0]["best_outside"], "random");
    assert!(methods[1]["difference"]["low"].is_number() && json["overall"].is_array());

    // The same with another number of threads, but for the times.
    let mut others = bench.run(&format!("{args} --threads 3")).exits(0).json();
    others["times"] = json["times"].clone();
    assert_eq!(others, json);
}

#[test]
fn curves_and_a_page_are_written() {
    let bench = landscape();
    let ran = bench.run("bench l/small.csv --methods random@10,grid@25 --seeds 2 --evaluations 100 -o out").exits(0);
    assert!(ran.stderr.contains("page and curves: out/index.html"), "{}", ran.stderr);
    let (svg, page) = (bench.read("out/small.svg"), bench.read("out/index.html"));
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme:dark") && svg.contains("random@10"));
    assert!(page.contains("<svg") && page.contains("grid@25") && page.contains("normalised regret"));
    assert!(!page.contains("http://") || page.matches("http").count() == page.matches("http://www.w3.org").count());
    let json: serde_json::Value = serde_json::from_str(&bench.read("out/results.json")).unwrap();
    assert_eq!(json["version"], 1);
}

#[test]
fn a_simulated_landscape_is_written_and_read() {
    let bench = Bench::empty();
    bench.run("bench simulate sim:no-insight-1:4 -o sims").exits(0);
    let methods = "--methods random@25 --seeds 2 --evaluations 100 --json";
    let mut read = bench.run(&format!("bench sims {methods}")).exits(0).json();
    let direct = bench.run(&format!("bench sim:no-insight-1:4 {methods}")).exits(0).json();
    read["times"] = direct["times"].clone();
    assert_eq!(read, direct);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let bench = landscape();
    bench.write("empty/readme", "nothing here");
    bench.write("lone/lone.csv", bench.read("l/small.csv"));
    bench.write("dear/dear.csv", bench.read("l/small.csv"));
    bench.write("dear/dear.toml", TOML.replace("budget = 30", "budget = 1.5"));
    snapshot!("bench_unknown_method", bench.run("bench l --methods randon"));
    snapshot!("bench_method_twice", bench.run("bench l --methods grid,grid"));
    snapshot!("bench_zero_evaluations", bench.run("bench l --methods grid --evaluations 0"));
    snapshot!("bench_zero_seeds", bench.run("bench l --methods grid --seeds 0"));
    snapshot!("bench_no_toml", bench.run("bench lone"));
    snapshot!("bench_empty_folder", bench.run("bench empty"));
    snapshot!("bench_no_file", bench.run("bench nowhere.csv"));
    snapshot!("bench_low_budget", bench.run("bench dear"));
    snapshot!("bench_landscape_twice", bench.run("bench l l/small.csv"));
    snapshot!("bench_unknown_family", bench.run("bench sim:no-insights-1:3"));
    bench.edit("l/small.csv", "small,1,small,1,0.290,2", "small,1,smal,1,NaN,2");
    snapshot!("bench_bad_row", bench.run("bench l"));
    bench.run("bench").exits(2);
}
