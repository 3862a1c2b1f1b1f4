//! Whether a store holds together.

use std::path::Path;

use rusqlite::Connection;

use super::{bytes, hold, look};
use crate::error::{StoreError, StoreErrorKind};
use crate::schema::{PACKED, SCHEMA_VERSION};

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// What verifying a store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The schema that the file has.
    pub schema: i64,
    /// Bytes of the file and its log.
    pub bytes: u64,
    /// Studies, requests, samples and calls of the ledger.
    pub counts: [u64; 4],
    /// What is wrong; the store holds together where this is empty.
    pub faults: Vec<Fault>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
}

/// Faults as they are found. Of each kind of place only the first are told.
#[derive(Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
    notes: Vec<String>,
    more: usize,
}

/// The most faults that are listed.
const MOST: usize = 50;

impl Faults {
    pub(super) fn add(&mut self, what: String, advice: &'static str) {
        if self.found.len() < MOST {
            self.found.push(Fault { what, advice });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Rows that there must be none of: the query counts them.
    pub(super) fn none(
        &mut self,
        sql: &Connection,
        query: &str,
        what: &str,
        advice: &'static str,
    ) -> Result<(), StoreError> {
        let count: i64 = sql.query_row(query, [], |row| row.get(0))?;
        if count > 0 {
            self.add(format!("{count} {what}"), advice);
        }
        Ok(())
    }
}

/// Verifies a store without changing it: SQLite's own structure, references between tables, the hashes of requests, that
/// every sample was paid for by a settled call, the sums of the ledger, and that everything stored can be read.
///
/// # Errors
/// A file that is not there, no store, or of a newer schema. What is wrong inside is part of the verdict.
pub fn verify(path: &Path) -> Result<Verdict, StoreError> {
    let at = |e: StoreError| e.at(path);
    std::fs::metadata(path).map_err(|e| at(e.into()))?;
    let mut faults = Faults::default();
    let mut verdict = Verdict { bytes: bytes(path), ..Verdict::default() };
    match look(path) {
        Ok((sql, schema)) => {
            verdict.schema = schema;
            match inspect(&sql, schema, &mut faults) {
                Ok(counts) => verdict.counts = counts,
                Err(error) if error.kind == StoreErrorKind::Corrupt => damaged(&error, &mut faults),
                // A row of another type than its column's, or bytes that are no text.
                Err(error) if matches!(error.kind, StoreErrorKind::Other | StoreErrorKind::BadContent) => {
                    damaged(&error, &mut faults)
                }
                Err(error) => return Err(at(error)),
            }
        }
        Err(error) if error.kind == StoreErrorKind::Corrupt => damaged(&error, &mut faults),
        Err(error) => return Err(at(error)),
    }
    if faults.more > 0 {
        faults.notes.push(format!("{} more faults are not listed", faults.more));
    }
    (verdict.faults, verdict.notes) = (faults.found, faults.notes);
    Ok(verdict)
}

fn damaged(error: &StoreError, faults: &mut Faults) {
    faults.add(format!("the file is damaged: {}", error.detail), DAMAGED);
}

const DAMAGED: &str = "restore it from a copy; `sqlite3 FILE .recover` may save what is left";

fn inspect(sql: &Connection, schema: i64, faults: &mut Faults) -> Result<[u64; 4], StoreError> {
    // All checks see one state of the store, whoever writes meanwhile.
    let sql = sql.unchecked_transaction()?;
    let mut integrity = sql.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = integrity.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            faults.add(format!("SQLite: {said}"), DAMAGED);
        }
    }
    if schema == 0 {
        faults.note("the store is empty".into());
        return Ok([0; 4]);
    }
    if schema < SCHEMA_VERSION {
        faults.note(format!("it has schema {schema}, this program's is {SCHEMA_VERSION}: `agenttts store migrate`"));
    }
    let mut references = sql.prepare("PRAGMA foreign_key_check")?;
    let mut rows = references.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        faults.add(format!("a row of {table} refers to {parent} that are not there"), DAMAGED);
    }
    if schema >= PACKED {
        hold::packed(&sql, faults)?;
    }
    hold::requests(&sql, schema >= PACKED, faults)?;
    hold::ledger(&sql, faults)?;
    hold::studies(&sql, faults)?;
    let count = |table: &str| -> Result<u64, StoreError> {
        let count: i64 = sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    };
    Ok([count("studies")?, count("requests")?, count("samples")?, count("ledger")?])
}
