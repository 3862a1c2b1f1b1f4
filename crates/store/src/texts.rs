//! Long texts, each stored once and packed; what many of them begin with is stored once, too.
//!
//! Prompts are most of what a store would hold: those of a stage share their instructions and worked examples, and several
//! models are asked the same. A text is packed with zstd, as its difference from the stored text that it begins as where
//! there is one.

use std::collections::BTreeMap;
use std::io::Read;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::error::{StoreError, StoreErrorKind};

/// Bytes from which on a sample's text is packed. Below, packing saves next to nothing.
pub(crate) const LONG: usize = 512;

/// Bytes of the beginnings by which an earlier text is found, the longest first.
const BEGINNINGS: [usize; 4] = [16_384, 4_096, 1_024, 256];

/// Bytes of an earlier text that a later one is compared with. Bounds the time that a text takes whose base is long. A part of
/// the format: what was packed with another number cannot be unpacked.
const COMPARED: usize = 32_768;

/// Of zstd's levels, the one that it calls its default.
const LEVEL: i32 = 3;

/// Stores a text where it is not there yet; its id.
pub(crate) fn put(connection: &Connection, text: &[u8]) -> Result<i64, StoreError> {
    let hash = Sha256::digest(text);
    let there = find(connection, "SELECT id FROM texts WHERE hash = ?1", &hash)?;
    if let Some(id) = there {
        return Ok(id);
    }
    let mut base = None;
    let mut new = Vec::new();
    for beginning in BEGINNINGS.iter().filter_map(|&bytes| text.get(..bytes)) {
        let hash = beginning_hash(beginning);
        base = find(connection, "SELECT text FROM beginnings WHERE hash = ?1", &hash)?;
        if base.is_some() {
            // It has the shorter ones as well.
            break;
        }
        new.push(hash);
    }
    let mut compared = Vec::new();
    if let Some(id) = base {
        match unpacked(connection, id, COMPARED) {
            Ok(text) => compared = text,
            // What was paid for is stored whatever became of an earlier text.
            Err(error) if error.kind == StoreErrorKind::BadContent => base = None,
            Err(error) => return Err(error),
        }
    }
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, &compared)?;
    compressor.include_checksum(true)?;
    let packed = compressor.compress(text)?;
    let id = connection
        .prepare_cached("INSERT INTO texts (hash, base, packed) VALUES (?1, ?2, ?3)")?
        .insert(params![&hash[..], base, packed])?;
    let mut first = connection.prepare_cached("INSERT INTO beginnings (hash, text) VALUES (?1, ?2)")?;
    for hash in new {
        first.execute(params![&hash[..], id])?;
    }
    Ok(id)
}

/// A stored text.
///
/// # Errors
/// [`StoreErrorKind::BadContent`] where it is not there or cannot be unpacked.
pub(crate) fn get(connection: &Connection, id: i64) -> Result<Vec<u8>, StoreError> {
    unpacked(connection, id, usize::MAX)
}

/// The first bytes of a stored text, at the most so many.
fn unpacked(connection: &Connection, id: i64, most: usize) -> Result<Vec<u8>, StoreError> {
    let bad = |what: String| StoreError::new(StoreErrorKind::BadContent, format!("text {id} {what}"));
    let row = {
        let mut statement = connection.prepare_cached("SELECT base, packed FROM texts WHERE id = ?1")?;
        statement.query_row([id], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?
    };
    let (base, packed) = row.ok_or_else(|| bad("is gone".into()))?;
    let compared = match base {
        // Or a damaged store could lead in circles.
        Some(base) if base >= id => return Err(bad(format!("is the difference from the later text {base}"))),
        Some(base) => unpacked(connection, base, COMPARED)?,
        None => Vec::new(),
    };
    let mut text = Vec::new();
    let unpacked = zstd::stream::read::Decoder::with_dictionary(packed.as_slice(), &compared)
        .and_then(|decoder| decoder.take(most as u64).read_to_end(&mut text));
    unpacked.map_err(|e| bad(format!("cannot be unpacked: {e}")))?;
    Ok(text)
}

/// A stored text as a string.
fn string(connection: &Connection, id: i64) -> Result<String, StoreError> {
    let text = String::from_utf8(get(connection, id)?);
    text.map_err(|e| StoreError::new(StoreErrorKind::BadContent, format!("text {id} is no text: {e}")))
}

/// A cell that holds a text or the id of a stored one.
pub(crate) fn cell(connection: &Connection, row: &Row<'_>, index: usize) -> Result<String, StoreError> {
    match row.get_ref(index)? {
        ValueRef::Integer(id) => string(connection, id),
        cell => {
            let text = cell.as_str().map(str::to_owned);
            text.map_err(|e| StoreError::new(StoreErrorKind::BadContent, e.to_string()))
        }
    }
}

/// What is wrong with stored texts that cannot be read or are not what was stored. Those that are lost with another are
/// counted with that.
pub(crate) fn spoiled(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT id, hash FROM texts ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, hash): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let fault = match get(connection, id) {
            Ok(text) if Sha256::digest(&text)[..] != hash[..] => format!("text {id} is not the one that was stored"),
            Ok(text) if str::from_utf8(&text).is_err() => format!("text {id} is no UTF-8"),
            Ok(_) => continue,
            Err(error) if error.kind == StoreErrorKind::BadContent => error.detail,
            Err(error) => return Err(error),
        };
        *found.entry(fault).or_default() += 1;
    }
    let told = |(fault, texts)| if texts > 1 { format!("{fault}; {texts} texts are lost with it") } else { fault };
    Ok(found.into_iter().map(told).collect())
}

/// Packs what stores of schemas before the third hold as it is.
pub(crate) fn pack_earlier(connection: &Connection) -> Result<(), StoreError> {
    {
        let mut requests = connection.prepare("SELECT key, model, revision, request FROM plain_requests")?;
        let mut packed = connection.prepare("INSERT INTO requests VALUES (?1, ?2, ?3, ?4)")?;
        let mut rows = requests.query([])?;
        while let Some(row) = rows.next()? {
            let id = put(connection, bytes(row.get_ref(3)?))?;
            let [key, model, revision] = [0, 1, 2].map(|index| row.get_ref(index).map(ToSqlOutput::Borrowed));
            packed.execute(params![key?, model?, revision?, id])?;
        }
    }
    connection.execute_batch("DROP TABLE plain_requests")?;
    let long: Vec<i64> = connection
        .prepare("SELECT id FROM samples WHERE octet_length(short) >= ?1")?
        .query_map([LONG as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut text = connection.prepare("SELECT short FROM samples WHERE id = ?1")?;
    let mut pack = connection.prepare("UPDATE samples SET short = '', long = ?2 WHERE id = ?1")?;
    for sample in long {
        let id = text.query_row([sample], |row| Ok(put(connection, bytes(row.get_ref(0)?))))??;
        pack.execute([sample, id])?;
    }
    Ok(())
}

fn find(connection: &Connection, sql: &str, hash: &[u8]) -> Result<Option<i64>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row([hash], |row| row.get(0)).optional()?)
}

/// A false match would only make a packed text longer, so half of the hash is enough.
fn beginning_hash(beginning: &[u8]) -> Vec<u8> {
    Sha256::digest(beginning)[..16].to_vec()
}

fn bytes(cell: ValueRef<'_>) -> &[u8] {
    match cell {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema;

    fn empty() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        connection
    }

    fn stored(connection: &Connection) -> (i64, i64) {
        let sql = "SELECT count(*), sum(length(packed)) FROM texts";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// Instructions that compress to no less than they say.
    fn instructions(bytes: usize) -> String {
        let hex = |i: usize| agenttts_core::text::hex(&Sha256::digest(i.to_be_bytes()));
        (0..bytes.div_ceil(64)).map(hex).collect::<String>()[..bytes].to_owned()
    }

    #[test]
    fn the_same_text_is_stored_once() {
        let connection = empty();
        let first = put(&connection, b"which river?").unwrap();
        assert_eq!(put(&connection, b"which river?").unwrap(), first);
        assert_ne!(put(&connection, b"which river").unwrap(), first);
        assert_eq!((stored(&connection).0, string(&connection, first).unwrap().as_str()), (2, "which river?"));
    }

    #[test]
    fn texts_that_begin_alike_share_their_beginning() {
        let connection = empty();
        let shared = instructions(6_000);
        let ids: Vec<i64> =
            (0..100).map(|i| put(&connection, format!("{shared} question {i}").as_bytes()).unwrap()).collect();
        let (count, bytes) = stored(&connection);
        assert!(count == 100 && bytes < 10_000, "{count} texts in {bytes} bytes");
        assert_eq!(string(&connection, ids[99]).unwrap(), format!("{shared} question 99"));
    }

    /// A text's base is the one with the longest beginning of its own, which may itself have a base.
    #[test]
    fn the_longest_shared_beginning_counts() {
        let connection = empty();
        let all = instructions(40_000);
        let texts = [256, 1_024, 4_096, 16_384, 39_000].map(|shared| format!("{} and {shared}", &all[..shared]));
        let ids = texts.each_ref().map(|text| put(&connection, text.as_bytes()).unwrap());
        let last = format!("{} at last", &all[..39_000]);
        let id = put(&connection, last.as_bytes()).unwrap();
        let base: i64 = connection.query_row("SELECT base FROM texts WHERE id = ?1", [id], |row| row.get(0)).unwrap();
        assert_eq!(base, ids[3], "the first that begins with these 16,384 bytes");
        assert_eq!(string(&connection, id).unwrap(), last);
        for (id, text) in ids.into_iter().zip(texts) {
            assert_eq!(string(&connection, id).unwrap(), text);
        }
    }

    #[test]
    fn a_text_that_leads_in_circles_or_is_gone_is_an_error() {
        let connection = empty();
        let shared = instructions(300);
        let [first, second] = ["a", "b"].map(|end| put(&connection, format!("{shared}{end}").as_bytes()).unwrap());
        connection.execute("UPDATE texts SET base = ?2 WHERE id = ?1", [first, second]).unwrap();
        for id in [first, second, 99] {
            assert_eq!(get(&connection, id).unwrap_err().kind, StoreErrorKind::BadContent);
        }
    }

    #[test]
    fn what_is_stored_now_is_kept_whatever_became_of_earlier_texts() {
        let connection = empty();
        let shared = instructions(300);
        let put = |end: &str| put(&connection, format!("{shared}{end}").as_bytes()).unwrap();
        let [first, second, third] = ["a", "b", "c"].map(put);
        connection.execute("UPDATE texts SET packed = x'00' WHERE id = ?1", [first]).unwrap();
        let fourth = put("d");
        assert_eq!(string(&connection, fourth).unwrap(), format!("{shared}d"));
        assert!([first, second, third].iter().all(|&id| get(&connection, id).is_err()));
        let spoiled = spoiled(&connection).unwrap();
        assert!(matches!(&spoiled[..], [one] if one.contains("3 texts are lost with it")), "{spoiled:?}");
    }

    proptest! {
        #[test]
        fn what_was_put_is_got(
            shared in proptest::collection::vec(any::<u8>(), 0..2_000),
            ends in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..500), 1..6),
        ) {
            let connection = empty();
            let texts: Vec<Vec<u8>> = ends.iter().map(|end| [&shared[..], end].concat()).collect();
            let ids: Vec<i64> = texts.iter().map(|text| put(&connection, text).unwrap()).collect();
            for (id, text) in ids.into_iter().zip(texts) {
                prop_assert_eq!(get(&connection, id).unwrap(), text);
            }
            let are_texts = spoiled(&connection).unwrap().iter().all(|fault| fault.contains("is no UTF-8"));
            prop_assert!(are_texts);
        }
    }
}
