//! Guidelines in words.

use agenttts_core::Guideline;

use crate::ask::Ask;
use crate::surrogate::Surrogate;

/// Placeholder until measured.
pub(crate) fn guideline(_ask: &Ask<'_>, _surrogate: &Surrogate) -> Option<Guideline> {
    None
}
