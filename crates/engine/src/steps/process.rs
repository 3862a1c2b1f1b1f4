//! One running program that answers a line to every line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::budget::lock;

/// The longest answer, in bytes.
pub(super) const LONGEST_ANSWER: usize = 8 << 20;

/// So many bytes of what it wrote to standard error are kept for messages.
const LAST_WORDS: usize = 1_000;

/// How long a program that closed its output may take to end, and its last words to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// A running program. It is ended, with all that it started, when this is dropped.
pub(super) struct Process {
    child: Child,
    /// The process group, which is the program's own.
    group: Option<u32>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    words: Arc<Mutex<VecDeque<u8>>>,
    listener: JoinHandle<()>,
    /// Answers that it gave.
    pub(super) answered: u64,
}

/// Why there is no answer; the program is of no further use then.
#[derive(Debug)]
pub(super) enum Fault {
    /// It took too long.
    Timeout(Duration),
    /// It closed its output: with how it ended, if it did, and whether the answer had begun.
    Ended { status: Option<ExitStatus>, begun: bool },
    /// The answer is longer than [`LONGEST_ANSWER`].
    TooLong,
    /// It wrote more than one line.
    Chatty(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Timeout(most) => write!(f, "did not answer within {} s", most.as_secs_f64()),
            Fault::Ended { status, begun } => {
                f.write_str(if *begun { "ended in the middle of an answer" } else { "ended instead of answering" })?;
                match status {
                    Some(status) => write!(f, " ({status})"),
                    None => f.write_str(" (it closed its output and runs on)"),
                }
            }
            Fault::TooLong => write!(f, "wrote a line of more than {} MiB", LONGEST_ANSWER >> 20),
            Fault::Chatty(more) => write!(f, "wrote more than one line for one answer; the next begins {more:?}"),
        }
    }
}

impl Process {
    /// Starts a program in a folder. It is the first of a process group of its own, so that a person's Ctrl-C, which
    /// lets calls under way come to their end, does not reach it.
    pub(super) fn start(program: &Path, arguments: &[String], folder: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("it has no standard streams"));
        };
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let listener = tokio::spawn(keep_last(errors, words.clone()));
        let group = child.id();
        Ok(Process { child, group, input, output: BufReader::new(output), words, listener, answered: 0 })
    }

    /// Whether it still runs and has said nothing unasked. Finds what is there already and waits for nothing.
    pub(super) async fn is_idle(&mut self) -> Result<bool, Fault> {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return Ok(false);
        }
        match futures::poll!(std::pin::pin!(self.output.fill_buf())) {
            std::task::Poll::Ready(Ok(more)) if !more.is_empty() => Err(Fault::Chatty(excerpt(more))),
            std::task::Poll::Ready(_) => Ok(false),
            std::task::Poll::Pending => Ok(true),
        }
    }

    /// Sends a line, which ends with a newline, and waits for the line that answers it.
    pub(super) async fn ask(&mut self, line: &[u8], patience: Duration) -> Result<Vec<u8>, Fault> {
        let Process { input, output, .. } = self;
        let write = async {
            // Where it is gone, or does not read, waiting for the answer says so.
            let _ = input.write_all(line).await;
            let _ = input.flush().await;
            // The answer decides; the program need not read all that it was sent.
            std::future::pending::<Infallible>().await
        };
        let answer = async {
            tokio::select! {
                answer = read_line(output) => answer,
                never = write => match never {},
            }
        };
        match tokio::time::timeout(patience, answer).await {
            Err(_) => Err(Fault::Timeout(patience)),
            Ok(Err(ReadFault::TooLong)) => Err(Fault::TooLong),
            Ok(Err(ReadFault::Ended { begun })) => Err(Fault::Ended { status: self.status().await, begun }),
            Ok(Ok(answer)) if self.output.buffer().is_empty() => {
                self.answered += 1;
                Ok(answer)
            }
            Ok(Ok(_)) => Err(Fault::Chatty(excerpt(self.output.buffer()))),
        }
    }

    /// What it last wrote to standard error. Ends it first: nothing more comes then.
    pub(super) async fn last_words(mut self) -> String {
        self.kill();
        let _ = tokio::time::timeout(GRACE, &mut self.listener).await;
        let words: Vec<u8> = lock(&self.words).iter().copied().collect();
        String::from_utf8_lossy(&words).trim().to_owned()
    }

    /// How it ended, if it did.
    async fn status(&mut self) -> Option<ExitStatus> {
        tokio::time::timeout(GRACE, self.child.wait()).await.ok()?.ok()
    }

    /// Ends it and what it started.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.group.take().and_then(|g| i32::try_from(g).ok()) {
            // It may be gone already. While the group has members, its number is not given to another.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.start_kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.listener.abort();
    }
}

enum ReadFault {
    Ended { begun: bool },
    TooLong,
}

/// The next line, without its end.
async fn read_line(output: &mut BufReader<ChildStdout>) -> Result<Vec<u8>, ReadFault> {
    let mut line = Vec::new();
    loop {
        let more = match output.fill_buf().await {
            Ok(more) if !more.is_empty() => more,
            _ => return Err(ReadFault::Ended { begun: !line.is_empty() }),
        };
        let end = more.iter().position(|&b| b == b'\n');
        let taken = end.unwrap_or(more.len());
        if line.len() + taken > LONGEST_ANSWER {
            return Err(ReadFault::TooLong);
        }
        line.extend_from_slice(&more[..taken]);
        output.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(line);
        }
    }
}

async fn keep_last(mut errors: impl AsyncRead + Unpin, words: Arc<Mutex<VecDeque<u8>>>) {
    let mut chunk = [0; 4_096];
    while let Ok(n @ 1..) = errors.read(&mut chunk).await {
        let mut words = lock(&words);
        words.extend(&chunk[..n]);
        let excess = words.len().saturating_sub(LAST_WORDS);
        words.drain(..excess);
    }
}

/// The start of what a program wrote, for a message.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        shown.push_str(" ...");
    }
    shown
}
