//! Looking after a store's file: verifying, shrinking, migrating and exporting it. Not for stores that are written to
//! meanwhile, though nothing here harms one that is.

mod export;
mod hold;
mod parquet;
mod shrink;
mod verify;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::schema;

pub use export::{ExportFormat, Exported, export};
pub use shrink::{Migration, migrate, vacuum};
pub use verify::{Fault, Verdict, verify};

/// Opens a store to look at it, whatever its schema: nothing is made, migrated or written.
fn look(path: &Path) -> Result<(Connection, i64), StoreError> {
    schema::check_header(path)?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    schema::configure(&connection)?;
    let version = schema::version(&connection)?;
    Ok((connection, version))
}

/// The bytes of a store: its file and its log.
fn bytes(path: &Path) -> u64 {
    let log = {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        std::path::PathBuf::from(name)
    };
    [path, &log].iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum()
}
