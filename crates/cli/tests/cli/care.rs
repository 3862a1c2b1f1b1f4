//! Looking after the store: what is said of it, what is wrong with it, and its tables for other programs.

use rusqlite::Connection;

use crate::support::{Bench, store};

#[test]
fn a_store_is_verified_shrunk_migrated_and_exported() {
    let bench = Bench::new();
    bench.run("search p --method random").exits(0);
    let ran = bench.run("store verify").exits(0);
    assert!(ran.stdout.contains("1 studies") && ran.stdout.ends_with("the store holds together\n"), "{ran}");
    let verdict = bench.run("store verify --json").exits(0).json();
    assert_eq!((&verdict["studies"], verdict["faults"].as_array().unwrap().len()), (&1.into(), 0));
    assert!(bench.run("store vacuum").exits(0).stderr.contains("kB before"));
    assert!(bench.run("store migrate").exits(0).stderr.contains("nothing to do"));
    for format in ["jsonl", "parquet"] {
        let ran = bench.run(&format!("store export -o out --format {format}")).exits(0);
        assert!(ran.stderr.contains(&format!("samples.{format}: {} rows", verdict["samples"])), "{ran}");
    }
    bench.run("search --resume small-1 --trials 20").exits(0);
    bench.run("store verify").exits(0);
}

#[test]
fn what_is_wrong_with_a_store_is_the_exit_code_too() {
    let bench = Bench::new();
    assert!(bench.run("store verify").exits(5).stderr.contains("there is no study in"));
    bench.run("search p --method random").exits(0);
    let sql = Connection::open(store(&bench)).unwrap();
    sql.execute("UPDATE ledger SET tokens = tokens + 1 WHERE id = 1", []).unwrap();
    let ran = bench.run("store verify").exits(5);
    assert!(ran.stderr.contains("do not add up") && ran.stderr.contains("hint: the spend"), "{ran}");
    assert!(ran.stdout.ends_with("the store does not hold together\n"), "{ran}");
    let faults = &bench.run("store verify --json").exits(5).json()["faults"];
    assert_eq!(faults.as_array().unwrap().len(), 1);
}
