//! Splits that are kept: made once for a file and settings, and the same files ever after.

use std::fs;
use std::path::{Path, PathBuf};

use agenttts_core::Problems;
use agenttts_core::pipeline::LeftOut;
use agenttts_core::text::hex;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::prepare::{PrepareOptions, prepare, write_whole};
use crate::source::Source;

/// Grows whenever equal files and settings give other splits than before.
const KEPT_VERSION: u32 = 2;

/// What is told of kept splits, besides their examples.
const ABOUT: &str = "about.json";

/// Splits that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The search split and the test split, as JSON lines.
    pub files: [PathBuf; 2],
    /// What of the data file could not be used.
    pub left_out: LeftOut,
}

/// The files of the splits of a data file, made below `folder` unless they are there: `DATASET-HASH/search.jsonl` and
/// `test.jsonl`, where the hash is that of the data, its companions and all settings.
///
/// # Errors
/// As of [`prepare`]; or the folder cannot be written.
pub fn keep(path: &Path, options: &PrepareOptions, folder: &Path) -> Result<Kept, Problems> {
    let source = Source::open(path, &options.read)?;
    let mut hasher = Sha256::new();
    hasher.update(source.content_hash()?);
    if let Some(other) = &options.test_from {
        hasher.update(Source::open(other, &options.read)?.content_hash()?);
    }
    // Everything of the options but paths, whose content counts.
    let PrepareOptions { read, search, test, test_from, seed, candidates, skip_bad, fewer } = options;
    let of_files = (read.expected, read.complete_graph, test_from.is_some());
    let settings = (KEPT_VERSION, of_files, search, test, seed, candidates, skip_bad, fewer);
    hasher.update(format!("{settings:?}"));
    let hash = hex(&hasher.finalize()[..8]);
    let kept = folder.join(format!("{}-{hash}", source.format().dataset().name()));
    let files = [kept.join("search.jsonl"), kept.join("test.jsonl")];
    let about = kept.join(ABOUT);
    let known = fs::read(&about).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(left_out) = known.filter(|_| files.iter().all(|file| file.is_file())) {
        return Ok(Kept { files, left_out });
    }
    let made = prepare(path, options)?;
    // Each is written whole or not at all, and always with the same content, so two programs may do it at once.
    made.write(&kept, true)?;
    let left_out = made.report.left_out();
    write_whole(&about, [left_out].iter())?;
    Ok(Kept { files, left_out })
}

/// SHA-256 of files, one after another.
pub(crate) fn hash_files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<[u8; 32], DataError> {
    let mut hasher = Sha256::new();
    for path in files {
        let hashed = fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut Hashing(&mut hasher)));
        let length = hashed.map_err(|error| {
            let hint = "name a file that you may read, and leave it alone while it is read";
            DataError::of(&path.display().to_string(), format!("cannot be read: {error}"), hint)
        })?;
        hasher.update(length.to_le_bytes());
    }
    Ok(hasher.finalize().into())
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
