//! What can go wrong with a store, in words that say what to do.

use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(.kind, .path.as_deref(), .detail))]
pub struct StoreError {
    /// What kind of failure it is.
    pub kind: StoreErrorKind,
    /// The store's file.
    pub path: Option<PathBuf>,
    /// What exactly happened.
    pub detail: String,
}

/// Kinds of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The file is no agenttts store.
    NotAStore,
    /// A newer program wrote it.
    Newer {
        /// Its schema version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It cannot be written.
    ReadOnly,
    /// Another process holds it for too long.
    Busy,
    /// No space is left on the disk.
    DiskFull,
    /// The file is damaged.
    Corrupt,
    /// Another process runs this study.
    StudyLocked {
        /// The study.
        study: String,
        /// The process that holds it, where it said so.
        process: Option<u32>,
    },
    /// There is no such study.
    NoStudy,
    /// A study of that name is there already.
    NameTaken,
    /// The name cannot be a study's.
    BadName,
    /// A sample of that key and index is there already; the first is kept.
    SampleTaken,
    /// What is stored cannot be read.
    BadContent,
    /// Anything else that the database or the file system reports.
    Other,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        StoreError { kind, path: None, detail: detail.into() }
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.kind {
            StoreErrorKind::NotAStore => "name another file with --store; a store is made by the first search",
            StoreErrorKind::Newer { .. } => "update agenttts, or name another store with --store",
            StoreErrorKind::ReadOnly => "make the file and its folder writable, or name another store with --store",
            StoreErrorKind::Busy => "another process writes to this store; try again when it is done",
            StoreErrorKind::DiskFull => "make room and go on with `agenttts search --resume`: nothing stored is lost",
            StoreErrorKind::Corrupt => "restore the file from a copy, or move it away to begin a new one",
            StoreErrorKind::StudyLocked { .. } => "wait for it, or stop it; a study has one process at a time",
            StoreErrorKind::NoStudy => "`agenttts studies` lists the studies of this store",
            StoreErrorKind::NameTaken => "choose another name, or go on with `agenttts search --resume`",
            StoreErrorKind::BadName => "use letters, digits, '-', '_' and '.', and begin with a letter or digit",
            StoreErrorKind::SampleTaken | StoreErrorKind::BadContent | StoreErrorKind::Other => return None,
        })
    }
}

fn describe(kind: &StoreErrorKind, path: Option<&Path>, detail: &str) -> String {
    let store = path.map_or("the store".to_owned(), |p| format!("the store {}", p.display()));
    match kind {
        StoreErrorKind::NotAStore => format!("{store} is not an agenttts store: {detail}"),
        StoreErrorKind::Newer { found, known } => {
            format!("{store} has schema {found}, and this program knows schemas up to {known}")
        }
        StoreErrorKind::ReadOnly => format!("{store} cannot be written: {detail}"),
        StoreErrorKind::Busy => format!("{store} is locked by another process: {detail}"),
        StoreErrorKind::DiskFull => format!("no space is left for {store}: {detail}"),
        StoreErrorKind::Corrupt => format!("{store} is damaged: {detail}"),
        StoreErrorKind::StudyLocked { study, process } => match process {
            Some(pid) => format!("the study {study} is being run by process {pid}"),
            None => format!("the study {study} is being run by another process"),
        },
        StoreErrorKind::NoStudy | StoreErrorKind::NameTaken | StoreErrorKind::BadName => detail.to_owned(),
        StoreErrorKind::SampleTaken => format!("a sample is stored already: {detail}"),
        StoreErrorKind::BadContent => format!("{store} holds something unreadable: {detail}"),
        StoreErrorKind::Other => format!("{store}: {detail}"),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreErrorKind::NotAStore,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => StoreErrorKind::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
            Some(ErrorCode::DiskFull) => StoreErrorKind::DiskFull,
            Some(ErrorCode::DatabaseCorrupt) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        };
        StoreError::new(kind, error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        StoreError::new(StoreErrorKind::BadContent, error.to_string())
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull => StoreErrorKind::DiskFull,
            std::io::ErrorKind::IsADirectory => StoreErrorKind::NotAStore,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            _ => StoreErrorKind::Other,
        };
        StoreError::new(kind, error.to_string())
    }
}
