//! Answered requests as examples of a later search: one file for each plan, of bounded size, written aside, so that no request
//! waits for a disk or fails with it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use agenttts_engine::Answer;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::plans::Served;

/// Requests that may wait to be written; a disk that is slower than that loses some.
const WAITING: usize = 1_024;

/// Where answered requests are kept as examples, and how.
#[derive(Clone, Debug)]
pub struct ExampleLog {
    /// The folder: each plan has a file `NAME.jsonl` there, and an older `NAME.old.jsonl`.
    pub folder: PathBuf,
    /// The field that the plan's answer is written as.
    pub answer: String,
    /// Bytes that both files of a plan may have together.
    pub most: u64,
}

/// Writes examples.
#[derive(Debug)]
pub(crate) struct Examples {
    answer: String,
    lines: Mutex<Option<SyncSender<Entry>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    state: Arc<State>,
    count: AtomicU64,
}

/// What became of them since the server began.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ExampleCounts {
    /// Requests that were written.
    pub(crate) written: u64,
    /// Requests that were not: the disk failed, or was too slow.
    pub(crate) lost: u64,
    /// Whether the last one was lost; the server's log says why.
    failing: bool,
}

#[derive(Debug, Default)]
struct State {
    written: AtomicU64,
    lost: AtomicU64,
    fault: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Entry {
    plan: String,
    line: String,
}

impl Examples {
    /// Begins to write. The folder is made where it is not there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(crate) fn begin(log: &ExampleLog) -> io::Result<Self> {
        make_folder(&log.folder)?;
        let (sender, receiver) = sync_channel(WAITING);
        let state = Arc::<State>::default();
        let files = Files { folder: log.folder.clone(), most: log.most / 2, open: HashMap::new() };
        let told = state.clone();
        let writer =
            std::thread::Builder::new().name("examples".into()).spawn(move || write(&receiver, files, &told))?;
        Ok(Examples {
            answer: log.answer.clone(),
            lines: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            state,
            count: AtomicU64::new(0),
        })
    }

    /// Keeps a request: of its input what the plan reads, and the plan's answer. Never waits.
    pub(crate) fn keep(&self, plan: &Served, fields: &Map<String, Value>, answer: &Answer) {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut example = Map::new();
        example.insert("id".into(), Value::String(format!("served-{millis}-{number}")));
        // What else the client sent is nothing that an example needs.
        let read = fields.iter().filter(|(name, _)| plan.inputs.contains(*name));
        example.extend(read.map(|(name, value)| (name.clone(), value.clone())));
        // An input of that name came with a plan file that was read later: what the plan reads is what it is.
        example.entry(self.answer.clone()).or_insert_with(|| answer.output.clone());
        let entry = Entry { plan: plan.name.clone(), line: format!("{}\n", Value::Object(example)) };
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.as_ref().is_some_and(|lines| lines.try_send(entry).is_err()) {
            self.state.lose("the disk is slower than requests come".into());
        }
    }

    /// How many there are, and how many are lost.
    pub(crate) fn counts(&self) -> ExampleCounts {
        ExampleCounts {
            written: self.state.written.load(Ordering::Relaxed),
            lost: self.state.lost.load(Ordering::Relaxed),
            failing: self.state.fault().is_some(),
        }
    }

    /// Writes what waits, and ends.
    pub(crate) fn end(&self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic there has nothing to add: what was lost is counted.
        let _ = writer.map(JoinHandle::join);
    }
}

impl State {
    fn fault(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, why: String) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        let mut fault = self.fault();
        // Said once, not for every request.
        if fault.as_ref() != Some(&why) {
            tracing::error!(why, "a request is not kept as an example, and is answered all the same");
            *fault = Some(why);
        }
    }

    fn keep(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
        if self.fault().take().is_some() {
            tracing::info!("requests are kept as examples again");
        }
    }
}

fn write(entries: &Receiver<Entry>, mut files: Files, state: &State) {
    while let Ok(entry) = entries.recv() {
        match files.append(&entry) {
            Ok(()) => state.keep(),
            Err(error) => state.lose(format!("{}: {error}", files.path(&entry.plan, "jsonl").display())),
        }
    }
}

/// The files, each with its size.
struct Files {
    folder: PathBuf,
    /// Bytes of one file at the most.
    most: u64,
    open: HashMap<String, (File, u64)>,
}

impl Files {
    fn path(&self, plan: &str, suffix: &str) -> PathBuf {
        // Names of plans are words as a rule, but anybody may choose one.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = plan.chars().map(plain).collect();
        self.folder.join(format!("{}.{suffix}", name.trim_start_matches('.')))
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let length = entry.line.len() as u64;
        if length > self.most {
            return Err(io::Error::other(format!("the request has {length} bytes, and a file may have {}", self.most)));
        }
        let path = self.path(&entry.plan, "jsonl");
        // Somebody may have moved the file away to use it.
        if !path.exists() {
            self.open.remove(&entry.plan);
        }
        if self.open.get(&entry.plan).is_some_and(|(_, size)| size + length > self.most) {
            self.open.remove(&entry.plan);
            fs::rename(&path, self.path(&entry.plan, "old.jsonl"))?;
        }
        if !self.open.contains_key(&entry.plan) {
            let mut opened = open(&path)?;
            if opened.1 + length > self.most {
                fs::rename(&path, self.path(&entry.plan, "old.jsonl"))?;
                opened = open(&path)?;
            }
            self.open.insert(entry.plan.clone(), opened);
        }
        let Some((file, size)) = self.open.get_mut(&entry.plan) else { return Ok(()) };
        if let Err(error) = file.write_all(entry.line.as_bytes()) {
            // Half a line would make the file no examples at all.
            let _ = file.set_len(*size);
            self.open.remove(&entry.plan);
            return Err(error);
        }
        *size += length;
        Ok(())
    }
}

/// Opens a file to append to, without the half line that a killed server may have left.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    private(&mut options);
    let mut file = options.open(path)?;
    let size = file.metadata()?.len();
    let whole = whole_lines(&mut file, size)?;
    if whole < size {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut File, size: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// What people ask is for the eyes of whoever runs the server.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry { plan: "../a b".into(), line: format!("{text}\n") }
    }

    fn files(folder: &Path, most: u64) -> Files {
        Files { folder: folder.to_owned(), most, open: HashMap::new() }
    }

    #[test]
    fn files_are_bounded_and_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), 30);
        for i in 0..20 {
            files.append(&entry(&format!("line {i:04}"))).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("_a_b.jsonl"), "line 0018\nline 0019\n");
        assert_eq!(read("_a_b.old.jsonl"), "line 0015\nline 0016\nline 0017\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(files.append(&entry(&"x".repeat(40))).is_err(), "a line that fits no file");
    }

    #[test]
    fn half_a_line_of_a_killed_server_goes_and_a_file_that_was_taken_away_comes_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("_a_b.jsonl");
        fs::write(&path, "{\"a\": 1}\n{\"a\": ").unwrap();
        let mut files = files(folder.path(), 1_000);
        files.append(&entry("{\"a\": 2}")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\": 1}\n{\"a\": 2}\n");
        fs::remove_file(&path).unwrap();
        files.append(&entry("{\"a\": 3}")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\": 3}\n");
    }
}
