//! One process per study: a lock of the operating system, which it releases when the process dies, however it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{StoreError, StoreErrorKind};

/// Held while a process runs a study.
#[derive(Debug)]
pub(crate) struct StudyLock {
    _file: File,
}

pub(crate) fn lock_study(store: &Path, study: &str) -> Result<StudyLock, StoreError> {
    let folder = store.with_extension("locks");
    std::fs::create_dir_all(&folder).map_err(|e| StoreError::from(e).at(&folder))?;
    let path = folder.join(format!("{study}.lock"));
    let at = |e: std::io::Error| StoreError::from(e).at(&path);
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(at)?;
    match file.try_lock() {
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
    Ok(StudyLock { _file: file })
}
