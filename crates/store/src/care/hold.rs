//! What the parts of a store must have to do with each other.

use std::collections::HashSet;

use agenttts_core::{Exchange, Guideline, ModelIdentity, Request, RequestKey, Trial, TrialState};
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::verify::Faults;
use crate::error::{StoreError, StoreErrorKind};
use crate::studies::ExampleOutcome;
use crate::texts;

/// Every packed text can be unpacked, and is the one that was stored; no sample has two.
pub(super) fn packed(sql: &Connection, faults: &mut Faults) -> Result<(), StoreError> {
    texts::spoiled(sql)?.into_iter().for_each(|what| faults.add(what, DRAWS));
    let two = "SELECT count(*) FROM samples WHERE long IS NOT NULL AND short != ''";
    faults.none(sql, two, "samples have two texts", DRAWS)
}

/// Every request's key is the hash of what it asks; every sample has its request.
pub(super) fn requests(sql: &Connection, are_packed: bool, faults: &mut Faults) -> Result<(), StoreError> {
    let mut statement = sql.prepare("SELECT key, model, revision, request FROM requests")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(0)?;
        let text = match texts::cell(sql, row, 3) {
            // Told where texts are looked at.
            Err(error) if are_packed && error.kind == StoreErrorKind::BadContent => continue,
            text => text?,
        };
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map(RequestKey);
        let identity = ModelIdentity { model: row.get(1)?, revision: row.get(2)? };
        let asked = serde_json::from_str::<Request>(&text);
        match (key, asked) {
            (Ok(key), Ok(request)) if request.key(&identity) == key => {}
            (Ok(key), Ok(_)) => faults.add(format!("the request {key} is not the one that its key was made of"), DRAWS),
            (Ok(key), Err(error)) => faults.add(format!("the request {key} cannot be read: {error}"), DRAWS),
            (Err(_), _) => faults.add("a request has a key that is no SHA-256".into(), DRAWS),
        }
    }
    let orphans = "SELECT count(*) FROM samples WHERE key NOT IN (SELECT key FROM requests)";
    faults.none(sql, orphans, "samples have no request", DRAWS)?;
    let bad = "SELECT count(*) FROM samples WHERE idx < 0 OR stream < 0 OR prompt_tokens < 0 OR decode_tokens < 0";
    faults.none(sql, bad, "samples have a negative number where none can be", DRAWS)
}

const DRAWS: &str =
    "restore the file from a copy; without one, search again in a new store rather than trust these draws";

/// Every sample was paid for by a settled call, and amounts are numbers that add up.
pub(super) fn ledger(sql: &Connection, faults: &mut Faults) -> Result<(), StoreError> {
    let count = |query: &str| sql.query_row(query, [], |row| row.get::<_, i64>(0));
    let stored = count("SELECT count(*) FROM samples")?;
    let settled = count("SELECT coalesce(sum(samples), 0) FROM ledger")?;
    if stored != settled {
        let what = if stored > settled { "no settled call brought them all" } else { "some are gone" };
        let message = format!("the store holds {stored} samples and its calls brought {settled}: {what}");
        faults.add(message, "the spend that studies show may be too low; restore the file from a copy");
    }
    let wrong = "SELECT count(*) FROM ledger WHERE state = 'settled' AND tokens != prompt + decode";
    faults.none(sql, wrong, "settled calls do not add up: their tokens are not prompt and reply", BOOKS)?;
    let negative =
        "SELECT count(*) FROM ledger WHERE tokens < 0 OR calls < 0 OR prompt < 0 OR decode < 0 OR samples < 0";
    faults.none(sql, negative, "calls have negative amounts", BOOKS)?;
    let unpaid = "SELECT count(*) FROM ledger WHERE state != 'settled' AND samples > 0";
    faults.none(sql, unpaid, "calls brought samples and were never settled", BOOKS)?;
    let mut statement = sql.prepare("SELECT id, usd, flops FROM ledger")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let amounts: [String; 2] = [row.get(1)?, row.get(2)?];
        if let Some(amount) = amounts.iter().find(|amount| amount.parse::<i128>().is_err()) {
            faults.add(format!("call {} of the ledger has the amount {amount:?}", row.get::<_, i64>(0)?), BOOKS);
        }
    }
    let open = count("SELECT count(*) FROM ledger WHERE state = 'open'")?;
    if open > 0 {
        let message = format!("{open} calls are under way, or were when their process died");
        faults.note(format!("{message}: those count as spent in full when their study goes on"));
    }
    Ok(())
}

const BOOKS: &str = "the spend of its study cannot be trusted; restore the file from a copy";

/// Everything that studies keep can be read, and refers to what is there.
pub(super) fn studies(sql: &Connection, faults: &mut Faults) -> Result<(), StoreError> {
    readable::<Value>(sql, "studies", "snapshot", faults)?;
    readable::<Value>(sql, "studies", "settings", faults)?;
    readable::<Guideline>(sql, "guidelines", "guideline", faults)?;
    readable::<Exchange>(sql, "exchanges", "exchange", faults)?;
    readable::<Value>(sql, "events", "event", faults)?;
    let ids: HashSet<i64> = {
        let mut statement = sql.prepare("SELECT id FROM samples")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    let mut trials = sql.prepare(
        "SELECT s.name, t.study, t.number, t.trial FROM trials t JOIN studies s ON s.id = t.study ORDER BY 2, 3",
    )?;
    let mut outcomes = sql.prepare("SELECT outcome FROM outcomes WHERE study = ?1 AND trial = ?2")?;
    let mut rows = trials.query([])?;
    while let Some(row) = rows.next()? {
        let (name, study, number, text): (String, i64, i64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let place = format!("trial {number} of {name}");
        let trial: Trial = match serde_json::from_str(&text) {
            Ok(trial) => trial,
            Err(error) => {
                faults.add(format!("{place} cannot be read: {error}"), ARCHIVE);
                continue;
            }
        };
        if i64::from(trial.number) != number {
            faults.add(format!("{place} calls itself {}", trial.number), ARCHIVE);
        }
        let mut seen = 0;
        let mut kept = outcomes.query([study, number])?;
        while let Some(row) = kept.next()? {
            seen += 1;
            let text: String = row.get(0)?;
            match serde_json::from_str::<ExampleOutcome>(&text) {
                Ok(outcome) => {
                    let lost = samples(&outcome).filter(|id| !ids.contains(id)).count();
                    if lost > 0 {
                        faults.add(format!("{place}: {lost} samples of example {} are gone", outcome.example), ARCHIVE);
                    }
                }
                Err(error) => faults.add(format!("{place}: an outcome cannot be read: {error}"), ARCHIVE),
            }
        }
        if let TrialState::Measured(measured) = &trial.state
            && seen != measured.scores.len()
        {
            let message =
                format!("{place} was measured on {} examples and has outcomes of {seen}", measured.scores.len());
            faults.add(message, ARCHIVE);
        }
    }
    Ok(())
}

const ARCHIVE: &str = "begin the study again: its draws are reused, so it costs little";

fn samples(outcome: &ExampleOutcome) -> impl Iterator<Item = i64> + '_ {
    let runs = outcome.stages.iter().flat_map(|stage| stage.runs());
    runs.flat_map(|(samples, combined)| samples.iter().copied().chain(combined))
}

fn readable<T: DeserializeOwned>(
    sql: &Connection,
    table: &str,
    column: &str,
    faults: &mut Faults,
) -> Result<(), StoreError> {
    let mut statement = sql.prepare(&format!("SELECT {column} FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if let Err(error) = serde_json::from_str::<T>(&text) {
            faults.add(format!("a {column} of {table} cannot be read: {error}"), ARCHIVE);
        }
    }
    Ok(())
}
