//! The schema and its versions.
//!
//! Policy: `user_version` is the schema's number and only grows. Every change is a new migration at the end of the list;
//! those that were released are never edited. A program migrates older stores when it opens them and refuses newer ones,
//! so a store never goes back. JSON columns have formats of their own, with versions inside.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{StoreError, StoreErrorKind};
use crate::{lock, seal, texts};

/// "agTT": marks the file as ours.
const APPLICATION_ID: i64 = 0x6167_5454;

const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("schema/1.sql"), then: None },
    Migration { sql: include_str!("schema/2.sql"), then: Some(seal::note_earlier) },
    Migration { sql: include_str!("schema/3.sql"), then: Some(texts::pack_earlier) },
];

/// The first version that packs texts.
pub(crate) const PACKED: i64 = 3;

/// How long a connection waits for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it waits for one that migrates the store.
const LONGEST_MIGRATION: Duration = Duration::from_secs(1_800);

/// A step from one version to the next.
struct Migration {
    sql: &'static str,
    /// What brings the rows along, where SQL alone cannot.
    then: Option<Rewrite>,
}

type Rewrite = fn(&Connection) -> Result<(), StoreError>;

/// The newest schema that this program knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Refuses files that SQLite would overwrite: it takes a file of less than a page for an empty database.
pub(crate) fn check_header(path: &Path) -> Result<(), StoreError> {
    const HEADER: &[u8; 16] = b"SQLite format 3\0";
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut start = Vec::new();
    file.by_ref().take(HEADER.len() as u64).read_to_end(&mut start)?;
    if start.is_empty() || start == HEADER {
        Ok(())
    } else {
        Err(StoreError::new(StoreErrorKind::NotAStore, "it is no SQLite database"))
    }
}

/// Settings of every connection.
pub(crate) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(())
}

/// Makes sure that the file is a store of a known version, and brings it up to date.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    if version(connection)? == SCHEMA_VERSION && journal(connection)? == "wal" {
        return Ok(());
    }
    migrate(connection)?;
    use_log(connection)
}

/// Brings the schema up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Several processes may open a new or an older store at once: whoever comes first migrates it, and the version is
    // read again under the lock. A large store takes a while.
    connection.busy_timeout(LONGEST_MIGRATION)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if (1..SCHEMA_VERSION).contains(&found) {
        refuse_while_run(&transaction)?;
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(migration.sql)?;
        if let Some(then) = migration.then {
            then(&transaction)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    connection.busy_timeout(PATIENCE)?;
    Ok(())
}

/// A program that runs a study knows the schema that it opened: it would fail, and what its calls under way were paid for would
/// be lost.
fn refuse_while_run(connection: &Connection) -> Result<(), StoreError> {
    let Some(file) = connection.path().and_then(|path| std::fs::canonicalize(path).ok()) else { return Ok(()) };
    let mut names = connection.prepare("SELECT name FROM studies")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    match names.iter().find(|name| lock::is_held(&file, name)) {
        Some(name) => {
            let detail = format!("it is of an earlier program, by which the study {name} is run just now");
            Err(StoreError::new(StoreErrorKind::Busy, detail))
        }
        None => Ok(()),
    }
}

/// The version of the store's schema, 0 for an empty file.
pub(crate) fn version(connection: &Connection) -> Result<i64, StoreError> {
    // One statement, so that another process cannot migrate in between.
    let (id, version, tables): (i64, i64, i64) = connection.query_row(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
         FROM pragma_application_id, pragma_user_version",
        [],
        |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
    )?;
    if id != APPLICATION_ID && (tables > 0 || version != 0) {
        return Err(StoreError::new(StoreErrorKind::NotAStore, "it is a database of another program"));
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::new(StoreErrorKind::Newer { found: version, known: SCHEMA_VERSION }, ""));
    }
    Ok(version)
}

fn journal(connection: &Connection) -> Result<String, StoreError> {
    Ok(connection.pragma_query_value(None, "journal_mode", |r| r.get(0))?)
}

/// Turns the write-ahead log on. The change needs the file for itself and is refused at once, not after the busy
/// timeout, while another process makes it: it is tried again until one of them has.
fn use_log(connection: &Connection) -> Result<(), StoreError> {
    const TRIES: u32 = 500;
    for tried in 1.. {
        match connection.pragma_update(None, "journal_mode", "WAL").map_err(StoreError::from) {
            Err(error) if error.kind == StoreErrorKind::Busy && tried < TRIES => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
    Ok(())
}
