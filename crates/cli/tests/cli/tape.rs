//! Tapes: recorded once, then searched and benched without a model, and the demo that is part of the program.

use std::io::Read;

use agenttts_testkit::Config;
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::support::{Bench, Server, exists, snapshot, store, trials};

/// What a summary says, but for the clock.
fn found(summary: &Value) -> Value {
    serde_json::json!([trials(summary), summary["recommended"], summary["confirmation"], summary["spend"]["total"]])
}

#[test]
fn the_demo_needs_nothing_and_is_the_same_every_time() {
    let bench = Bench::empty();
    let first = bench.run("demo --tape --json --method rules").exits(0);
    let again = bench.run("demo --tape --json --method rules").exits(0).json();
    assert_eq!(found(&first.json()), found(&again));
    assert!(first.stderr.contains("report: demo-report.html") && first.stderr.contains("from a tape"));
    assert!(bench.read("demo-report.html").contains("demo-tape"));
    assert!(!exists(&store(&bench)), "a demo leaves no store behind");

    let text = bench.run("demo --tape --method random --trials 8 --seed 3 --store demo.db -o r.html").exits(0);
    assert!(text.stdout.contains("The plan") && text.stdout.contains("largest once"), "{}", text.stdout);
    bench.run("show demo-tape-1 --trials --store demo.db").exits(0);
    assert!(bench.run("demo").exits(2).stderr.contains("--tape"));
}

#[test]
fn a_pipeline_is_recorded_once_and_searched_from_its_tape() {
    let bench = Bench::new();
    let recorded = bench.run("bench record p -o p.tape").exits(0);
    assert!(recorded.stderr.contains("tape: p.tape"), "{}", recorded.stderr);
    let whole = bench.run("search --tape p.tape --method random --json --store a.db").exits(0).json();
    let named = bench.run("search p --tape p.tape --method random --json --store b.db").exits(0).json();
    assert_eq!(found(&whole), found(&named));
    let live = bench.run("search p --method random --json --store c.db").exits(0).json();
    assert_eq!(whole["archive"]["trials"][0]["plan"], live["archive"]["trials"][0]["plan"]);

    // Recording again draws nothing and writes the same tape; resuming needs the tape too.
    let before = std::fs::read(bench.path("p.tape")).unwrap();
    bench.run("bench record p -o p.tape").exits(0);
    assert_eq!(std::fs::read(bench.path("p.tape")).unwrap(), before);
    let study = whole["study"].as_str().unwrap();
    bench.run(&format!("search --resume {study} --tape p.tape --trials 40 --store a.db")).exits(0);
    assert!(bench.run(&format!("search --resume {study} --store a.db")).stderr.contains("with --tape"));
}

#[test]
fn methods_are_compared_on_a_tape_by_drawn_tokens() {
    let bench = Bench::new();
    bench.run("bench record p -o p.tape").exits(0);
    let ran = bench.run("bench p.tape --methods random,halving --seeds 2 --threads 1").exits(0);
    assert!(ran.stdout.contains("tokens") && ran.stdout.contains("halving"), "{}", ran.stdout);
}

#[test]
fn what_is_no_whole_tape_is_refused_with_a_hint() {
    let bench = Bench::new();
    bench.run("bench record p -o p.tape").exits(0);
    let bytes = std::fs::read(bench.path("p.tape")).unwrap();
    bench.write("cut.tape", &bytes[..bytes.len() / 2]);
    bench.write("newer.tape", b"agenttts tape 99\nwhatever");
    bench.write("no.tape", "hello");
    for (file, said) in [
        ("cut.tape", "damaged: it ends too early"),
        ("newer.tape", "newer than this program's"),
        ("no.tape", "is no tape"),
        ("absent.tape", "cannot be read"),
    ] {
        for command in ["search --tape", "bench --methods random"] {
            let ran = bench.run(&format!("{command} {file}")).exits(3);
            assert!(ran.stderr.contains(said) && ran.stderr.contains("hint:"), "{command} {file}: {}", ran.stderr);
        }
    }
    bench.edit("p/pick.j2", "Pick for", "Choose for");
    let ran = bench.run("search p --tape p.tape --method random");
    assert!(ran.stderr.contains("not on the tape") && ran.stderr.contains("record it again"), "{}", ran.stderr);
}

/// All that a tape holds, as text.
fn unpacked(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    let mut text = String::new();
    GzDecoder::new(&bytes[start..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_study_on_a_server_is_exported_without_its_key_and_searched_again_without_a_server() {
    let bench = Bench::new();
    let server = Server::start(Config { api_key: Some("s3cret-planted".into()), ..Config::default() });
    bench.on_server(&server.base_url(), "api_key_env = \"SMALL_TEST_KEY\"");
    let search = bench.command("search p --method halving --json").env("SMALL_TEST_KEY", "s3cret-planted").output();
    let live = bench.ran(search.unwrap()).exits(0).json();
    drop(server);
    let export = bench.command("tape export small-1 -o s.tape").env("SMALL_TEST_KEY", "s3cret-planted").output();
    let exported = bench.ran(export.unwrap()).exits(0);
    assert!(exported.stderr.contains("and the result are the same to the last bit"), "{}", exported.stderr);

    let text = unpacked(&std::fs::read(bench.path("s.tape")).unwrap());
    assert!(text.contains("SMALL_TEST_KEY") && !text.contains("s3cret"), "the key is on the tape");
    assert!(!exported.to_string().contains("s3cret"), "{exported}");

    // Whoever has the file needs neither the pipeline nor the key.
    let other = Bench::empty();
    other.write("s.tape", std::fs::read(bench.path("s.tape")).unwrap());
    let again = other.run("search --tape s.tape --json").exits(0).json();
    assert_eq!(found(&live), found(&again));
    assert_eq!(again["method"], "halving");
    for table in ["show small-1 --trials", "show small-1 --why"] {
        let lines = |bench: &Bench| {
            let shown = bench.run(table).exits(0).stdout;
            shown.lines().filter(|line| !line.contains(" calls, ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&bench), lines(&other), "{table}");
    }
}

#[test]
fn exporting_says_what_it_wrote_and_why_it_cannot() {
    let bench = Bench::new();
    bench.run("search p --method random").exits(0);
    snapshot!("tape_export", bench.run("tape export small-1").exits(0));
    snapshot!("tape_export_texts", bench.run("tape export small-1 --without-texts").exits(3));
    assert!(bench.run("tape export no-such").exits(5).stderr.contains("there is no study"));
    let ran = bench.run("bench small-1.tape --methods random").exits(3);
    assert!(ran.stderr.contains("not the draws of all plans"), "{}", ran.stderr);
    let ran = bench.run("search --tape small-1.tape --method grid --seed 5").exits(4);
    assert!(ran.stderr.contains("small-1 drew before it ended"), "{}", ran.stderr);
}
