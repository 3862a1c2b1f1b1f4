//! Pilot studies: of live models, within a budget, from tapes, and of what cannot be piloted.

use crate::support::{Bench, exists, snapshot, store};

/// The demo's tape, which is part of the repository.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/demo/demo.tape");

fn bench() -> Bench {
    let bench = Bench::new();
    bench.edit_pipeline("samples = { min = 1, max = 5 }", "samples = [1, 2, 4]");
    bench
}

#[test]
fn a_pilot_as_a_person_reads_it() {
    let bench = bench();
    snapshot!("pilot", bench.run("pilot p").exits(0).stdout);
    let page = bench.read("small-pilot.html");
    for said in ["Which insights hold here", "Score against samples", "Score against cost", "Holm", "</html>"] {
        assert!(page.contains(said), "{said}");
    }
    // What is in the bank is not drawn again, and the books are a study like others.
    let again = bench.run("pilot p --json -o again.html").exits(0);
    assert_eq!(again.json()["drawn"]["calls"], 0);
    assert_eq!(bench.read("again.html").replace("0 tokens in 0 calls", ""), {
        let drawn = page.split("<dt>drawn now</dt><dd>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        page.replace(&drawn, "")
    });
    assert!(bench.run("studies").exits(0).stdout.contains("small-pilot"));
}

#[test]
fn a_limit_is_kept_and_said() {
    let bench = bench();
    let whole = bench.run("pilot p --json --store whole.db").exits(0).json();
    let ran = bench.run("pilot p --search-budget tokens=500").exits(0);
    assert!(ran.stderr.contains("the limit of tokens is reached") && ran.stderr.contains("--search-budget"), "{ran}");
    assert!(bench.read("small-pilot.html").contains("Not all was drawn"));
    let rest = bench.run("pilot p --json").exits(0).json();
    assert_eq!((&rest["insights"], &rest["stages"]), (&whole["insights"], &whole["stages"]));
    snapshot!("pilot_no_budget", bench.run("pilot p --search-budget tokens=20 --store tight.db").exits(6));
}

#[test]
fn the_demos_tape_is_piloted_without_models_or_a_store() {
    let bench = Bench::empty();
    let ran = bench.run(&format!("pilot {DEMO} --examples 12 --json -o demo.html")).exits(0);
    let pilot = ran.json();
    assert!(!exists(&store(&bench)), "nothing is stored");
    assert!(bench.read("demo.html").contains("played from a tape"));
    assert_eq!(pilot["from_tape"], true);
    let answers: Vec<&str> =
        pilot["insights"].as_array().unwrap().iter().map(|i| i["answer"].as_str().unwrap()).collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    let again = bench.run(&format!("pilot {DEMO} --examples 12 --json")).exits(0).json();
    assert_eq!(again, pilot, "the same every time");
    // Fusion loses what the votes of the same draws find.
    let curves = pilot["stages"][1]["curves"].as_array().unwrap();
    let at = |aggregator: &str| {
        let of = |c: &&serde_json::Value| c["model"] == "qwen-coder-0.5b" && c["aggregator"] == aggregator;
        curves.iter().filter(of).find_map(|c| c["points"].as_array()?.last()?["score"]["mean"].as_f64()).unwrap()
    };
    assert!(at("vote") > at("fuse"), "{} {}", at("vote"), at("fuse"));
}

#[test]
fn what_cannot_be_piloted_is_refused_with_a_hint() {
    let bench = bench();
    bench.write("cut.tape", b"agenttts tape 1\nwhatever");
    bench.write("no.tape", "hello");
    for (args, code, said) in [
        ("pilot cut.tape", 3, "the tape is damaged"),
        ("pilot no.tape", 3, "is no tape"),
        ("pilot absent", 3, "cannot be read"),
        ("pilot p --margin 0", 2, "above 0 and below 1"),
        ("pilot p --examples 1", 2, "1 is not in 2.."),
        ("pilot p --search-budget usd=3", 3, "has no `price`"),
        ("pilot p -o no/such/folder.html", 5, "cannot be written"),
    ] {
        let ran = bench.run(args).exits(code);
        assert!(ran.stderr.contains(said), "{args}: {}", ran.stderr);
    }
}
