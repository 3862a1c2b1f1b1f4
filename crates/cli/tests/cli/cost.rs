//! `agenttts cost`: the paper's golden values, and every cost model by hand.

use crate::support::{Bench, snapshot};

#[test]
fn the_papers_golden_values() {
    let bench = Bench::empty();
    for (params, prompt, decode, samples, expected) in [
        ("72", 2048, 128, 1, "814"),
        ("32", 2048, 128, 1, "360.67"),
        ("7", 2048, 128, 1, "77.33"),
        ("32", 2048, 128, 5, "446"),
        ("70", 256, 64, 1, "114.67"),
        ("8", 256, 64, 1, "11.33"),
        ("3", 256, 64, 1, "3"),
        ("3", 256, 64, 15, "17"),
        ("3", 256, 64, 50, "52"),
    ] {
        let ran = bench.run(&format!(
            "cost --cost-model paper-flops --params-b {params} --prompt {prompt} --decode {decode} --samples {samples}"
        ));
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), &*format!("{expected}\n"), ""));
    }
}

#[test]
fn other_cost_models() {
    let bench = Bench::empty();
    let cost = |args: &str| bench.run(&format!("cost {args} --samples 2")).exits(0).stdout;
    let tokens = "--prompt 1000 --decode 100";
    assert_eq!(cost(&format!("--cost-model tokens {tokens}")), "1200 tokens\n");
    assert_eq!(cost(&format!("--cost-model flops --params-b 1 {tokens}")), "2400 GFLOP\n");
    // 1000 prompt tokens at $3 and 200 decoded at $15 a million; then with 900 of the prompt at a tenth.
    assert_eq!(cost(&format!("--cost-model usd --price-prompt 3 --price-decode 15 {tokens}")), "6.000e-3 USD\n");
    let cached = "--cached-prompt 900 --price-cached-prompt 0.3";
    assert_eq!(
        cost(&format!("--cost-model usd --price-prompt 3 --price-decode 15 {cached} {tokens}")),
        "3.570e-3 USD\n"
    );
    let batch = "--cost-model usd-batch --price-prompt 3 --price-decode 15 --price-batch 0.5";
    assert_eq!(cost(&format!("{batch} {tokens}")), "3.000e-3 USD\n");
    assert_eq!(cost(&format!("--cost-model seconds --speed-prompt 500 --speed-decode 50 {tokens}")), "6 s\n");
    assert_eq!(
        cost(&format!("--cost-model seconds --speed-prompt 500 --speed-decode 50 --parallel 2 {tokens}")),
        "4 s\n"
    );
}

#[test]
fn a_script_gets_units() {
    let ran =
        Bench::empty().run("cost --cost-model paper-flops --params-b 70 --prompt 256 --decode 64 --json").exits(0);
    let cost = ran.json();
    assert!((cost["cost"].as_f64().unwrap() - 114.0 - 2.0 / 3.0).abs() < 1e-9, "{cost}");
    assert_eq!(cost["unit"], "units");
}

#[test]
fn what_is_missing_is_named() {
    let bench = Bench::empty();
    snapshot!("cost_without_params", bench.run("cost --cost-model paper-flops --prompt 1 --decode 1"));
    snapshot!("cost_of_unknown_model", bench.run("cost --cost-model paper-flop --prompt 1 --decode 1"));
    bench.run("cost --cost-model tokens --prompt 1.5 --decode 1").exits(2);
    bench.run("cost --cost-model tokens --prompt -1 --decode 1").exits(2);
}
