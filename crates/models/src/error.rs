//! Why a call to a model failed, and what to do about it.

use std::fmt;

/// A failed call or draw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ModelError {
    /// What kind of failure it is.
    pub kind: ModelErrorKind,
    /// What happened, with the model, address or file it happened to. Never holds a key.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
}

/// Kinds of failure; they decide retries, exit codes and whether the study goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelErrorKind {
    /// The environment variable with the key is not set.
    MissingKey,
    /// The provider refused the key.
    Unauthorised,
    /// The provider does not know the model.
    UnknownModel,
    /// The server cannot be reached.
    Unreachable,
    /// Too many requests, after all retries.
    RateLimited,
    /// No reply within the time limit.
    Timeout,
    /// The server failed, after all retries.
    Server,
    /// The provider refused this request (too long, bad parameter, filtered).
    Refused,
    /// A reply that cannot be understood.
    BadReply,
    /// The prompt and the tokens to decode do not fit into the model's context.
    ContextOverflow,
    /// A model file is missing, truncated or not a GGUF.
    BadFile,
    /// The engine failed.
    Engine,
    /// A tape plays the model, and this draw is not on it.
    NotOnTape,
    /// Whoever pays for the call did not let it begin.
    Withheld,
}

impl ModelErrorKind {
    /// The kind as logs and traces name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingKey => "missing-key",
            Self::Unauthorised => "unauthorised",
            Self::UnknownModel => "unknown-model",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Refused => "refused",
            Self::BadReply => "bad-reply",
            Self::ContextOverflow => "context-overflow",
            Self::BadFile => "bad-file",
            Self::Engine => "engine",
            Self::NotOnTape => "not-on-tape",
            Self::Withheld => "withheld",
        }
    }

    /// Whether every further call would fail alike, so that the study should stop rather than count failures.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::MissingKey | Self::Unauthorised | Self::UnknownModel | Self::BadFile | Self::NotOnTape)
    }

    /// Whether a provider that has too much to do fails so.
    pub fn is_overload(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout)
    }

    /// Whether it may be that the provider is down altogether.
    pub fn may_be_outage(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Server)
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::RateLimited | Self::Timeout | Self::Server | Self::BadReply)
    }
}

impl ModelError {
    /// An error without a hint.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        ModelError { kind, message: message.into(), hint: None }
    }

    /// The error of a call that was not let begin.
    pub fn withheld() -> Self {
        ModelError::new(ModelErrorKind::Withheld, "not called: there is no room for it")
    }

    /// The same error with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
