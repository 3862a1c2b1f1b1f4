//! Whoever pays for calls is asked before every attempt: one that fails and is made again costs again.

use agenttts_core::Usage;
use async_trait::async_trait;

/// Pays for the attempts of a call. An attempt is what a provider may bill: a retry is one of its own, and so is each of the
/// requests into which a call is split.
#[async_trait]
pub trait Toll: Send + Sync {
    /// Asked before an attempt for so many samples, which may bill the prompt so many times. Where it answers no, the
    /// attempt is not made, and what was not drawn yet fails with [`Withheld`](crate::ModelErrorKind::Withheld), or with
    /// the failure of the last attempt.
    async fn begin(&self, prompts: u32, samples: u32) -> bool;

    /// As [`begin`](Toll::begin), for an attempt that is made beside another one and that nobody needs: answers no where
    /// it would have to wait, and never ends the study.
    async fn begin_spare(&self, prompts: u32, samples: u32) -> bool;

    /// Whether a call waits, as before a retry, while its provider's circuit is open. If not, it fails at once.
    fn waits(&self) -> bool {
        true
    }

    /// Told after the attempt what it was billed; with the numbers of [`begin`](Toll::begin).
    fn end(&self, prompts: u32, samples: u32, billed: Usage);
}

/// Asks nobody.
#[derive(Clone, Copy, Debug)]
pub struct Free;

#[async_trait]
impl Toll for Free {
    async fn begin(&self, _: u32, _: u32) -> bool {
        true
    }

    async fn begin_spare(&self, _: u32, _: u32) -> bool {
        true
    }

    fn end(&self, _: u32, _: u32, _: Usage) {}
}
