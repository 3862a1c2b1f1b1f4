//! Where the programs of steps run, and whether they are still those that a study began with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use agenttts_core::pipeline::{PipelineFile, Workplace};
use agenttts_core::text::hex;
use sha2::{Digest, Sha256};

/// Larger files, such as an index that a program reads, are not compared.
const LARGEST: u64 = 16 << 20;

/// The workplace of a pipeline that is read from a folder; `None` where it has no commands.
pub(crate) fn workplace(file: &PipelineFile, folder: &Path) -> Option<Workplace> {
    let mut words = file.command_words().peekable();
    words.peek()?;
    let folder = std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).ok()?;
    let programs: BTreeMap<String, String> =
        words.filter_map(|word| Some((word.to_owned(), digest(&folder, word)?))).collect();
    Some(Workplace { folder: folder.display().to_string(), programs })
}

/// The files that are not any more what they were.
pub(crate) fn changed_programs(workplace: &Workplace) -> Vec<String> {
    let changed =
        |(word, before): &(&String, &String)| digest(Path::new(&workplace.folder), word).as_ref() != Some(before);
    workplace.programs.iter().filter(changed).map(|(word, _)| word.clone()).collect()
}

/// The SHA-256 of a file of the folder; `None` where the word names none.
fn digest(folder: &Path, word: &str) -> Option<String> {
    let path = folder.join(word);
    let facts = fs::metadata(&path).ok()?;
    if !facts.is_file() || facts.len() > LARGEST || Path::new(word).is_absolute() {
        return None;
    }
    Some(hex(&Sha256::digest(fs::read(&path).ok()?)))
}
