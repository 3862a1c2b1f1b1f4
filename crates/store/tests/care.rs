//! Looking after a store: verifying finds what is wrong, and nothing else; migrating copies first; exports hold everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use agenttts_core::{Cost, Estimate, Measurement, Origin, Plan, Trial, TrialState, Usage};
use agenttts_store::care::{ExportFormat, Verdict, export, migrate, vacuum, verify};
use agenttts_store::{ExampleOutcome, Limits, SCHEMA_VERSION, Settlement, StageOutcome, Store, StoreErrorKind};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use rusqlite::Connection;
use serde_json::{Value, json};
use support::*;

/// A trial of one example.
fn measured(number: u32) -> Trial {
    let estimate = Estimate::of_scores(&[1.0]);
    let measurement =
        Measurement { stages: vec![Some(estimate)], seconds: 0.5, ..Measurement::of_scores(vec![1.0], estimate) };
    Trial {
        number,
        round: 0,
        plan: Plan { choices: vec![] },
        nominal_cost: Cost(5),
        origin: Origin { method: "rules".into(), reason: "first".into(), repairs: vec![] },
        stream: 0,
        span: None,
        state: TrialState::Measured(Box::new(measurement)),
    }
}

/// The index of a sample whose text is long enough to be packed, as its difference from the text of the sample before.
const LONG: u32 = 18;

/// A text that begins as others of its kind do, for longer than what is compared.
fn long(end: u32) -> String {
    let digits = (0..4_000u64).map(|i| format!("{:010}", i * i * i * 7_919 % 10_000_000_019));
    format!("{} and {end}", digits.collect::<String>())
}

/// A store with a finished study, samples, and a call that failed.
async fn filled(place: &Place) {
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let limits = Limits::default();
    let held = study.reserve(purpose("sample"), amounts(400, 9, 9, 1), &limits).await.unwrap().unwrap();
    let new = (0..20)
        .map(|i| sample(i, &if i == LONG || i == LONG - 1 { long(i) } else { format!("text \"{i}\"\n") }))
        .collect();
    let ids = study.settle(held, settlement(amounts(300, 7, 8, 1)), Some((home("q", 3), new))).await.unwrap();
    let failed = study.reserve(purpose("sample"), amounts(40, 1, 1, 1), &limits).await.unwrap().unwrap();
    let usage = Usage { calls: 1, ..Usage::default() };
    let bad = Settlement { amounts: amounts(0, 0, 0, 1), usage, error: Some("timed out".into()) };
    study.settle(failed, bad, None).await.unwrap();
    let stage = StageOutcome {
        output: Some(json!({"x": 1})),
        score: Some(1.0),
        support: None,
        samples: ids[..2].to_vec(),
        combined: None,
        items: None,
        skipped: false,
    };
    let outcome = ExampleOutcome {
        example: "e".into(),
        index: Some(0),
        objective: 0.1 + 0.2,
        cost: 1.0,
        failure: None,
        fault: None,
        quarantined: false,
        stages: vec![stage],
        steps: BTreeMap::new(),
    };
    study.put_trial(measured(1), vec![outcome]).await.unwrap();
    study.append_event(5, r#"{"kind":"started"}"#.into()).await.unwrap();
}

/// Until the store's threads have let go of the file. As a rule its log is then written back and gone; it stays where the
/// last to let go was one that only reads.
async fn closed(place: &Place) {
    let log = place.file().with_file_name(format!("{}-wal", place.file().file_name().unwrap().display()));
    for _ in 0..500 {
        if !log.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn faults(place: &Place) -> Vec<String> {
    let verdict = verify(&place.file()).unwrap();
    assert!(verdict.faults.iter().all(|f| !f.advice.is_empty()));
    verdict.faults.into_iter().map(|f| f.what).collect()
}

#[tokio::test]
async fn a_sound_store_has_no_faults_and_verifying_changes_nothing() {
    let place = Place::new();
    filled(&place).await;
    closed(&place).await;
    let before = fs::read(place.file()).unwrap();
    let verdict = verify(&place.file()).unwrap();
    assert_eq!((verdict.schema, verdict.counts, verdict.faults), (SCHEMA_VERSION, [1, 1, 20, 2], vec![]));
    assert_eq!(verdict.notes, Vec::<String>::new());
    assert!(fs::read(place.file()).unwrap() == before, "the file changed");

    // Also while a study runs.
    let study = place.open().open_study("a").await.unwrap();
    study.reserve(purpose("sample"), amounts(5, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    let verdict = verify(&place.file()).unwrap();
    assert!(verdict.faults.is_empty() && verdict.notes[0].contains("1 calls are under way"), "{verdict:?}");
}

#[tokio::test]
async fn whatever_is_changed_behind_the_programs_back_is_found() {
    for (change, found) in [
        ("UPDATE requests SET request = (SELECT max(id) FROM texts)", "cannot be read"),
        ("UPDATE texts SET packed = x'00' WHERE id = 2", "text 2 cannot be unpacked"),
        ("UPDATE texts SET packed = x'00' WHERE id = 2", "2 texts are lost with it"),
        ("UPDATE samples SET short = 'x' WHERE idx = 18", "samples have two texts"),
        ("UPDATE texts SET hash = x'00' WHERE id = 2", "text 2 is not the one that was stored"),
        (
            "PRAGMA foreign_keys = off; DELETE FROM texts WHERE id = 1",
            "a row of requests refers to texts that are not there",
        ),
        ("UPDATE requests SET revision = '2'", "is not the one that its key was made of"),
        ("DELETE FROM requests", "20 samples have no request"),
        ("DELETE FROM samples WHERE idx = 19", "some are gone"),
        (
            "INSERT INTO samples SELECT 99, key, stream, 77, short, finish, 1, 1, 1, 1, NULL, NULL FROM samples WHERE idx = 0",
            "no settled call brought them all",
        ),
        ("UPDATE ledger SET tokens = tokens - 1 WHERE samples > 0", "do not add up"),
        ("UPDATE ledger SET usd = 'much' WHERE samples > 0", "has the amount \"much\""),
        ("UPDATE ledger SET state = 'open' WHERE samples > 0", "were never settled"),
        ("UPDATE trials SET trial = substr(trial, 1, 40)", "trial 1 of a cannot be read"),
        ("UPDATE trials SET number = 7", "calls itself 1"),
        ("DELETE FROM outcomes", "measured on 1 examples and has outcomes of 0"),
        ("UPDATE outcomes SET outcome = replace(outcome, '[1,2]', '[1,222]')", "1 samples of example e are gone"),
        ("PRAGMA foreign_keys = off; DELETE FROM studies", "refers to studies that are not there"),
        ("UPDATE studies SET settings = '{'", "a settings of studies cannot be read"),
        ("UPDATE events SET event = 'x'", "a event of events cannot be read"),
    ] {
        let place = Place::new();
        filled(&place).await;
        Connection::open(place.file()).unwrap().execute_batch(change).unwrap();
        let all = faults(&place).join("\n");
        assert!(all.contains(found), "{change}: {all}");
    }
}

#[tokio::test]
async fn damage_is_a_fault_and_no_panic_wherever_it_is() {
    let place = Place::new();
    filled(&place).await;
    let (_, after) = vacuum(&place.file()).unwrap();
    let whole = fs::read(place.file()).unwrap();
    assert_eq!(after, whole.len() as u64);
    for page in 1..whole.len() / 4096 {
        let mut torn = whole.clone();
        torn[page * 4096..(page + 1) * 4096].fill(0xa5);
        fs::write(place.file(), &torn).unwrap();
        assert!(!faults(&place).is_empty(), "page {page}");
    }
    fs::write(place.file(), &whole[..5000]).unwrap();
    assert!(faults(&place).join("").contains("damaged"));
    fs::write(place.file(), "no store").unwrap();
    assert_eq!(verify(&place.file()).unwrap_err().kind, StoreErrorKind::NotAStore);
}

#[tokio::test]
async fn a_store_is_made_smaller_and_keeps_what_it_has() {
    let place = Place::new();
    filled(&place).await;
    let sql = Connection::open(place.file()).unwrap();
    sql.execute_batch(
        "CREATE TABLE t (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
                       INSERT INTO t SELECT randomblob(1000) FROM n; DROP TABLE t;",
    )
    .unwrap();
    drop(sql);
    let (before, after) = vacuum(&place.file()).unwrap();
    assert!(before > 900_000 && after < 300_000, "{before} {after}");
    assert_eq!(faults(&place), Vec::<String>::new());
    assert_eq!(place.open().samples(&key("q"), 3, 99).unwrap().len(), 20);
}

/// Stores that earlier programs wrote, one of every schema. A new schema gets a file of its own here, and none is changed.
fn kept(schema: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/stores/{schema}.db"))
}

#[tokio::test]
async fn stores_of_every_schema_are_opened_verified_and_migrated() {
    for schema in 1..=SCHEMA_VERSION {
        for explicitly in [false, true] {
            let place = Place::new();
            fs::copy(kept(schema), place.file()).unwrap_or_else(|e| panic!("no store of schema {schema} is kept: {e}"));
            assert_eq!(verify(&place.file()).unwrap().schema, schema);
            if explicitly {
                let done = migrate(&place.file(), None).unwrap();
                assert_eq!(
                    (done.from, done.to, done.backup.is_some()),
                    (schema, SCHEMA_VERSION, schema < SCHEMA_VERSION)
                );
            }
            let store = place.open();
            let row = store.study("a").unwrap();
            assert_eq!(store.samples(&key("q"), 3, 99).unwrap()[1].draw, draw("text \"1\"\n"));
            assert_eq!(store.request(&key("q")).unwrap(), Some(home("q", 3).request));
            if schema >= 3 {
                assert_eq!(store.samples(&key("q"), 3, 99).unwrap()[LONG as usize].draw, draw(&long(LONG)));
            }
            assert_eq!(store.archive(row.id).unwrap().trials, [measured(1)]);
            assert_eq!(store.outcomes(row.id, 1).unwrap()[0].objective.to_bits(), (0.1f64 + 0.2).to_bits());
            assert_eq!(store.spend(row.id).unwrap().amounts, amounts(300, 7, 8, 2));
            assert_eq!(faults(&place), Vec::<String>::new());
        }
    }
}

#[test]
fn migrating_copies_first_and_refuses_what_is_newer() {
    let place = Place::new();
    // A store that a program made and that died before its first table.
    let sql = Connection::open(place.file()).unwrap();
    sql.pragma_update(None, "application_id", 0x6167_5454).unwrap();
    sql.execute_batch("VACUUM").unwrap();
    drop(sql);
    assert_eq!(
        verify(&place.file()).unwrap(),
        Verdict { bytes: 4096, notes: vec!["the store is empty".into()], ..Verdict::default() }
    );
    let copy = place.folder.path().join("store.schema0.db");
    fs::write(&copy, "mine").unwrap();
    assert!(migrate(&place.file(), None).unwrap_err().to_string().contains("is there already"));
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
    fs::remove_file(&copy).unwrap();
    let done = migrate(&place.file(), None).unwrap();
    assert_eq!((done.from, done.to, done.backup), (0, SCHEMA_VERSION, Some(copy.clone())));
    assert_eq!(verify(&copy).unwrap().schema, 0);
    assert_eq!(migrate(&place.file(), None).unwrap().backup, None);

    let sql = Connection::open(place.file()).unwrap();
    sql.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let newer = StoreErrorKind::Newer { found: SCHEMA_VERSION + 1, known: SCHEMA_VERSION };
    let out = place.folder.path().join("out");
    for error in [
        migrate(&place.file(), None).unwrap_err(),
        vacuum(&place.file()).unwrap_err(),
        verify(&place.file()).unwrap_err(),
        export(&place.file(), &out, ExportFormat::Jsonl).unwrap_err(),
    ] {
        assert_eq!(error.kind, newer);
        assert!(error.hint().unwrap().contains("update agenttts"));
    }
    assert!(Store::open(&place.file()).is_err());
}

#[tokio::test]
async fn exports_hold_every_row_of_every_table_in_both_forms() {
    let place = Place::new();
    filled(&place).await;
    let out = place.folder.path().join("out");
    let tables = export(&place.file(), &out, ExportFormat::Jsonl).unwrap();
    let rows: BTreeMap<String, u64> =
        tables.iter().map(|t| (t.file.file_stem().unwrap().to_str().unwrap().to_owned(), t.rows)).collect();
    assert_eq!((rows["samples"], rows["ledger"], rows["trials"], rows["exchanges"]), (20, 2, 1, 0));

    let lines = |table: &str| -> Vec<Value> {
        let text = fs::read_to_string(out.join(format!("{table}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines("samples")[3]["text"], "text \"3\"\n");
    assert_eq!(lines("samples")[LONG as usize]["text"], long(LONG));
    assert_eq!(lines("outcomes")[0]["trial"], 1);
    assert_eq!(lines("samples")[3]["key"], key("q").to_string());
    assert_eq!(lines("requests")[0]["request"], json!(home("q", 3).request));
    assert_eq!((rows.get("texts"), lines("samples")[3].get("long")), (None, None), "texts stand where they belong");
    assert_eq!(lines("outcomes")[0]["outcome"]["stages"][0]["output"], json!({"x": 1}));
    assert_eq!(lines("ledger")[0]["usd"], "7");

    for table in export(&place.file(), &out, ExportFormat::Parquet).unwrap() {
        let reader = SerializedFileReader::new(File::open(&table.file).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows() as u64, table.rows);
        let name = table.file.file_stem().unwrap().to_str().unwrap();
        for (row, line) in reader.get_row_iter(None).unwrap().zip(lines(name)) {
            for (column, field) in row.unwrap().get_column_iter() {
                let same = match (field, &line[column]) {
                    (Field::Null, value) => value.is_null(),
                    (Field::Long(n), value) => value.as_i64() == Some(*n),
                    (Field::Double(x), value) => value.as_f64() == Some(*x),
                    (Field::Str(text), Value::String(value)) => text == value,
                    (Field::Str(text), value) => serde_json::from_str::<Value>(text).ok().as_ref() == Some(value),
                    _ => false,
                };
                assert!(same, "{name}.{column}: {field} {}", line[column]);
            }
        }
    }
}

/// Writes the store of the newest schema that is kept for later programs, where there is none yet.
#[tokio::test]
#[ignore = "only for a new schema"]
async fn keep_a_store_of_this_schema() {
    let place = Place::new();
    filled(&place).await;
    vacuum(&place.file()).unwrap();
    assert!(!kept(SCHEMA_VERSION).exists());
    fs::create_dir_all(kept(0).parent().unwrap()).unwrap();
    fs::copy(place.file(), kept(SCHEMA_VERSION)).unwrap();
}
