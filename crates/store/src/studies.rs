//! Studies and their archives.

use std::collections::BTreeMap;

use agenttts_core::{Archive, Exchange, Guideline, StudyState, Trial};
use rusqlite::{Connection, OptionalExtension, Row, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{StoreError, StoreErrorKind};

/// What a study begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStudy {
    /// Its name, unique in the store; the first free `BASE-1`, `BASE-2`, ... where absent.
    pub name: Option<String>,
    /// The pipeline's name: the base of chosen names.
    pub pipeline: String,
    /// The pipeline's snapshot, as JSON with a version of its own.
    pub snapshot: String,
    /// The search's settings, as JSON with a version of their own.
    pub settings: String,
    /// Milliseconds since 1970.
    pub started_ms: i64,
}

/// A study's row.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyRow {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's snapshot.
    pub snapshot: String,
    /// The search's settings.
    pub settings: String,
    /// Where it stands.
    pub state: StudyState,
    /// Why it stopped.
    pub stop_reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Wall-clock milliseconds over all sessions.
    pub elapsed_ms: i64,
    /// What came out at the end, as JSON with a version of its own.
    pub result: Option<String>,
}

/// What a list of studies says of each: a row without its snapshot, which holds all the study's data.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyHead {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The search's settings.
    pub settings: String,
    /// Where it stands.
    pub state: StudyState,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
}

/// What a trial did with one example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleOutcome {
    /// The example's id.
    pub example: String,
    /// Its place in the split, from 0; older studies do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The objective.
    pub objective: f64,
    /// What one such query costs, in units of the study's cost model.
    pub cost: f64,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The stage of which the model could not be had, where that is why; older studies do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether nothing was tried because it had failed too often.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// Every stage that it reached.
    pub stages: Vec<StageOutcome>,
    /// The steps that gave an output, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<String, StepOutcome>,
}

/// What a step gave for one example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepOutcome {
    /// The output.
    pub output: Value,
    /// Seconds that it took; 0 where the answer was known already.
    pub seconds: f64,
}

/// What a stage did with one example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageOutcome {
    /// The output.
    pub output: Option<Value>,
    /// The metric.
    pub score: Option<f64>,
    /// The share of samples that agree with the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<f64>,
    /// Ids of the samples, in order; none of a stage that runs for items.
    pub samples: Vec<i64>,
    /// Id of the fusion's or judge's sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined: Option<i64>,
    /// The runs of a stage that runs for items; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<ItemOutcome>>,
    /// Whether its condition kept it from running; `output` may then be absent though nothing failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// What a stage drew for one item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemOutcome {
    /// The share of samples that agree with the item's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<f64>,
    /// Ids of the samples, in order.
    pub samples: Vec<i64>,
    /// Id of the fusion's or judge's sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined: Option<i64>,
}

impl StageOutcome {
    /// The samples and the combined one of every run: one as a rule, none of a stage that did not run, one for each item.
    pub fn runs(&self) -> Vec<(&[i64], Option<i64>)> {
        match &self.items {
            Some(items) => items.iter().map(|item| (item.samples.as_slice(), item.combined)).collect(),
            None if self.samples.is_empty() => Vec::new(),
            None => vec![(self.samples.as_slice(), self.combined)],
        }
    }
}

const COLUMNS: &str = "id, name, pipeline, snapshot, settings, state, stop_reason, started_ms, elapsed_ms, result";

pub(crate) fn create(connection: &Connection, new: &NewStudy) -> Result<(i64, String), StoreError> {
    let taken = |name: &str| -> Result<bool, StoreError> {
        Ok(connection.query_row("SELECT 1 FROM studies WHERE name = ?1", [name], |_| Ok(())).optional()?.is_some())
    };
    let name = match &new.name {
        Some(name) if !is_name(name) => {
            let detail = format!("{name:?} cannot be the name of a study: it must be 1 to 100 plain characters");
            return Err(StoreError::new(StoreErrorKind::BadName, detail));
        }
        Some(name) if taken(name)? => {
            let detail = format!("there is a study {name:?} already");
            return Err(StoreError::new(StoreErrorKind::NameTaken, detail));
        }
        Some(name) => name.clone(),
        None => {
            let mut number = 1;
            while taken(&format!("{}-{number}", new.pipeline))? {
                number += 1;
            }
            format!("{}-{number}", new.pipeline)
        }
    };
    connection.execute(
        "INSERT INTO studies (name, pipeline, snapshot, settings, state, started_ms)
         VALUES (?1, ?2, ?3, ?4, 'running', ?5)",
        params![name, new.pipeline, new.snapshot, new.settings, new.started_ms],
    )?;
    Ok((connection.last_insert_rowid(), name))
}

/// Names of studies are also names of lock files.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && name.len() <= 100
}

/// The study of that name, or the only one whose name begins so.
pub(crate) fn find(connection: &Connection, name: &str) -> Result<StudyRow, StoreError> {
    let exact = connection
        .query_row(&format!("SELECT {COLUMNS} FROM studies WHERE name = ?1"), [name], study_row)
        .optional()?;
    if let Some(row) = exact {
        return row;
    }
    let escaped = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM studies WHERE name LIKE ?1 ESCAPE '\\' ORDER BY id"))?;
    let mut found: Vec<StudyRow> =
        statement.query_map([format!("{escaped}%")], study_row)?.map(|r| r?).collect::<Result<_, _>>()?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let names: Vec<String> = found.into_iter().chain([last]).map(|s| s.name).collect();
            let detail = format!("{name:?} could be any of {}", names.join(", "));
            Err(StoreError::new(StoreErrorKind::NoStudy, detail))
        }
        (None, _) => Err(StoreError::new(StoreErrorKind::NoStudy, format!("there is no study {name:?}"))),
    }
}

pub(crate) fn list(connection: &Connection) -> Result<Vec<StudyRow>, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM studies ORDER BY id"))?;
    statement.query_map([], study_row)?.map(|r| r?).collect()
}

pub(crate) fn heads(connection: &Connection) -> Result<Vec<StudyHead>, StoreError> {
    let mut statement =
        connection.prepare("SELECT id, name, pipeline, settings, state, started_ms FROM studies ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(StudyHead {
            id: row.get(0)?,
            name: row.get(1)?,
            pipeline: row.get(2)?,
            settings: row.get(3)?,
            state: state(row.get(4)?)?,
            started_ms: row.get(5)?,
        });
    }
    Ok(heads)
}

pub(crate) fn state(name: String) -> Result<StudyState, StoreError> {
    Ok(serde_json::from_value(Value::String(name))?)
}

fn study_row(row: &Row<'_>) -> rusqlite::Result<Result<StudyRow, StoreError>> {
    let state = match state(row.get(5)?) {
        Ok(state) => state,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(StudyRow {
        id: row.get(0)?,
        name: row.get(1)?,
        pipeline: row.get(2)?,
        snapshot: row.get(3)?,
        settings: row.get(4)?,
        state,
        stop_reason: row.get(6)?,
        started_ms: row.get(7)?,
        elapsed_ms: row.get(8)?,
        result: row.get(9)?,
    }))
}

pub(crate) fn set_state(
    connection: &Connection,
    study: i64,
    state: StudyState,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let state = serde_json::to_value(state)?;
    connection.execute(
        "UPDATE studies SET state = ?2, stop_reason = ?3 WHERE id = ?1",
        params![study, state.as_str().unwrap_or_default(), reason],
    )?;
    Ok(())
}

pub(crate) fn put_trial(connection: &Connection, study: i64, trial: &Trial) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO trials (study, number, trial) VALUES (?1, ?2, ?3)
             ON CONFLICT (study, number) DO UPDATE SET trial = excluded.trial",
        )?
        .execute(params![study, trial.number, serde_json::to_string(trial)?])?;
    Ok(())
}

/// Forgets what a trial did, which is to be run again.
pub(crate) fn drop_outcomes(connection: &Connection, study: i64, trial: u32) -> Result<(), StoreError> {
    connection.execute("DELETE FROM outcomes WHERE study = ?1 AND trial = ?2", params![study, trial])?;
    Ok(())
}

pub(crate) fn put_outcomes(
    connection: &Connection,
    study: i64,
    trial: u32,
    outcomes: &[ExampleOutcome],
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO outcomes (study, trial, example, objective, outcome) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for outcome in outcomes {
        let json = serde_json::to_string(outcome)?;
        statement.execute(params![study, trial, outcome.example, outcome.objective, json])?;
    }
    Ok(())
}

pub(crate) fn outcomes(connection: &Connection, study: i64, trial: u32) -> Result<Vec<ExampleOutcome>, StoreError> {
    json_rows(
        connection,
        "SELECT outcome FROM outcomes WHERE study = ?1 AND trial = ?2 ORDER BY example",
        params![study, trial],
    )
}

pub(crate) fn append_guideline(connection: &Connection, study: i64, guideline: &Guideline) -> Result<(), StoreError> {
    append(connection, study, ("guidelines", "guideline"), guideline)
}

pub(crate) fn append_exchange(connection: &Connection, study: i64, exchange: &Exchange) -> Result<(), StoreError> {
    append(connection, study, ("exchanges", "exchange"), exchange)
}

/// Adds a row of JSON after the study's last one.
fn append(
    connection: &Connection,
    study: i64,
    (table, column): (&str, &str),
    value: &impl Serialize,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO {table} (study, seq, {column})
         VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM {table} WHERE study = ?1), ?2)"
    );
    connection.prepare_cached(&sql)?.execute(params![study, serde_json::to_string(value)?])?;
    Ok(())
}

pub(crate) fn append_event(connection: &Connection, study: i64, ms: i64, event: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO events (study, seq, ms, event)
             VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE study = ?1), ?2, ?3)",
        )?
        .execute(params![study, ms, event])?;
    Ok(())
}

pub(crate) fn events(connection: &Connection, study: i64, after: i64) -> Result<Vec<(i64, i64, String)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT seq, ms, event FROM events WHERE study = ?1 AND seq > ?2 ORDER BY seq")?;
    let rows = statement.query_map([study, after], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn archive(connection: &Connection, study: i64) -> Result<Archive, StoreError> {
    let all = params![study];
    Ok(Archive {
        trials: trials(connection, study)?,
        guidelines: json_rows(connection, "SELECT guideline FROM guidelines WHERE study = ?1 ORDER BY seq", all)?,
        exchanges: json_rows(connection, "SELECT exchange FROM exchanges WHERE study = ?1 ORDER BY seq", all)?,
    })
}

pub(crate) fn trials(connection: &Connection, study: i64) -> Result<Vec<Trial>, StoreError> {
    json_rows(connection, "SELECT trial FROM trials WHERE study = ?1 ORDER BY number", params![study])
}

pub(crate) fn json_rows<T: for<'de> Deserialize<'de>>(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(|e| StoreError::new(StoreErrorKind::BadContent, e.to_string()))?;
        all.push(serde_json::from_str(text)?);
    }
    Ok(all)
}
