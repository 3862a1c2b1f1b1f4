//! Opening a store: what is not one, is newer, damaged or not writable is named as such, and two may hold one file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use std::path::Path;

use agenttts_store::{Limits, SCHEMA_VERSION, Store, StoreErrorKind};
use rusqlite::Connection;
use support::*;

fn refused(file: &Path) -> (StoreErrorKind, String) {
    let error = Store::open(file).unwrap_err();
    assert!(error.hint().is_some(), "{error} has no hint");
    assert!(error.to_string().contains(&file.display().to_string()), "{error} names no file");
    (error.kind.clone(), error.to_string())
}

#[test]
fn a_newer_store_is_refused_with_both_versions_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    let sql = Connection::open(place.file()).unwrap();
    sql.pragma_update(None, "user_version", SCHEMA_VERSION + 5).unwrap();
    let (kind, text) = refused(&place.file());
    assert_eq!(kind, StoreErrorKind::Newer { found: SCHEMA_VERSION + 5, known: SCHEMA_VERSION });
    assert!(text.contains(&(SCHEMA_VERSION + 5).to_string()) && text.contains(&SCHEMA_VERSION.to_string()), "{text}");
    let version: i64 = sql.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(version, SCHEMA_VERSION + 5);
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let place = Place::new();
    let text = place.folder.path().join("notes.txt");
    for content in [
        &b"x"[..],
        b"not a database at all, but long enough to have a header of a hundred bytes .............................",
    ] {
        std::fs::write(&text, content).unwrap();
        assert_eq!(refused(&text).0, StoreErrorKind::NotAStore);
        assert_eq!(std::fs::read(&text).unwrap(), content);
    }

    let foreign = place.folder.path().join("other.db");
    let sql = Connection::open(&foreign).unwrap();
    sql.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);").unwrap();
    drop(sql);
    let before = std::fs::read(&foreign).unwrap();
    assert_eq!(refused(&foreign).0, StoreErrorKind::NotAStore);
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let place = Place::new();
    std::fs::write(place.file(), b"").unwrap();
    assert!(place.open().studies().unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_store_says_so_and_never_panics() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let held = study.reserve(purpose("sample"), amounts(1, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
    let new = (0..200).map(|i| sample(i, &"text ".repeat(100))).collect();
    study.settle(held, settlement(amounts(1, 0, 0, 1)), Some((home("q", 0), new))).await.unwrap();
    drop(study);
    // Folds the log into the file, as the last process to close it does.
    let sql = Connection::open(place.file()).unwrap();
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(sql);
    let whole = std::fs::read(place.file()).unwrap();

    let copy = place.folder.path().join("copy.db");
    let damage = |bytes: &[u8]| {
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(place.folder.path().join(format!("copy.db{ending}")));
        }
        std::fs::write(&copy, bytes).unwrap();
        Store::open(&copy).and_then(|s| Ok((s.studies()?, s.samples(&key("q"), 0, 999)?)))
    };
    assert_eq!(damage(&whole).unwrap().1.len(), 200);
    // Cut at a page's end and within one.
    for length in [whole.len() / 2 / 4096 * 4096, whole.len() / 2, 5000] {
        assert_eq!(damage(&whole[..length]).unwrap_err().kind, StoreErrorKind::Corrupt, "cut to {length} bytes");
    }
    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    assert_eq!(damage(&torn).unwrap_err().kind, StoreErrorKind::Corrupt);
}

#[test]
fn a_folder_in_the_way_is_an_error_with_a_hint() {
    let place = Place::new();
    std::fs::create_dir(place.file()).unwrap();
    refused(&place.file());
}

#[test]
fn what_cannot_be_written_says_so() {
    let place = Place::new();
    drop(place.open());
    let mut readonly = std::fs::metadata(place.file()).unwrap().permissions();
    readonly.set_readonly(true);
    std::fs::set_permissions(place.file(), readonly.clone()).unwrap();
    std::fs::set_permissions(place.folder.path(), readonly).unwrap();
    let writable = std::fs::OpenOptions::new().write(true).open(place.file()).is_ok();
    let result = if writable { None } else { Some(Store::open(&place.file())) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    match result {
        Some(result) => assert_eq!(result.unwrap_err().kind, StoreErrorKind::ReadOnly),
        None => println!("skipped: this user may write read-only files (root)"),
    }
}

#[tokio::test]
async fn two_handles_on_one_file_see_each_other() {
    let place = Place::new();
    let (a, b) = (place.open(), place.open());
    let (x, y) = (a.create_study(new_study("x")).await.unwrap(), b.create_study(new_study("y")).await.unwrap());
    // Both write at once.
    let write = |study: agenttts_store::Study, stream| async move {
        for i in 0..100 {
            let held =
                study.reserve(purpose("sample"), amounts(1, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
            let new = Some((home("q", stream), vec![sample(i, "t")]));
            study.settle(held, settlement(amounts(1, 0, 0, 1)), new).await.unwrap();
        }
        study
    };
    let (one, two) = (tokio::spawn(write(x, 1)), tokio::spawn(write(y, 2)));
    let (_x, _y) = (one.await.unwrap(), two.await.unwrap());
    for store in [a, b] {
        assert_eq!(store.samples(&key("q"), 1, 999).unwrap().len(), 100);
        assert_eq!(store.samples(&key("q"), 2, 999).unwrap().len(), 100);
        assert_eq!(store.studies().unwrap().len(), 2);
    }
}

#[test]
fn many_may_make_one_store_at_once() {
    for _ in 0..20 {
        let place = Place::new();
        let file = place.file();
        std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&file).map(|_| ()))).collect();
            for one in opening {
                one.join().unwrap().unwrap();
            }
        });
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_store_is_that_store_for_locks_too() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();

    let through = Store::open(&link).unwrap();
    assert!(matches!(through.open_study("a").await.unwrap_err().kind, StoreErrorKind::StudyLocked { .. }));
    drop(study);
    through.open_study("a").await.unwrap();
}
