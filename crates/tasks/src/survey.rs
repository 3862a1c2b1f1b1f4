//! One pass over a file: what it holds, and what is wrong with it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use crate::corpus::Corpus;
use crate::draft::{Draft, Pool};
use crate::error::DataError;
use crate::scan::Flow;
use crate::source::Source;
use crate::split::Member;

/// Something peculiar that examples can be used with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is.
    pub what: &'static str,
    /// Of how many examples.
    pub examples: usize,
    /// The number of the first of them in the file.
    pub first: usize,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Rows, bad ones included.
    pub(crate) rows: usize,
    pub(crate) members: Vec<Member>,
    /// The first faults.
    pub(crate) faults: Vec<DataError>,
    /// All faults.
    pub(crate) bad: usize,
    /// Of how many examples each is true, and the number of the first.
    pub(crate) notes: BTreeMap<&'static str, (usize, usize)>,
    /// All candidates, if pools are filled from the file and they were to be indexed.
    pub(crate) corpus: Option<Corpus>,
    /// Hashes of those candidates, if they were only to be counted.
    pub(crate) distinct: HashSet<u64>,
}

/// Faults that are told one by one.
const SHOWN: usize = 10;

impl Survey {
    /// Reads the whole file. `look` sees every example. With `index`, pools can be filled afterwards.
    ///
    /// # Errors
    /// The file is damaged. Bad rows are counted.
    pub(crate) fn of(source: &Source, index: bool, look: &mut dyn FnMut(&Draft)) -> Result<Survey, DataError> {
        let mut survey = Survey::default();
        source.each(&mut |number, outcome| {
            survey.rows = number;
            match outcome {
                Ok(draft) => {
                    survey.add(number, &draft, index).map_err(|error| index_failed(source, &error))?;
                    look(&draft);
                }
                Err(fault) => {
                    survey.bad += 1;
                    if survey.faults.len() < SHOWN {
                        survey.faults.push(fault);
                    }
                }
            }
            Ok(Flow::On)
        })?;
        Ok(survey)
    }

    fn add(&mut self, number: usize, draft: &Draft, index: bool) -> rusqlite::Result<()> {
        self.members.push(Member { number, group: hash(&draft.group), stratum: draft.stratum.clone() });
        for note in &draft.notes {
            self.notes.entry(note).or_insert((0, number)).0 += 1;
        }
        if let (Pool::Open { own, .. }, false) = (&draft.pool, index) {
            self.distinct.extend(own.list.iter().map(hash));
        } else if let Pool::Open { own, .. } = &draft.pool {
            let corpus = match &mut self.corpus {
                Some(corpus) => corpus,
                none => none.insert(Corpus::new()?),
            };
            own.list.iter().try_for_each(|candidate| corpus.add(candidate))?;
        }
        Ok(())
    }

    /// What is peculiar, most frequent first.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let note = |(what, (examples, first)): (&&'static str, &(usize, usize))| Note {
            what,
            examples: *examples,
            first: *first,
        };
        let mut notes: Vec<Note> = self.notes.iter().map(note).collect();
        notes.sort_by_key(|n| std::cmp::Reverse(n.examples));
        notes
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A failure of the temporary index.
pub(crate) fn index_failed(source: &Source, error: &rusqlite::Error) -> DataError {
    DataError::of(
        source.name(),
        format!("its paragraphs cannot be indexed: {error}"),
        "free some space in the folder for temporary files, or name another with TMPDIR",
    )
}
