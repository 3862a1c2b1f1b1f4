//! All paragraphs or triples of a file under a full-text index, from which pools of candidates are filled.
//!
//! The index is SQLite's FTS5 (BM25 with k1 = 1.2 and b = 0.75), in a temporary database that SQLite spills to disk: a
//! whole release needs little memory, and the program has SQLite in it anyway.

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::draft::Candidate;

/// Distinct candidates of a whole file.
#[derive(Debug)]
pub(crate) struct Corpus {
    db: Connection,
    count: usize,
}

impl Corpus {
    pub(crate) fn new() -> rusqlite::Result<Corpus> {
        // An empty name is a temporary database, which is on disk where memory does not suffice.
        let db = Connection::open("")?;
        db.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
             CREATE TABLE texts (key INTEGER PRIMARY KEY, hash BLOB UNIQUE, title TEXT, text TEXT, triple TEXT);
             CREATE VIRTUAL TABLE words USING fts5(
                 title, text, content = 'texts', content_rowid = 'key', tokenize = 'porter unicode61');
             BEGIN;",
        )?;
        Ok(Corpus { db, count: 0 })
    }

    /// How many distinct candidates there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Adds a candidate, unless it is there.
    pub(crate) fn add(&mut self, candidate: &Candidate) -> rusqlite::Result<()> {
        let mut hasher = Sha256::new();
        hasher.update(candidate.title.as_bytes());
        hasher.update([0]);
        hasher.update(candidate.text.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let triple = candidate.triple.as_ref().map(|t| serde_json::json!(t).to_string());
        let mut insert = self.db.prepare_cached(
            "INSERT OR IGNORE INTO texts (key, hash, title, text, triple) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let key = self.count as i64 + 1;
        if insert.execute(params![key, &hash[..16], candidate.title, candidate.text, triple])? == 1 {
            let mut index = self.db.prepare_cached("INSERT INTO words (rowid, title, text) VALUES (?1, ?2, ?3)")?;
            index.execute(params![key, candidate.title, candidate.text])?;
            self.count += 1;
        }
        Ok(())
    }

    /// Adds to `list` the best matches of a query that are neither in it nor `barred`, until it has `size`; where too few match,
    /// others.
    pub(crate) fn fill(
        &self,
        list: &mut Vec<Candidate>,
        barred: &[Candidate],
        query: &str,
        size: usize,
        rng: &mut ChaCha8Rng,
    ) -> rusqlite::Result<()> {
        let mut known: HashSet<Candidate> = list.iter().chain(barred).cloned().collect();
        let mut take = |list: &mut Vec<Candidate>, candidate: Candidate| {
            if list.len() < size && known.insert(candidate.clone()) {
                list.push(candidate);
            }
        };
        let words = words(query);
        if !words.is_empty() {
            let mut search = self.db.prepare_cached(
                "SELECT texts.title, texts.text, triple FROM words JOIN texts ON texts.key = words.rowid
                 WHERE words MATCH ?1 ORDER BY rank, words.rowid LIMIT ?2",
            )?;
            for hit in search.query_map(params![words, (size + list.len() + barred.len()) as i64], read)? {
                take(list, hit?);
            }
        }
        // From a place drawn at random onwards.
        let mut one = self.db.prepare_cached("SELECT title, text, triple FROM texts WHERE key = ?1")?;
        let start = if self.count == 0 { 0 } else { rng.random_range(0..self.count) };
        for step in 0..self.count {
            if list.len() >= size {
                break;
            }
            let key = (start + step) % self.count + 1;
            if let Some(candidate) = one.query_row([key as i64], read).optional()? {
                take(list, candidate);
            }
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    let triple: Option<String> = row.get(2)?;
    Ok(Candidate { title: row.get(0)?, text: row.get(1)?, triple: triple.and_then(|t| serde_json::from_str(&t).ok()) })
}

/// The words of a query, any of which may match; empty if there are none.
fn words(query: &str) -> String {
    let mut seen = HashSet::new();
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|w| !w.is_empty() && seen.insert(w.clone()))
        .map(|w| format!("\"{w}\""))
        .collect();
    words.join(" OR ")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_best_matches_come_first_and_others_fill_up() {
        let mut corpus = Corpus::new().unwrap();
        for (title, text) in [
            ("Rome", "Capital of Italy."),
            ("Oslo", "Capital of Norway."),
            ("Whale", "A large animal."),
            ("Oslo", "Capital of Norway."),
        ] {
            corpus.add(&Candidate::passage(title, text.into())).unwrap();
        }
        assert_eq!(corpus.count(), 3);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut list = vec![Candidate::passage("Rome", "Capital of Italy.".into())];
        corpus.fill(&mut list, &[], "Which \"capital\" is in NORWAY AND (not) Italy?", 3, &mut rng).unwrap();
        let titles: Vec<&str> = list.iter().map(|c| c.title.as_str()).collect();
        assert_eq!(titles, ["Rome", "Oslo", "Whale"]);
    }

    #[test]
    fn any_query_is_one() {
        let mut corpus = Corpus::new().unwrap();
        corpus.add(&Candidate::passage("a", "b".into())).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for query in ["", "?!", "NEAR(a b)", "\"", "a*b^c:d", "ａ ß İ"] {
            corpus.fill(&mut Vec::new(), &[], query, 5, &mut rng).unwrap();
        }
    }
}
