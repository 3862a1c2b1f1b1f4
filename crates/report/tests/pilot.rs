//! The page of a pilot study: complete, self-contained, and safe against what names hold.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use agenttts_core::Pilot;
use agenttts_report::pilot_html;
use serde_json::{Value, json};

fn point(samples: u32, mean: f64) -> Value {
    let score = json!({"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "se": 0.05, "n": 40});
    let cost = json!({"mean": 10.0 * f64::from(samples), "low": null, "high": null, "se": null, "n": 1});
    json!({"samples": samples, "score": score, "cost": cost, "subsets": 16, "exact": true})
}

fn curve(setting: u32, model: &str, means: &[f64]) -> Value {
    let points: Vec<Value> = means.iter().enumerate().map(|(i, m)| point(1 << i, *m)).collect();
    json!({"setting": setting, "model": model, "temperature": 0.7, "aggregator": "vote", "points": points,
           "peak": {"samples": 2, "low": 1, "high": 4}, "shape": "plateau"})
}

fn pilot(stages: Value, insights: Value) -> Pilot {
    serde_json::from_value(json!({
        "version": 1, "pipeline": "p</title><script>", "description": "", "program": "0", "models": {}, "from_tape": true,
        "seed": 1, "cost_model": "flops", "examples": 40, "margin": 0.05, "stages": stages, "insights": insights,
        "drawn": {"prompt": 0, "cached_prompt": 0, "decode": 0, "calls": 0}, "stopped": null, "notes": ["a note"]
    }))
    .unwrap()
}

#[test]
fn a_page_has_the_answers_the_charts_and_the_tests() {
    let settings = json!([
        {"level": "best", "stages": [{"stage": "a", "choice": null, "score": null}], "examples": 40, "failures": 0},
        {"level": "worst", "stages": [{"stage": "a", "choice": null, "score": null}], "examples": 40, "failures": 3}
    ]);
    let curves = [curve(0, "m<b>", &[0.2, 0.6, 0.6]), curve(1, "m<b>", &[0.1, 0.3, 0.4]), curve(0, "n", &[0.5])];
    let stage = json!({"name": "b", "metric": "f1", "models": ["m<b>", "n"], "draws": 4, "settings": settings, "curves": curves});
    let difference = json!({"mean": 0.4, "low": 0.2, "high": 0.6, "se": 0.1, "n": 40});
    let test = json!({"family": "rise", "what": "b: x2 minus x1", "difference": difference, "p": 0.0002, "adjusted": 0.0006,
                      "shown": true, "needed": null});
    let peak = json!({"samples": 2, "low": 1, "high": 4});
    let moved = json!({"stage": "b", "curve": "m", "from": "best", "to": "worst", "peaks": [peak, peak],
                       "doublings": {"mean": -1.0, "low": -2.0, "high": 0.5}});
    let insight = json!({"number": 2, "claim": "the claim", "answer": "holds", "words": ["the reason", "the evidence"],
                         "tests": [test], "moves": [moved]});
    let page = pilot_html(&pilot(json!([stage]), json!([insight])));
    for said in [
        "holds",
        "the reason",
        "the evidence",
        "Score against samples, best upstream",
        "Score against cost",
        "&lt;0.001",
        "−1.0",
        "a note",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(page.matches("<svg").count() >= 3 && page.ends_with("</html>"), "charts");
    assert!(!page.contains("<script>\"") && !page.contains("p</title><script>") && !page.contains("m<b>"), "escaped");
    for reference in ["http:", "https:", "src=", "url(", "@import", "<link", "<img", "fetch("] {
        assert!(!page.contains(reference), "{reference} in the page");
    }
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    assert!(!page.contains("NaN"));
}

#[test]
fn what_was_not_measured_is_said() {
    let stages = json!([
        {"name": "a", "metric": null, "models": [], "draws": 0, "settings": [], "curves": []},
        {"name": "b", "metric": "f1", "models": [], "draws": 0, "settings": [], "curves": []}
    ]);
    let page = pilot_html(&pilot(stages, json!([])));
    assert!(page.contains("has no metric") && page.contains("Nothing was measured of this stage"));
    assert!(page.ends_with("</html>"));
}
