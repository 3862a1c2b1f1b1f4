//! The schema and its versions.
//!
//! Policy: `user_version` is the schema's number and only grows. Every change is a new migration at the end of the list;
//! those that were released are never edited. A program migrates older stores when it opens them and refuses newer ones,
//! so a store never goes back. JSON columns have formats of their own, with versions inside.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::error::{StoreError, StoreErrorKind};

/// "agTT": marks the file as ours.
const APPLICATION_ID: i64 = 0x6167_5454;

const MIGRATIONS: &[M<'_>] = &[M::up(include_str!("schema/1.sql"))];

/// The newest schema that this program knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Settings of every connection.
pub(crate) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(())
}

/// Makes sure that the file is a store of a known version, and brings it up to date.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
    if id != APPLICATION_ID && (tables > 0 || version != 0) {
        return Err(StoreError::new(StoreErrorKind::NotAStore, "it is a database of another program"));
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::new(StoreErrorKind::Newer { found: version, known: SCHEMA_VERSION }, ""));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    if version < SCHEMA_VERSION {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
            other => StoreError::new(StoreErrorKind::Other, other.to_string()),
        })?;
    }
    Ok(())
}
