//! The ledger: what each study reserved, spent and lost.

use std::collections::BTreeMap;

use agenttts_core::{Cost, Usage};
use rusqlite::{Connection, params};

use crate::error::{StoreError, StoreErrorKind};

/// An amount in every unit that a search budget can limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Prompt and decoded tokens.
    pub tokens: u64,
    /// Dollars.
    pub usd: Cost,
    /// Floating-point operations.
    pub flops: Cost,
    /// Calls.
    pub calls: u64,
}

impl Amounts {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Amounts) -> Amounts {
        Amounts {
            tokens: self.tokens.saturating_add(other.tokens),
            usd: self.usd + other.usd,
            flops: self.flops + other.flops,
            calls: self.calls.saturating_add(other.calls),
        }
    }

    /// The difference, no unit below nothing.
    #[must_use]
    pub fn minus(self, other: Amounts) -> Amounts {
        Amounts {
            tokens: self.tokens.saturating_sub(other.tokens),
            usd: self.usd - other.usd,
            flops: self.flops - other.flops,
            calls: self.calls.saturating_sub(other.calls),
        }
    }
}

/// Limits that a reservation must keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Prompt and decoded tokens.
    pub tokens: Option<u64>,
    /// Dollars.
    pub usd: Option<Cost>,
    /// Floating-point operations.
    pub flops: Option<Cost>,
    /// Calls.
    pub calls: Option<u64>,
}

/// The unit of a limit that a reservation would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedUnit {
    /// Prompt and decoded tokens.
    Tokens,
    /// Dollars.
    Usd,
    /// Floating-point operations.
    Flops,
    /// Calls.
    Calls,
}

impl Limits {
    /// The first limit that `total` passes.
    pub fn passed_by(&self, total: &Amounts) -> Option<LimitedUnit> {
        let over = |limit: Option<u64>, used: u64| limit.is_some_and(|l| used > l);
        let over_cost = |limit: Option<Cost>, used: Cost| limit.is_some_and(|l| used > l);
        if over(self.tokens, total.tokens) {
            Some(LimitedUnit::Tokens)
        } else if over_cost(self.usd, total.usd) {
            Some(LimitedUnit::Usd)
        } else if over_cost(self.flops, total.flops) {
            Some(LimitedUnit::Flops)
        } else if over(self.calls, total.calls) {
            Some(LimitedUnit::Calls)
        } else {
            None
        }
    }
}

/// What a reservation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// `sample`, `fusion`, `judge`, `agent`, `confirmation`.
    pub kind: String,
    /// The model's name in the pipeline.
    pub model: String,
}

/// An open reservation. Must be settled; one that is open when its process dies counts as spent in full.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) id: i64,
    pub(crate) amounts: Amounts,
}

/// How a reserved call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// What it really took.
    pub amounts: Amounts,
    /// Tokens and calls as billed.
    pub usage: Usage,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// What a study spent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpendTotals {
    /// Settled and lost amounts.
    pub amounts: Amounts,
    /// Billed tokens and calls; lost reservations count as prompt tokens.
    pub usage: Usage,
    /// By kind: usage, and samples stored.
    pub by_kind: BTreeMap<String, (Usage, u64)>,
    /// Tokens of lost reservations.
    pub lost_tokens: u64,
}

pub(crate) fn open(
    connection: &Connection,
    study: i64,
    purpose: &Purpose,
    amounts: &Amounts,
) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO ledger (study, kind, model, state, tokens, usd, flops, calls)
         VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?7)",
    )?;
    Ok(statement.insert(params![
        study,
        purpose.kind,
        purpose.model,
        amounts.tokens.cast_signed(),
        amounts.usd.0.to_string(),
        amounts.flops.0.to_string(),
        amounts.calls.cast_signed(),
    ])?)
}

/// Raises what an open reservation holds.
pub(crate) fn grow(connection: &Connection, id: i64, amounts: &Amounts) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE ledger SET tokens = ?2, usd = ?3, flops = ?4, calls = ?5 WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![
            id,
            amounts.tokens.cast_signed(),
            amounts.usd.0.to_string(),
            amounts.flops.0.to_string(),
            amounts.calls.cast_signed(),
        ])?;
    opened(id, changed)
}

pub(crate) fn settle(
    connection: &Connection,
    id: i64,
    settlement: &Settlement,
    samples: usize,
) -> Result<(), StoreError> {
    let Settlement { amounts, usage, error } = settlement;
    let changed = connection
        .prepare_cached(
            "UPDATE ledger SET state = 'settled', tokens = ?2, usd = ?3, flops = ?4, calls = ?5, prompt = ?6,
                    cached_prompt = ?7, decode = ?8, samples = ?9, error = ?10
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![
            id,
            amounts.tokens.cast_signed(),
            amounts.usd.0.to_string(),
            amounts.flops.0.to_string(),
            amounts.calls.cast_signed(),
            usage.prompt.cast_signed(),
            usage.cached_prompt.cast_signed(),
            usage.decode.cast_signed(),
            samples as i64,
            error,
        ])?;
    opened(id, changed)
}

fn opened(id: i64, changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::new(StoreErrorKind::BadContent, format!("reservation {id} is not open")))
    }
}

/// Counts reservations that a dead process left open as spent.
pub(crate) fn mark_lost(connection: &Connection, study: i64) -> Result<usize, StoreError> {
    Ok(connection.execute("UPDATE ledger SET state = 'lost' WHERE study = ?1 AND state = 'open'", [study])?)
}

pub(crate) fn totals(connection: &Connection, study: i64) -> Result<SpendTotals, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, state, tokens, usd, flops, calls, prompt, cached_prompt, decode, samples
         FROM ledger WHERE study = ?1 AND state IN ('settled', 'lost')",
    )?;
    let mut rows = statement.query([study])?;
    let mut totals = SpendTotals::default();
    while let Some(row) = rows.next()? {
        let number = |i| row.get::<_, i64>(i).map(i64::cast_unsigned);
        let amounts =
            Amounts { tokens: number(2)?, usd: cost(row.get(3)?)?, flops: cost(row.get(4)?)?, calls: number(5)? };
        let lost = row.get_ref(1)?.as_str().is_ok_and(|s| s == "lost");
        let usage = if lost {
            totals.lost_tokens += amounts.tokens;
            Usage { prompt: amounts.tokens, cached_prompt: 0, decode: 0, calls: amounts.calls }
        } else {
            Usage { prompt: number(6)?, cached_prompt: number(7)?, decode: number(8)?, calls: amounts.calls }
        };
        totals.amounts = totals.amounts.plus(amounts);
        totals.usage += usage;
        let kind = totals.by_kind.entry(row.get(0)?).or_default();
        kind.0 += usage;
        kind.1 += number(9)?;
    }
    Ok(totals)
}

fn cost(text: String) -> Result<Cost, StoreError> {
    text.parse()
        .map(Cost)
        .map_err(|_| StoreError::new(StoreErrorKind::BadContent, format!("{text:?} is not an amount")))
}
