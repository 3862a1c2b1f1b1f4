//! One process per study: a lock of the operating system, which it releases when the process dies, however it dies. Beside
//! it a file by which others ask that process to stop.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};

/// Held while a process runs a study.
#[derive(Debug)]
pub(crate) struct StudyLock {
    _file: File,
    stop: PathBuf,
}

impl StudyLock {
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.stop.exists()
    }
}

impl Drop for StudyLock {
    fn drop(&mut self) {
        // A request that stays behind is removed by whoever runs the study next.
        let _ = std::fs::remove_file(&self.stop);
    }
}

pub(crate) fn lock_study(store: &Path, study: &str) -> Result<StudyLock, StoreError> {
    let folder = folder(store);
    std::fs::create_dir_all(&folder).map_err(|e| StoreError::from(e).at(&folder))?;
    let path = file(store, study);
    let at = |e: std::io::Error| StoreError::from(e).at(&path);
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(at)?;
    match patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The holder's number is only for the message.
            let _ = file.read_to_string(&mut text);
            let kind = StoreErrorKind::StudyLocked { study: study.to_owned(), process: text.trim().parse().ok() };
            return Err(StoreError::new(kind, ""));
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(at)?;
    write!(file, "{}", std::process::id()).map_err(at)?;
    let lock = StudyLock { _file: file, stop: request(store, study) };
    match std::fs::remove_file(&lock.stop) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::from(error).at(&lock.stop)),
        _ => Ok(lock),
    }
}

/// Tries again for a moment: whoever looks whether the lock is held holds it for an instant himself.
fn patiently(file: &File) -> Result<(), TryLockError> {
    const TRIES: u32 = 5;
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            ended => return ended,
        }
    }
    file.try_lock()
}

/// Whether a process holds a study's lock.
pub(crate) fn is_held(store: &Path, study: &str) -> bool {
    let Ok(file) = File::open(file(store, study)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Asks the holder of a study's lock to stop.
pub(crate) fn ask_to_stop(store: &Path, study: &str) -> Result<(), StoreError> {
    let path = request(store, study);
    File::create(&path).map(drop).map_err(|e| StoreError::from(e).at(&path))
}

fn folder(store: &Path) -> PathBuf {
    store.with_extension("locks")
}

fn file(store: &Path, study: &str) -> PathBuf {
    folder(store).join(format!("{study}.lock"))
}

fn request(store: &Path, study: &str) -> PathBuf {
    folder(store).join(format!("{study}.stop"))
}
