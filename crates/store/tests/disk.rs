//! A disk that is really full: the error says so, nothing acknowledged is lost, and there is life after it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use std::path::Path;
use std::process::Command;

use agenttts_store::{Limits, Store, StoreErrorKind};
use support::*;

const DISK: &str = "STORE_TEST_DISK";

/// Not a test of its own: what the child of the test below does on a disk of 1 MB.
#[tokio::test]
async fn child() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    let file = disk.join("store.db");
    let study = Store::open(&file).unwrap().create_study(new_study("a")).await.unwrap();
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 300_000]).unwrap();

    let store = |index| {
        let study = &study;
        async move {
            let held = study.reserve(purpose("sample"), amounts(10, 0, 0, 1), &Limits::default()).await?.unwrap();
            let new = vec![sample(index, &"x".repeat(20_000))];
            study.settle(held, settlement(amounts(7, 0, 0, 1)), Some((home("q", 0), new))).await
        }
    };
    let mut stored = 0;
    let error = loop {
        match store(stored).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, StoreErrorKind::DiskFull, "{error}");
    assert!(error.hint().is_some() && stored > 0, "{error}");
    assert_eq!(study.store().samples(&key("q"), 0, u32::MAX).unwrap().len(), stored as usize);

    std::fs::remove_file(&ballast).unwrap();
    store(stored).await.unwrap();
    drop(study);
    let study = Store::open(&file).unwrap().open_study("a").await.unwrap();
    assert_eq!(study.store().samples(&key("q"), 0, u32::MAX).unwrap().len(), stored as usize + 1);
    assert!(study.spent().tokens >= u64::from(stored + 1) * 7);

    std::fs::write(&ballast, vec![0; 2_000_000]).unwrap_err();
    assert_eq!(Store::open(&disk.join("new.db")).unwrap_err().kind, StoreErrorKind::DiskFull);
    println!("\nthe child is done");
}

/// The disk is a file system in memory that only the child sees.
#[test]
fn a_full_disk_loses_nothing_and_is_named() {
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$0" || exit 77; exec "$@""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DISK, disk.path())
        .output();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output {
        Ok(output) if output.status.success() => {
            assert!(said(&output.stdout).contains("the child is done"), "{}", said(&output.stdout));
        }
        Ok(output) if output.status.code() == Some(77) || said(&output.stderr).contains("unshare") => {
            println!("skipped: no file system of its own can be mounted here: {}", said(&output.stderr));
        }
        Ok(output) => panic!("{}{}", said(&output.stdout), said(&output.stderr)),
        Err(error) => println!("skipped: unshare: {error}"),
    }
}
