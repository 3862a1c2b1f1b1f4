//! Stores that cannot be used: exit code 5.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Bench, snapshot, store};

#[test]
fn a_newer_store_is_left_alone() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let connection = rusqlite::Connection::open(store(&bench)).unwrap();
    connection.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(connection);
    let before = std::fs::read(store(&bench)).unwrap();
    snapshot!("newer_store", bench.run("studies").exits(5));
    bench.run("search p").exits(5);
    assert_eq!(std::fs::read(store(&bench)).unwrap(), before);
}

#[test]
fn a_file_that_is_no_store() {
    let bench = Bench::new();
    bench.write("notes.txt", "these are my notes, and they are longer than a header of a database would be");
    snapshot!("no_store", bench.run("search p --store notes.txt").exits(5));
    assert!(bench.read("notes.txt").starts_with("these are my notes"));
}

#[test]
fn an_unknown_study() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    snapshot!("unknown_study", bench.run("show smal-2"));
    snapshot!("resume_unknown", bench.run("search --resume other"));
    snapshot!("name_taken", bench.run("search p --name small-1"));
}

#[test]
fn a_study_has_one_process_at_a_time() {
    let bench = Bench::new();
    // Slow enough that the second program meets the first.
    bench.edit_pipeline("id = \"p60-t4\"", "id = \"slow-300ms-p60-t4\"");
    bench.edit_pipeline("id = \"p90-t4\"", "id = \"slow-300ms-p90-t4\"");
    let mut first = bench.command("search p --name one").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while bench.run("studies --json").json().as_array().is_none_or(Vec::is_empty) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the search does not begin");
    }
    let second = bench.run("search --resume one").exits(5);
    let third = bench.run("search p --name two --trials 1");
    first.kill().unwrap();
    first.wait().unwrap();
    snapshot!("study_locked", second);
    third.exits(0);
    bench.run("search --resume one").exits(0);
}

#[test]
fn output_that_cannot_be_written() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    snapshot!("unwritable_report", bench.run("report -o no/such/folder/r.html").exits(5));
}
