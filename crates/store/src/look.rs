//! Looking at what is stored piece by piece, for views that must stay quick with very many trials and samples.

use agenttts_core::{Guideline, Request, RequestKey, StudyState, Trial, UnderWay};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{StoreError, StoreErrorKind};
use crate::samples::Sample;
use crate::studies::{self, ExampleOutcome, json_rows};
use crate::{Store, lock, samples, texts};

/// What a list of studies says of each without reading its trials.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyGlance {
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
    /// Why it stopped.
    pub stop_reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Wall-clock milliseconds over all sessions, as last noted.
    pub elapsed_ms: i64,
    /// Trials proposed.
    pub trials: u32,
    /// The number of its last event; 0 without any.
    pub last_event: i64,
}

/// A stored event: number, milliseconds since 1970, JSON.
pub type StoredEvent = (i64, i64, String);

/// A stored sample, with what was asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnSample {
    /// The sample.
    pub sample: Sample,
    /// The key of what was asked.
    pub request: RequestKey,
}

impl Store {
    /// A glance at every study, oldest first.
    pub fn glances(&self) -> Result<Vec<StudyGlance>, StoreError> {
        self.look(glances)
    }

    /// Shows the JSON of at most `limit` trials from a number on, in order. Stops at the first error. The store cannot be read
    /// otherwise meanwhile.
    pub fn visit_trials(
        &self,
        study: i64,
        from: u32,
        limit: u32,
        visit: &mut dyn FnMut(&str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.look(|c| {
            let mut statement = c.prepare_cached(
                "SELECT trial FROM trials WHERE study = ?1 AND number >= ?2 ORDER BY number LIMIT ?3",
            )?;
            let mut rows = statement.query(params![study, from, limit])?;
            while let Some(row) = rows.next()? {
                let text = row.get_ref(0)?.as_str();
                visit(text.map_err(|e| StoreError::new(StoreErrorKind::BadContent, e.to_string()))?)?;
            }
            Ok(())
        })
    }

    /// The trials of these numbers, in order; numbers that are not there are left out.
    pub fn trials_of(&self, study: i64, numbers: &[u32]) -> Result<Vec<Trial>, StoreError> {
        let sql = "SELECT trial FROM trials WHERE study = ?1 AND number IN (SELECT value FROM json_each(?2))
                   ORDER BY number";
        self.look(|c| json_rows(c, sql, params![study, serde_json::to_string(numbers)?]))
    }

    /// The objective of every example of a trial, by example id.
    pub fn scores(&self, study: i64, trial: u32) -> Result<Vec<(String, f64)>, StoreError> {
        self.look(|c| {
            let mut statement = c.prepare_cached(
                "SELECT example, objective FROM outcomes WHERE study = ?1 AND trial = ?2 ORDER BY example",
            )?;
            let rows = statement.query_map(params![study, trial], |r| Ok((r.get(0)?, r.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What a trial did with one example.
    pub fn outcome(&self, study: i64, trial: u32, example: &str) -> Result<Option<ExampleOutcome>, StoreError> {
        let sql = "SELECT outcome FROM outcomes WHERE study = ?1 AND trial = ?2 AND example = ?3";
        self.look(|c| Ok(json_rows(c, sql, params![study, trial, example])?.pop()))
    }

    /// The samples of these ids, in the order of the ids; ids that are not there are left out.
    pub fn drawn(&self, ids: &[i64]) -> Result<Vec<DrawnSample>, StoreError> {
        self.look(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, idx, iif(long IS NULL, short, long), finish, prompt_tokens, decode_tokens, latency_us, prompt_shared_by, key
                 FROM samples WHERE id = ?1",
            )?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let mut rows = statement.query([id])?;
                if let Some(row) = rows.next()? {
                    found.push(DrawnSample { sample: samples::sample(c, row)?, request: RequestKey(row.get(8)?) });
                }
            }
            Ok(found)
        })
    }

    /// What was asked under a key.
    pub fn request(&self, key: &RequestKey) -> Result<Option<Request>, StoreError> {
        self.look(|c| {
            let mut statement = c.prepare_cached("SELECT request FROM requests WHERE key = ?1")?;
            let text = statement.query_row([&key.0[..]], |row| row.get(0)).optional()?;
            text.map(|id| Ok(serde_json::from_slice(&texts::get(c, id)?)?)).transpose()
        })
    }

    /// A study's guidelines, in the order in which they were written.
    pub fn guidelines(&self, study: i64) -> Result<Vec<Guideline>, StoreError> {
        let sql = "SELECT guideline FROM guidelines WHERE study = ?1 ORDER BY seq";
        self.look(|c| json_rows(c, sql, params![study]))
    }

    /// At most `limit` events of a study after a sequence number.
    pub fn events_after(&self, study: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = "SELECT seq, ms, event FROM events WHERE study = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        self.look(|c| events(c, sql, params![study, after, limit]))
    }

    /// The last events of a study, the newest first.
    pub fn last_events(&self, study: i64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = "SELECT seq, ms, event FROM events WHERE study = ?1 ORDER BY seq DESC LIMIT ?2";
        self.look(|c| events(c, sql, params![study, limit]))
    }

    /// Whether a process runs this study now.
    pub fn is_run(&self, study: &str) -> bool {
        lock::is_held(&self.file, study)
    }

    /// How far the process that runs this study is with its trial or its final test, as it noted last; `None` where none runs it
    /// or nothing was noted yet.
    pub fn under_way(&self, study: &str) -> Option<UnderWay> {
        lock::under_way(&self.file, study).filter(|_| self.is_run(study))
    }

    /// Asks the process that runs a study to stop it as Ctrl-C does: it awaits the calls under way and keeps what they
    /// bring. False where none runs it.
    ///
    /// # Errors
    /// Where the request cannot be written beside the store.
    pub fn ask_to_stop(&self, study: &str) -> Result<bool, StoreError> {
        let runs = self.is_run(study);
        if runs {
            lock::ask_to_stop(&self.file, study)?;
        }
        Ok(runs)
    }

    fn look<T>(&self, see: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        see(&self.read()).map_err(|e| e.at(&self.path))
    }
}

fn glances(connection: &Connection) -> Result<Vec<StudyGlance>, StoreError> {
    // Trials are numbered without gaps: the last number is their count, and is found without reading them.
    let mut statement = connection.prepare_cached(
        "SELECT id, name, pipeline, settings, state, stop_reason, started_ms, elapsed_ms,
                coalesce((SELECT max(number) FROM trials WHERE study = studies.id), 0),
                coalesce((SELECT max(seq) FROM events WHERE study = studies.id), 0)
         FROM studies ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(StudyGlance {
            id: row.get(0)?,
            name: row.get(1)?,
            pipeline: row.get(2)?,
            settings: row.get(3)?,
            state: studies::state(row.get(4)?)?,
            stop_reason: row.get(5)?,
            started_ms: row.get(6)?,
            elapsed_ms: row.get(7)?,
            trials: row.get(8)?,
            last_event: row.get(9)?,
        });
    }
    Ok(found)
}

fn events(connection: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<StoredEvent>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
