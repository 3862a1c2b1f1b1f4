//! Changing a store's file as a whole: making it small, and bringing it to the newest schema.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{bytes, look};
use crate::error::{StoreError, StoreErrorKind};
use crate::schema::{self, SCHEMA_VERSION};

/// Makes a store's file as small as it can be, and its log empty; bytes before and after. Takes as much free space as the
/// file has meanwhile.
///
/// # Errors
/// A file that is no store of a known schema, or that another process holds; a full disk.
pub fn vacuum(path: &Path) -> Result<(u64, u64), StoreError> {
    let at = |e: StoreError| e.at(path);
    std::fs::metadata(path).map_err(|e| at(e.into()))?;
    look(path).map_err(at)?;
    let before = bytes(path);
    let sql = write(path).map_err(at)?;
    let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = sql.query_row(fold, [], |row| row.get(0)).map_err(|e| at(e.into()))?;
    if busy != 0 {
        return Err(at(StoreError::new(StoreErrorKind::Busy, "its log is in use")));
    }
    sql.execute_batch("VACUUM").map_err(|e| at(e.into()))?;
    sql.query_row(fold, [], |_| Ok(())).map_err(|e| at(e.into()))?;
    Ok((before, bytes(path)))
}

/// A store that was brought to the newest schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The schema that it had.
    pub from: i64,
    /// The schema that it has.
    pub to: i64,
    /// The copy of the store as it was; none where nothing had to be done.
    pub backup: Option<PathBuf>,
}

/// Brings a store to the newest schema, after copying it: to `backup`, or beside it under the name of its schema.
///
/// # Errors
/// A file that is no store, or of a newer schema; a copy that is there already or cannot be written. The store is only
/// touched once the copy is whole.
pub fn migrate(path: &Path, backup: Option<&Path>) -> Result<Migration, StoreError> {
    let at = |e: StoreError| e.at(path);
    std::fs::metadata(path).map_err(|e| at(e.into()))?;
    let (sql, from) = look(path).map_err(at)?;
    if from == SCHEMA_VERSION {
        return Ok(Migration { from, to: from, backup: None });
    }
    let copy = match backup {
        Some(file) => file.to_owned(),
        None => path.with_extension(format!("schema{from}.db")),
    };
    if copy.exists() {
        let detail = format!("the copy {} is there already", copy.display());
        return Err(at(StoreError::new(StoreErrorKind::Other, detail)));
    }
    let name = copy.to_string_lossy().into_owned();
    sql.execute("VACUUM INTO ?1", [name]).map_err(|e| StoreError::from(e).at(&copy))?;
    drop(sql);
    let mut sql = write(path).map_err(at)?;
    schema::prepare(&mut sql).map_err(at)?;
    Ok(Migration { from, to: SCHEMA_VERSION, backup: Some(copy) })
}

fn write(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    schema::configure(&sql)?;
    Ok(sql)
}
