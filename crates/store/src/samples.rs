//! The sample bank: draws under (request, stream, index), never overwritten.

use agenttts_core::{Draw, Finish, ModelIdentity, Request, RequestKey};
use rusqlite::{Connection, ErrorCode, Row, params};

use crate::error::{StoreError, StoreErrorKind};
use crate::texts;

/// A stored sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its id.
    pub id: i64,
    /// Its index within its stream.
    pub index: u32,
    /// The draw.
    pub draw: Draw,
}

/// What drawing a stored sample took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// The sample's id.
    pub id: i64,
    /// Tokens of the whole prompt.
    pub prompt_tokens: u32,
    /// Tokens decoded.
    pub decode_tokens: u32,
    /// Time from the start of the call to the end of the draw, in microseconds.
    pub latency_us: u64,
    /// The most samples that shared one prompt; 0 = no limit.
    pub prompt_shared_by: u32,
}

/// A sample to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSample {
    /// Its index within the stream.
    pub index: u32,
    /// The draw.
    pub draw: Draw,
    /// What the provider reported of its weights.
    pub fingerprint: Option<String>,
}

/// Where new samples belong.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleHome {
    /// The request's key.
    pub key: RequestKey,
    /// The stream.
    pub stream: u64,
    /// Which weights drew them.
    pub identity: ModelIdentity,
    /// What was asked.
    pub request: Request,
}

/// The samples of a request with an index below `n`, in order of index; there may be gaps.
pub(crate) fn read(connection: &Connection, key: &RequestKey, stream: u64, n: u32) -> Result<Vec<Sample>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, idx, iif(long IS NULL, short, long), finish, prompt_tokens, decode_tokens, latency_us, prompt_shared_by
         FROM samples WHERE key = ?1 AND stream = ?2 AND idx < ?3 ORDER BY idx",
    )?;
    let mut rows = statement.query(params![&key.0[..], stream.cast_signed(), n])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(sample(connection, row)?);
    }
    Ok(found)
}

/// A sample of a row of id, idx, text or its number, finish, prompt_tokens, decode_tokens, latency_us and prompt_shared_by.
pub(crate) fn sample(connection: &Connection, row: &Row<'_>) -> Result<Sample, StoreError> {
    Ok(Sample {
        id: row.get(0)?,
        index: row.get(1)?,
        draw: Draw {
            text: texts::cell(connection, row, 2)?,
            finish: match row.get::<_, String>(3)?.as_str() {
                "stop" => Finish::Stop,
                "length" => Finish::Length,
                _ => Finish::Other,
            },
            prompt_tokens: row.get(4)?,
            decode_tokens: row.get(5)?,
            latency_us: row.get::<_, i64>(6)?.cast_unsigned(),
            prompt_shared_by: row.get(7)?,
        },
    })
}

/// How many samples of a request a stream holds.
pub(crate) fn count(connection: &Connection, key: &RequestKey, stream: u64) -> Result<u32, StoreError> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM samples WHERE key = ?1 AND stream = ?2")?;
    Ok(statement.query_row(params![&key.0[..], stream.cast_signed()], |row| row.get(0))?)
}

/// How many samples of a request a stream holds with an id below this one.
pub(crate) fn count_before(connection: &Connection, key: &RequestKey, stream: u64, id: i64) -> Result<u32, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM samples WHERE key = ?1 AND stream = ?2 AND id < ?3")?;
    Ok(statement.query_row(params![&key.0[..], stream.cast_signed(), id], |row| row.get(0))?)
}

/// The requests of which a stream holds samples.
pub(crate) fn requests_in(connection: &Connection, stream: u64) -> Result<Vec<(RequestKey, Request)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT key, request FROM requests WHERE key IN (SELECT key FROM samples WHERE stream = ?1)")?;
    let mut rows = statement.query([stream.cast_signed()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((RequestKey(row.get(0)?), serde_json::from_str(&texts::cell(connection, row, 1)?)?));
    }
    Ok(found)
}

/// What drawing these samples took, in the order of their ids; ids that are not there are left out.
pub(crate) fn takings(connection: &Connection, ids: &[i64]) -> Result<Vec<Taking>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, prompt_tokens, decode_tokens, latency_us, prompt_shared_by FROM samples
         WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
    )?;
    let rows = statement.query_map([serde_json::to_string(ids)?], |row| {
        Ok(Taking {
            id: row.get(0)?,
            prompt_tokens: row.get(1)?,
            decode_tokens: row.get(2)?,
            latency_us: row.get::<_, i64>(3)?.cast_unsigned(),
            prompt_shared_by: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores samples; their ids, in order.
pub(crate) fn insert(
    connection: &Connection,
    home: &SampleHome,
    samples: &[NewSample],
) -> Result<Vec<i64>, StoreError> {
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    put_request(connection, home)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO samples (key, stream, idx, short, finish, prompt_tokens, decode_tokens, latency_us,
                              prompt_shared_by, fingerprint, long)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut ids = Vec::with_capacity(samples.len());
    for sample in samples {
        let draw = &sample.draw;
        let text = draw.text.as_str();
        let (short, long) = match text.len() {
            texts::LONG.. => ("", Some(texts::put(connection, text.as_bytes())?)),
            _ => (text, None),
        };
        let inserted = statement.insert(params![
            &home.key.0[..],
            home.stream.cast_signed(),
            sample.index,
            short,
            draw.finish.name(),
            draw.prompt_tokens,
            draw.decode_tokens,
            draw.latency_us.cast_signed(),
            draw.prompt_shared_by,
            sample.fingerprint,
            long,
        ]);
        match inserted {
            Ok(id) => ids.push(id),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let detail = format!("index {} of {} in stream {}", sample.index, home.key, home.stream);
                return Err(StoreError::new(StoreErrorKind::SampleTaken, detail));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ids)
}

/// Stores what was asked where it is not there yet.
fn put_request(connection: &Connection, home: &SampleHome) -> Result<(), StoreError> {
    let key = &home.key.0[..];
    if connection.prepare_cached("SELECT 1 FROM requests WHERE key = ?1")?.exists([key])? {
        return Ok(());
    }
    let request = texts::put(connection, &serde_json::to_vec(&home.request)?)?;
    connection
        .prepare_cached("INSERT INTO requests (key, model, revision, request) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key, home.identity.model, home.identity.revision, request])?;
    Ok(())
}
