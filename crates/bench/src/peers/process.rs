//! A process that answers one line of JSON to each line of JSON.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::contestant::Fault;

/// The longest answer in bytes. Real ones have a hundred.
const LONGEST_ANSWER: u64 = 1 << 20;

/// So many bytes of what it wrote to standard error are kept for a message.
const LAST_WORDS: usize = 2000;

/// How long a process that closed its output may take to end, and its last words to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// A running process. It is ended when this is dropped.
pub(super) struct Process {
    child: Child,
    requests: Sender<Vec<u8>>,
    answers: Receiver<Line>,
    words: Arc<Mutex<Vec<u8>>>,
    /// What it said of itself at its start.
    pub(super) hello: Map<String, Value>,
    /// Whether it left a question without an answer for too long.
    pub(super) has_hung: bool,
}

/// What came from the process.
enum Line {
    Text(Vec<u8>),
    TooLong,
}

impl Process {
    /// Starts the program. Libraries in it use one thread, because runs are made side by side.
    pub(super) fn start(program: &Path, arguments: &[String]) -> Result<Self, Fault> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PYTHONHASHSEED", "0");
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            command.env(threads, "1");
        }
        let failed = |error: std::io::Error| Fault::new(format!("{} cannot be run: {error}", program.display()));
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Fault::new(format!("{} has no standard streams", program.display())));
        };
        let words = Arc::new(Mutex::new(Vec::new()));
        let requests = write_lines(input);
        let answers = read_lines(output);
        keep_last(errors, words.clone());
        Ok(Process { child, requests, answers, words, hello: Map::new(), has_hung: false })
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&mut self, verb: &str, told: Value, patience: Duration) -> Result<Map<String, Value>, Fault> {
        let mut request = Map::new();
        request.insert(verb.to_owned(), told);
        let mut line = json!(request).to_string().into_bytes();
        line.push(b'\n');
        // Where the process is gone, waiting for the answer says so.
        let _ = self.requests.send(line);
        let text = match self.answers.recv_timeout(patience) {
            Ok(Line::Text(text)) => text,
            Ok(Line::TooLong) => return Err(self.fault(format!("answered {verb:?} with more than a megabyte"))),
            Err(RecvTimeoutError::Timeout) => {
                self.has_hung = true;
                return Err(self.fault(format!("did not answer {verb:?} within {} s", patience.as_secs_f64())));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how = self.ended();
                return Err(self.fault(format!("ended {how}instead of answering {verb:?}")));
            }
        };
        let Ok(mut answer) = serde_json::from_slice::<Map<String, Value>>(&text) else {
            let shown: String = String::from_utf8_lossy(&text).chars().take(80).collect();
            return Err(self.fault(format!("answered {verb:?} with what is no JSON object: {shown:?}")));
        };
        match answer.remove("error") {
            None => Ok(answer),
            Some(error) => {
                let error = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
                Err(Fault::new(format!("the outside optimiser failed at {verb:?}: {error}")))
            }
        }
    }

    fn fault(&mut self, what: String) -> Fault {
        // What it last said may still be on its way; nothing more comes once it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        thread::sleep(GRACE / 10);
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let said = if words.is_empty() { String::new() } else { format!("; it last said: {words}") };
        Fault::new(format!("the outside optimiser's process {what}{said}"))
    }

    /// How it ended, if it did.
    fn ended(&mut self) -> String {
        for _ in 0..10 {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("({status}) "),
                Ok(None) => thread::sleep(GRACE / 10),
                Err(_) => break,
            }
        }
        String::new()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes what is sent, in a thread of its own: a process that does not read must not hang this one.
fn write_lines(mut input: impl Write + Send + 'static) -> Sender<Vec<u8>> {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for line in receiver {
            if input.write_all(&line).and_then(|()| input.flush()).is_err() {
                break;
            }
        }
    });
    sender
}

/// Reads lines until the output is closed, or one is too long.
fn read_lines(output: impl Read + Send + 'static) -> Receiver<Line> {
    // An answer is read when its request was sent, so more than a few lines are nothing but a flood.
    let (sender, receiver) = mpsc::sync_channel(4);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            match output.by_ref().take(LONGEST_ANSWER).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(n) if n as u64 == LONGEST_ANSWER && line.last() != Some(&b'\n') => {
                    let _ = sender.send(Line::TooLong);
                    break;
                }
                Ok(_) => {
                    if sender.send(Line::Text(line)).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

/// Keeps the end of what is read.
fn keep_last(mut errors: impl Read + Send + 'static, words: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut chunk = [0; 1024];
        while let Ok(n) = errors.read(&mut chunk) {
            if n == 0 {
                break;
            }
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(&chunk[..n]);
            let surplus = words.len().saturating_sub(LAST_WORDS);
            words.drain(..surplus);
        }
    });
}
