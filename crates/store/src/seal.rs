//! The seal of test examples: which of them a final test has opened. Examples are told by their content, so that another
//! file, order or numbering makes no fresh examples of used ones.

use std::collections::BTreeMap;

use agenttts_core::pipeline::Snapshot;
use agenttts_core::{ExampleDigests, UsedBefore};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::error::StoreError;

/// A final test that is about to open its examples.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTest {
    /// The plan that is tested, as JSON.
    pub plan: String,
    /// The loss of the objective that does not matter, as it is fixed now.
    pub margin: f64,
    /// Milliseconds since 1970.
    pub opened_ms: i64,
    /// The examples.
    pub examples: Vec<ExampleDigests>,
}

/// A final test that has opened its examples.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenedTest {
    /// Its number: tests that were opened later have higher ones.
    pub id: i64,
    /// The plan that was tested, as JSON.
    pub plan: String,
    /// The margin that was fixed before; programs of schema 1 did not note it.
    pub margin: Option<f64>,
    /// When it opened its examples, in milliseconds since 1970.
    pub opened_ms: i64,
}

/// Examples that earlier tests had opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// How many of the examples that were asked about.
    pub examples: u32,
    /// By which tests, oldest first.
    pub by: Vec<UsedBefore>,
}

/// Notes that a study's test opens its examples. A test that was opened before, of the same study and plan, stays as it is.
pub(crate) fn open(connection: &Connection, study: i64, test: &NewTest) -> Result<(), StoreError> {
    let known = "SELECT 1 FROM tests WHERE study = ?1 AND plan = ?2";
    if connection.query_row(known, params![study, test.plan], |_| Ok(())).optional()?.is_some() {
        return Ok(());
    }
    insert(connection, study, (&test.plan, Some(test.margin), test.opened_ms), &test.examples)
}

fn insert(
    connection: &Connection,
    study: i64,
    (plan, margin, opened_ms): (&str, Option<f64>, i64),
    examples: &[ExampleDigests],
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO tests (study, plan, margin, opened_ms) VALUES (?1, ?2, ?3, ?4)",
        params![study, plan, margin, opened_ms],
    )?;
    let test = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO tested (example, test) VALUES (?1, ?2)")?;
    for digest in examples.iter().flatten() {
        statement.execute(params![&digest[..], test])?;
    }
    Ok(())
}

/// The tests of a study, oldest first.
pub(crate) fn of_study(connection: &Connection, study: i64) -> Result<Vec<OpenedTest>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, plan, margin, opened_ms FROM tests WHERE study = ?1 ORDER BY id")?;
    let test = |row: &rusqlite::Row<'_>| {
        Ok(OpenedTest { id: row.get(0)?, plan: row.get(1)?, margin: row.get(2)?, opened_ms: row.get(3)? })
    };
    Ok(statement.query_map([study], test)?.collect::<Result<_, _>>()?)
}

/// Which of these examples were opened by tests before the one of this number; of all tests where there is none.
pub(crate) fn opened(
    connection: &Connection,
    examples: &[ExampleDigests],
    before: Option<i64>,
) -> Result<Opened, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT test FROM tested WHERE example IN (?1, ?2) AND test < ?3")?;
    let mut opened = Opened::default();
    let mut by: BTreeMap<i64, u32> = BTreeMap::new();
    for [content, whole] in examples {
        let tests = statement.query_map(params![&content[..], &whole[..], before.unwrap_or(i64::MAX)], |r| r.get(0))?;
        let tests: Vec<i64> = tests.collect::<Result<_, _>>()?;
        opened.examples += u32::from(!tests.is_empty());
        for test in tests {
            *by.entry(test).or_default() += 1;
        }
    }
    let mut named = connection
        .prepare_cached("SELECT s.name, t.opened_ms FROM tests t JOIN studies s ON s.id = t.study WHERE t.id = ?1")?;
    for (test, examples) in by {
        let used =
            named.query_row([test], |row| Ok(UsedBefore { study: row.get(0)?, opened_ms: row.get(1)?, examples }))?;
        opened.by.push(used);
    }
    Ok(opened)
}

/// Notes the tests of studies that ended before tests were noted. When they opened their examples is not known to the
/// minute: the time is that at which the study had run for as long as it did.
pub(crate) fn note_earlier(connection: &Connection) -> Result<(), StoreError> {
    type Ended = (i64, String, String, i64);
    let ended: Vec<Ended> = {
        let mut statement = connection.prepare(
            "SELECT id, snapshot, result, started_ms + elapsed_ms FROM studies WHERE result IS NOT NULL ORDER BY id",
        )?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        statement.query_map([], row)?.collect::<Result<_, _>>()?
    };
    for (study, snapshot, result, ms) in ended {
        // What cannot be read is told by whoever wants to read it; it must not keep the store from being opened.
        let Ok(result) = serde_json::from_str::<Value>(&result) else { continue };
        if result["confirmation"].is_null() {
            continue;
        }
        let Ok(snapshot) = serde_json::from_str::<Snapshot>(&snapshot) else { continue };
        let Ok(examples) = snapshot.test_digests() else { continue };
        insert(connection, study, (&result["recommended"]["plan"].to_string(), None, ms), &examples)?;
    }
    Ok(())
}
