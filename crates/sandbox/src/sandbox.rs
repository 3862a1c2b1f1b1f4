//! Running jobs.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::enforcement::Enforcement;
use crate::error::SandboxError;
use crate::job::Job;
use crate::launcher::Launcher;
use crate::outcome::{Outcome, Output};
use crate::runtime::Runtime;
use crate::wire::{Answer, Layers, Spec, TOO_MUCH_OUTPUT};

/// Runs jobs, as many side by side as are asked for.
#[derive(Debug, Clone)]
pub struct Sandbox {
    runtime: Runtime,
    launcher: Launcher,
    layers: Layers,
    allow_weaker: bool,
}

impl Sandbox {
    /// A sandbox whose programs may read `runtime`, with the launcher that [`Launcher::find`] finds.
    ///
    /// # Errors
    /// [`SandboxError::NoLauncher`], and [`SandboxError::Unsupported`] on systems other than Linux.
    pub fn new(runtime: Runtime) -> Result<Self, SandboxError> {
        if cfg!(not(target_os = "linux")) {
            return Err(SandboxError::Unsupported);
        }
        Ok(Self::with_launcher(runtime, Launcher::find()?))
    }

    /// A sandbox that starts its runs with `launcher`.
    #[must_use]
    pub fn with_launcher(runtime: Runtime, launcher: Launcher) -> Self {
        let layers = Layers { namespaces: true, landlock: true, seccomp: true };
        Self { runtime, launcher, layers, allow_weaker: false }
    }

    /// Also runs where the system does not hold the [minimum](Enforcement::MINIMUM). For code that is trusted.
    #[must_use]
    pub fn allow_weaker(mut self) -> Self {
        self.allow_weaker = true;
        self
    }

    /// Does not use namespaces, as if the system had none.
    #[must_use]
    pub fn without_namespaces(mut self) -> Self {
        self.layers.namespaces = false;
        self
    }

    /// Does not use Landlock, as if the system had none.
    #[must_use]
    pub fn without_landlock(mut self) -> Self {
        self.layers.landlock = false;
        self
    }

    /// Does not use seccomp, as if the system had none.
    #[must_use]
    pub fn without_seccomp(mut self) -> Self {
        self.layers.seccomp = false;
        self
    }

    /// What this system enforces, found by running `/bin/true`, also where it is less than the minimum.
    ///
    /// # Errors
    /// As [`run`](Self::run), but never [`SandboxError::TooWeak`].
    pub async fn probe(&self) -> Result<Enforcement, SandboxError> {
        match self.run(&Job::new(["/bin/true"])).await {
            Ok(outcome) => Ok(outcome.enforced),
            Err(SandboxError::TooWeak(enforcement)) => Ok(*enforcement),
            Err(error) => Err(error),
        }
    }

    /// Runs `job` to its end or its limits. Dropping the future ends everything that the run has started.
    ///
    /// # Errors
    /// When the run could not be started: see [`SandboxError`]. A program that fails, or is stopped by a limit, is no error.
    pub async fn run(&self, job: &Job) -> Result<Outcome, SandboxError> {
        let spec = self.spec(job)?;
        let launch = |source| SandboxError::Launch { path: self.launcher.path(), source };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(launch)?;
        ours.set_nonblocking(true).map_err(launch)?;
        let control = UnixStream::from_std(ours).map_err(launch)?;

        let mut command = tokio::process::Command::from(self.launcher.command());
        // A group of its own: an interrupt at the terminal is for this program, which then closes the socket.
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(launch)?;
        drop(command);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());

        let too_much = Notify::new();
        let limit = job.limits.output_bytes;
        let (answer, stdout, stderr) = tokio::join!(
            converse(control, &spec, &too_much),
            collect(stdout, limit, &too_much),
            collect(stderr, limit, &too_much)
        );
        let status = child.wait().await;
        match answer {
            Ok(Some(Answer::Finished(finished))) => Ok(Outcome {
                exit: finished.exit,
                stdout,
                stderr,
                wall: finished.wall,
                cpu: finished.cpu,
                peak_memory_bytes: finished.peak_memory_bytes,
                killed_by: finished.killed_by,
                enforced: finished.enforced,
            }),
            Ok(Some(Answer::TooWeak(enforcement))) => Err(SandboxError::TooWeak(Box::new(enforcement))),
            Ok(Some(Answer::Failed(what))) => Err(SandboxError::Prepare(what)),
            Ok(None) => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(SandboxError::Broken(format!("{status} {}", stderr.text()).trim_end().to_string()))
            }
            Err(error) => Err(SandboxError::Broken(error.to_string())),
        }
    }

    fn spec(&self, job: &Job) -> Result<Spec, SandboxError> {
        let name = job.command.first().filter(|name| !name.is_empty()).ok_or(SandboxError::NoCommand)?;
        let path: Vec<String> = self.runtime.path.iter().map(|folder| folder.display().to_string()).collect();
        // A link to the folder would lead elsewhere inside.
        let folder = job.folder.as_ref().map(|folder| {
            folder.canonicalize().map_err(|error| SandboxError::Prepare(format!("{}: {error}", folder.display())))
        });
        let mut env = std::collections::BTreeMap::from([
            ("PATH".to_string(), path.join(":")),
            ("LANG".to_string(), "C.UTF-8".to_string()),
        ]);
        env.extend(job.env.clone());
        Ok(Spec {
            program: self.runtime.find(name)?,
            args: job.command.clone(),
            env,
            folder: folder.transpose()?,
            files: job.files.clone(),
            stdin: job.stdin.clone(),
            read_only: self.runtime.read_only.clone(),
            limits: job.limits.clone(),
            layers: self.layers,
            allow_weaker: self.allow_weaker,
        })
    }
}

/// Tells the launcher what to run and when there is too much output, and waits for its answer.
async fn converse(control: UnixStream, spec: &Spec, too_much: &Notify) -> std::io::Result<Option<Answer>> {
    let (reader, mut writer) = control.into_split();
    let mut line = serde_json::to_vec(spec)?;
    line.push(b'\n');
    // A launcher that stops early closes its end; what it said before is still to be read.
    let _ = writer.write_all(&line).await;
    let mut lines = BufReader::new(reader).lines();
    let mut told = false;
    loop {
        tokio::select! {
            line = lines.next_line() => {
                return line?.map(|line| serde_json::from_str(&line).map_err(Into::into)).transpose();
            }
            () = too_much.notified(), if !told => {
                told = true;
                let _ = writer.write_all(&[TOO_MUCH_OUTPUT]).await;
            }
        }
    }
}

/// Reads a stream to its end, and keeps its first `limit` bytes.
async fn collect(stream: Option<impl AsyncRead + Unpin>, limit: u64, too_much: &Notify) -> Output {
    let mut output = Output::default();
    let Some(mut stream) = stream else { return output };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let room = limit - output.bytes.len();
        output.bytes.extend_from_slice(&buffer[..count.min(room)]);
        if count > room && !output.truncated {
            output.truncated = true;
            too_much.notify_one();
        }
    }
    output
}
