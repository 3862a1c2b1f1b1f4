//! A store's tables in files that other programs read: one a table, as lines of JSON or as Parquet.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use super::{look, parquet};
use crate::error::{StoreError, StoreErrorKind};
use crate::schema::SCHEMA_VERSION;
use crate::texts;

/// The form of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Lines of JSON objects; what is stored as JSON stands in them as it is.
    Jsonl,
    /// Parquet; what is stored as JSON stands in it as text.
    Parquet,
}

/// A table that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its file.
    pub file: PathBuf,
    /// Its rows.
    pub rows: u64,
}

/// A table's column.
pub(super) struct Column {
    pub(super) name: String,
    /// Its cells, in SQL; a number in a column of text is that of a packed text.
    stored: String,
    pub(super) kind: Kind,
}

/// What a column holds. Keys are bytes, written as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    Json,
    Bytes,
}

/// Columns of text that hold JSON.
const JSON: [&str; 9] =
    ["plan", "snapshot", "settings", "result", "trial", "outcome", "guideline", "exchange", "event"];

/// Writes every table of a store into a file of its own in `folder`, which is made. All files show the store at one moment.
/// Packed texts are written out where they belong.
///
/// # Errors
/// A file that is no store of this program's schema, a folder that cannot be written, a damaged store.
pub fn export(path: &Path, folder: &Path, format: ExportFormat) -> Result<Vec<Exported>, StoreError> {
    let at = |e: StoreError| e.at(path);
    std::fs::metadata(path).map_err(|e| at(e.into()))?;
    let (sql, schema) = look(path).map_err(at)?;
    if schema != SCHEMA_VERSION {
        let detail = format!("it has schema {schema}, not {SCHEMA_VERSION}: run `agenttts store migrate` first");
        return Err(at(StoreError::new(StoreErrorKind::Other, detail)));
    }
    std::fs::create_dir_all(folder).map_err(|e| StoreError::from(e).at(folder))?;
    let sql = sql.unchecked_transaction().map_err(|e| at(e.into()))?;
    let mut written = Vec::new();
    for table in tables(&sql).map_err(at)? {
        let ending = match format {
            ExportFormat::Jsonl => "jsonl",
            ExportFormat::Parquet => "parquet",
        };
        let file = folder.join(format!("{table}.{ending}"));
        let rows = write(&sql, &table, &file, format).map_err(|e| if e.path.is_some() { e } else { at(e) })?;
        written.push(Exported { file, rows });
    }
    Ok(written)
}

fn tables(sql: &Connection) -> Result<Vec<String>, StoreError> {
    // What texts hold stands where they are referred to.
    let mut statement = sql.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('texts', 'beginnings') ORDER BY name",
    )?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn columns(sql: &Connection, table: &str) -> Result<Vec<Column>, StoreError> {
    let mut statement = sql.prepare("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid")?;
    let mut rows = statement.query([table])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        // Names come from the schema; quotes keep those apart that are words of SQL.
        let stored = format!("\"{name}\"");
        columns.push(match (table, name.as_str(), kind.as_str()) {
            // The other column's long texts.
            ("samples", "long", _) => continue,
            ("samples", "short", _) => {
                Column { name: "text".into(), stored: "iif(long IS NULL, short, long)".into(), kind: Kind::Text }
            }
            ("requests", "request", _) => Column { name, stored, kind: Kind::Json },
            (_, _, "INTEGER") => Column { name, stored, kind: Kind::Integer },
            (_, _, "REAL") => Column { name, stored, kind: Kind::Real },
            (_, _, "BLOB") => Column { name, stored, kind: Kind::Bytes },
            _ if JSON.contains(&name.as_str()) => Column { name, stored, kind: Kind::Json },
            _ => Column { name, stored, kind: Kind::Text },
        });
    }
    Ok(columns)
}

fn write(sql: &Connection, table: &str, path: &Path, format: ExportFormat) -> Result<u64, StoreError> {
    let columns = columns(sql, table)?;
    let list = columns.iter().map(|column| column.stored.as_str()).collect::<Vec<_>>().join(", ");
    let mut statement = sql.prepare(&format!("SELECT {list} FROM \"{table}\" ORDER BY 1, 2"))?;
    let mut rows = statement.query([])?;
    let file = File::create(path).map_err(|e| StoreError::from(e).at(path))?;
    if format == ExportFormat::Parquet {
        return parquet::write(sql, &mut rows, table, &columns, file).map_err(|e| e.at(path));
    }
    let mut out = BufWriter::new(file);
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let line = Value::Object(object(sql, row, &columns)?);
        writeln!(out, "{line}").map_err(|e| StoreError::from(e).at(path))?;
        count += 1;
    }
    out.flush().map_err(|e| StoreError::from(e).at(path))?;
    Ok(count)
}

fn object(sql: &Connection, row: &Row<'_>, columns: &[Column]) -> Result<Map<String, Value>, StoreError> {
    let mut object = Map::new();
    for (index, column) in columns.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) if column.kind == Kind::Integer => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Blob(bytes) => agenttts_core::text::hex(bytes).into(),
            ValueRef::Text(_) | ValueRef::Integer(_) => {
                let text = texts::cell(sql, row, index)?;
                match column.kind {
                    Kind::Json => serde_json::from_str(&text)?,
                    _ => text.into(),
                }
            }
        };
        object.insert(column.name.clone(), value);
    }
    Ok(object)
}
