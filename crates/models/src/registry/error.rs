//! What can go wrong with model files.

use std::io;
use std::path::{Path, PathBuf};

use crate::gguf::GgufError;

/// Why a model file could not be found, fetched or added.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Neither a known name nor a file.
    #[error("there is no model `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: String,
    },
    /// A known model whose file is not here yet.
    #[error("the model `{name}` is not here yet (looked in {})", dir.display())]
    NotPulled {
        /// The known name.
        name: String,
        /// The folder of models.
        dir: PathBuf,
    },
    /// The file is no usable model.
    #[error(transparent)]
    BadFile(#[from] GgufError),
    /// There is a model of that name already, with other contents.
    #[error("there is another model `{name}` already: {}", path.display())]
    Exists {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// No space is left.
    #[error("no space is left on the disk of {}{}", path.display(), needs.map(|n| format!(" ({} MB are needed)", n / 1_000_000)).unwrap_or_default())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
        /// Bytes that the model needs, where known.
        needs: Option<u64>,
    },
    /// The folder or file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or writing failed for another reason.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The hub did not give the file, and there are no packages, or they failed too.
    #[error("`{name}` could not be fetched: {}", reasons.join("; "))]
    Unreachable {
        /// The model.
        name: String,
        /// What was tried and how it failed.
        reasons: Vec<String>,
    },
    /// The bytes are not the expected ones. Nothing was kept.
    #[error("{what} has the SHA-256 {found}, expected {expected}; nothing was kept")]
    HashMismatch {
        /// What was fetched.
        what: String,
        /// The hash that it should have.
        expected: String,
        /// The hash that it has.
        found: String,
    },
}

impl RegistryError {
    /// What the user can do.
    pub fn hint(&self) -> String {
        match self {
            RegistryError::Unknown { nearest, .. } => {
                format!("did you mean `{nearest}`? `agenttts models list` shows the known ones; a path to a GGUF file works too")
            }
            RegistryError::NotPulled { name, .. } => format!("fetch it with `agenttts models pull {name}`"),
            RegistryError::BadFile(error) => error.hint().into(),
            RegistryError::Exists { path, .. } => format!("rename your file, or remove {} first", path.display()),
            RegistryError::DiskFull { .. } => "free some space, or set AGENTTTS_MODELS to a folder on another disk".into(),
            RegistryError::Unwritable { .. } => "set AGENTTTS_MODELS to a folder that you may write".into(),
            RegistryError::Io { .. } => "check the path and the disk".into(),
            RegistryError::Unreachable { .. } => {
                "check the network; HF_ENDPOINT names a mirror of the hub; `agenttts models add FILE.gguf` takes a file that you have".into()
            }
            RegistryError::HashMismatch { .. } => "try again; if it persists, what is offered there has changed: do not use it".into(),
        }
    }

    /// Names full disks and forbidden folders as such.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::io_needing(path, source, None)
    }

    pub(super) fn io_needing(path: &Path, source: io::Error, needs: Option<u64>) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RegistryError::DiskFull { path, needs },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                RegistryError::Unwritable { path, source }
            }
            _ => RegistryError::Io { path, source },
        }
    }
}
