//! Why a command failed, and which exit code that is.

use std::io;
use std::path::{Path, PathBuf};

use agenttts_core::{Problem, Problems};
use agenttts_engine::{EngineError, EngineErrorKind};
use agenttts_models::ModelErrorKind;
use agenttts_models::registry::RegistryError;
use agenttts_server::{KeyFileError, ServerError};
use agenttts_store::StoreError;

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{message}")]
    Usage { message: String, hint: String },
    /// The engine could not do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A server could not start or go on.
    #[error(transparent)]
    Server(ServerError),
    /// A model file could not be found, fetched or added.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A study was stopped by an error; it can go on when that is mended.
    #[error("{error}")]
    Stopped { study: String, error: Box<Failure> },
    /// The store has no study yet.
    #[error("there is no study in {}", .0.display())]
    NoStudy(PathBuf),
    /// A file could not be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Standard output failed.
    #[error("standard output: {0}")]
    Stdout(#[from] io::Error),
    /// The program itself failed.
    #[error("{0}")]
    Internal(String),
    /// Everything was said already.
    #[error("")]
    Said(Exit),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Failure::Engine(EngineError::Input(problems))
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            // As for every other command that reads a plan file.
            ServerError::Plan(unusable) => Failure::Engine(unusable.error),
            error => Failure::Server(error),
        }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Failure::Server(ServerError::Keys(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Engine(EngineError::Store(error))
    }
}

impl Failure {
    /// Input that cannot be used.
    pub(crate) fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Problems::from(Problem::new(message).hint(hint)).into()
    }

    /// A file that cannot be written.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Failure::Write { path: path.to_owned(), source }
    }

    /// Whether whoever read standard output went away: no failure worth a word.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Failure::Usage { hint, .. } => Some(hint.clone()),
            Failure::Engine(error) => error.hint(),
            Failure::Registry(error) => Some(error.hint()),
            Failure::Server(error) => error.hint(),
            Failure::Write { source, .. } => Some(match source.kind() {
                io::ErrorKind::StorageFull => "free some space, or write to another disk".into(),
                _ => "name a file in a folder that exists and that you may write to, with --output".into(),
            }),
            Failure::NoStudy(_) => Some("`agenttts search PIPELINE` begins one; --store names another store".into()),
            Failure::Stopped { error, .. } => error.hint(),
            Failure::Internal(_) => Some("this is a fault of agenttts: please report it".into()),
            Failure::Stdout(_) | Failure::Said(_) => None,
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Usage { .. } => Exit::Usage,
            Failure::Engine(error) => exit_of_engine(error),
            Failure::Registry(error) => match error {
                RegistryError::BadFile(_) | RegistryError::Exists { .. } | RegistryError::NotPulled { .. } => {
                    Exit::Input
                }
                RegistryError::Unknown { .. }
                | RegistryError::Unreachable { .. }
                | RegistryError::HashMismatch { .. } => Exit::Model,
                RegistryError::DiskFull { .. } | RegistryError::Unwritable { .. } | RegistryError::Io { .. } => {
                    Exit::Store
                }
            },
            Failure::Server(ServerError::Plan(_) | ServerError::Keys(_) | ServerError::Tls { .. }) => Exit::Input,
            Failure::Server(
                ServerError::OpenToAll { .. } | ServerError::Examples { .. } | ServerError::Telemetry(_),
            ) => Exit::Usage,
            Failure::Server(ServerError::Listen { .. } | ServerError::Io(_)) => Exit::Server,
            Failure::Stopped { error, .. } => error.exit(),
            Failure::Write { .. } | Failure::NoStudy(_) => Exit::Store,
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Failure::Stdout(_) => Exit::Store,
            Failure::Internal(_) => Exit::Internal,
            Failure::Said(exit) => *exit,
        }
    }
}

/// The exit code of an engine's error.
pub(crate) fn exit_of_engine(error: &EngineError) -> Exit {
    match error.kind() {
        EngineErrorKind::Input | EngineErrorKind::Program | EngineErrorKind::Model(ModelErrorKind::BadFile) => {
            Exit::Input
        }
        EngineErrorKind::Model(_) => Exit::Model,
        EngineErrorKind::Store => Exit::Store,
        EngineErrorKind::Budget | EngineErrorKind::Limit => Exit::Limit,
        EngineErrorKind::Sandbox => Exit::Sandbox,
        EngineErrorKind::Internal => Exit::Internal,
    }
}
