//! One process per study: a lock of the operating system, which it releases when the process dies, however it dies. Beside
//! it a file by which others ask that process to stop, and one by which it tells them how far it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agenttts_core::UnderWay;

use crate::error::{StoreError, StoreErrorKind};

/// Held while a process runs a study.
#[derive(Debug)]
pub(crate) struct StudyLock {
    _file: File,
    stop: PathBuf,
    progress: PathBuf,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    at: Option<Instant>,
    /// What is not written yet.
    waiting: Option<UnderWay>,
}

/// What is under way is noted no more often than this.
const NOTE_EVERY: Duration = Duration::from_millis(500);

impl StudyLock {
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.stop.exists()
    }

    /// Tells others how far it is. Passes away with the process, so it is no part of the store; where it cannot be written, nothing
    /// is lost.
    pub(crate) fn note(&self, under_way: Option<UnderWay>) {
        let mut noted = self.noted();
        match under_way {
            None => {
                *noted = Noted::default();
                let _ = std::fs::remove_file(&self.progress);
            }
            Some(_) if noted.at.is_some_and(|at| at.elapsed() < NOTE_EVERY) => noted.waiting = under_way,
            Some(under_way) => self.write(&mut noted, under_way),
        }
    }

    /// Writes what was told too soon after what was told before.
    pub(crate) fn renew(&self) {
        let mut noted = self.noted();
        if let Some(under_way) = noted.waiting {
            self.write(&mut noted, under_way);
        }
    }

    fn write(&self, noted: &mut Noted, under_way: UnderWay) {
        *noted = Noted { at: Some(Instant::now()), waiting: None };
        let Ok(text) = serde_json::to_string(&under_way) else { return };
        // Whoever reads sees the old one or the new one.
        let fresh = self.progress.with_extension("progress-new");
        let _ = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &self.progress));
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StudyLock {
    fn drop(&mut self) {
        // A request that stays behind is removed by whoever runs the study next.
        let _ = std::fs::remove_file(&self.stop);
        let _ = std::fs::remove_file(&self.progress);
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
    let (stop, progress) = (request(store, study), progress(store, study));
    let lock = StudyLock { _file: file, stop, progress, noted: Mutex::default() };
    // What a process that died left behind.
    for left in [&lock.stop, &lock.progress] {
        match std::fs::remove_file(left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::from(error).at(left)),
            _ => {}
        }
    }
    Ok(lock)
}

/// How far the holder of a study's lock is, as it noted last.
pub(crate) fn under_way(store: &Path, study: &str) -> Option<UnderWay> {
    serde_json::from_slice(&std::fs::read(progress(store, study)).ok()?).ok()
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

fn progress(store: &Path, study: &str) -> PathBuf {
    folder(store).join(format!("{study}.progress"))
}

fn request(store: &Path, study: &str) -> PathBuf {
    folder(store).join(format!("{study}.stop"))
}
