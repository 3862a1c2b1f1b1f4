//! What can go wrong in the engine, by kind: exit codes and advice follow from it.

use agenttts_core::{Problem, Problems};
use agenttts_models::{ModelError, ModelErrorKind};
use agenttts_sandbox::SandboxError;
use agenttts_store::StoreError;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The user's input is wrong.
    #[error(transparent)]
    Input(#[from] Problems),
    /// A program of the pipeline's own, which a step asks, is broken or gave no answer.
    #[error(transparent)]
    Program(Problems),
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Generated code cannot be run here: a fault of the machine, not of the code.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Nothing could be measured within the search budget.
    #[error("{0}")]
    Budget(String),
    /// Answering an input could take more than it may.
    #[error("{0}")]
    Limit(String),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

/// Kinds of [`EngineError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The user's input is wrong.
    Input,
    /// A program that a step asks is broken or gave no answer.
    Program,
    /// A model cannot be used.
    Model(ModelErrorKind),
    /// The store cannot be used.
    Store,
    /// Generated code cannot be run here.
    Sandbox,
    /// Nothing could be measured within the search budget.
    Budget,
    /// Answering an input could take more than it may.
    Limit,
    /// A fault of this program.
    Internal,
}

impl EngineError {
    /// A problem with what the user asked for.
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        EngineError::Input(Problem::new(message).hint(hint).into())
    }

    /// A fault of a program that a step asks.
    pub(crate) fn program(message: impl Into<String>, hint: impl Into<String>) -> Self {
        EngineError::Program(Problem::new(message).hint(hint).into())
    }

    /// The kind.
    pub fn kind(&self) -> EngineErrorKind {
        match self {
            EngineError::Input(_) => EngineErrorKind::Input,
            EngineError::Program(_) => EngineErrorKind::Program,
            EngineError::Model(error) => EngineErrorKind::Model(error.kind),
            EngineError::Store(_) => EngineErrorKind::Store,
            EngineError::Sandbox(_) => EngineErrorKind::Sandbox,
            EngineError::Budget(_) => EngineErrorKind::Budget,
            EngineError::Limit(_) => EngineErrorKind::Limit,
            EngineError::Internal(_) => EngineErrorKind::Internal,
        }
    }

    /// What to do about it, where that is not part of the problems.
    pub fn hint(&self) -> Option<String> {
        match self {
            EngineError::Model(error) => error.hint.clone(),
            EngineError::Store(error) => error.hint().map(str::to_owned),
            EngineError::Sandbox(error @ SandboxError::TooWeak(_)) => {
                Some(format!("{}: --allow-weak-sandbox", error.hint().unwrap_or("the code runs all the same with")))
            }
            EngineError::Sandbox(error) => error.hint().map(str::to_owned),
            EngineError::Budget(_) => Some(
                "raise the search budget and go on: `agenttts search --resume STUDY`, or `agenttts pilot` as before"
                    .into(),
            ),
            EngineError::Limit(_) => Some("allow more, or choose a cheaper plan".into()),
            EngineError::Input(_) | EngineError::Program(_) | EngineError::Internal(_) => None,
        }
    }

    /// The problems, where the input or a program is wrong.
    pub fn problems(&self) -> Option<&Problems> {
        match self {
            EngineError::Input(problems) | EngineError::Program(problems) => Some(problems),
            _ => None,
        }
    }
}
