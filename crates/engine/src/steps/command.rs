//! A step that asks a program: started when it is first asked, kept running, and started again when it fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agenttts_core::pipeline::CommandSpec;
use serde_json::{Map, Value};

use super::StepAnswer;
use super::process::{Fault, Process, excerpt};
use crate::error::EngineError;

/// So many failures without an answer between them mean that the program is broken, not that examples are hard for it.
const MOST_IN_A_ROW: u32 = 5;

/// The program of a step.
pub(super) struct Program {
    step: String,
    spec: CommandSpec,
    program: PathBuf,
    folder: PathBuf,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    process: Option<Process>,
    in_a_row: u32,
    /// Why it is not asked any more.
    broken: Option<String>,
}

/// Why a program gave no output.
#[derive(Debug)]
pub(super) enum NoOutput {
    /// It said so itself.
    Said(String),
    /// It failed; the next time it may not.
    Lost(String),
    /// It is broken.
    Broken(EngineError),
}

impl Program {
    /// Finds the program; starts nothing.
    ///
    /// # Errors
    /// Where the folder or the program is not there.
    pub(super) fn find(step: &str, spec: &CommandSpec, folder: &Path) -> Result<Self, EngineError> {
        if !folder.is_dir() {
            return Err(EngineError::input(
                format!("step {step:?}: the folder {} is not there, in which its command runs", folder.display()),
                "bring the pipeline's folder back: programs of steps are not carried along",
            ));
        }
        let name = spec.command.first().map_or("", String::as_str);
        let program = locate(name, folder).ok_or_else(|| {
            EngineError::input(
                format!("step {step:?}: there is no program {name:?}"),
                "name a program on the PATH, or a file relative to the pipeline's folder such as \"./retrieve\"",
            )
        })?;
        Ok(Program {
            step: step.to_owned(),
            spec: spec.clone(),
            program,
            folder: folder.to_owned(),
            state: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a line, which ends with a newline; the output that its answer holds. One line at a time; `known` is asked
    /// first when it is this one's turn, since an equal line may have been answered in the meantime. A program that fails time
    /// and again is given up, unless this forgives: then it is started again every time.
    pub(super) async fn ask(
        &self,
        line: &[u8],
        forgives: bool,
        known: impl Fn() -> Option<StepAnswer>,
    ) -> Result<Value, NoOutput> {
        let mut state = self.state.lock().await;
        if let Some(answer) = known() {
            return answer.map_err(NoOutput::Said);
        }
        if let Some(message) = &state.broken {
            return Err(NoOutput::Broken(self.broken(message.clone())));
        }
        // Until the answer is there, the process is nobody's: a caller that goes away ends it with its half-read answer.
        let process = match state.process.take() {
            Some(running) => self.idle(running).await,
            None => None,
        };
        let fresh = process.is_none();
        let mut process = match process.map_or_else(|| self.start(), Ok) {
            Ok(process) => process,
            Err(message) => {
                state.broken = Some(message.clone()).filter(|_| !forgives);
                return Err(NoOutput::Broken(self.broken(message)));
            }
        };
        let patience = Duration::from_secs(self.spec.timeout_seconds.into());
        let mut answer = process.ask(line, patience).await;
        if !fresh && ended_well(&answer) {
            // Programs that answer a few lines and end are started again.
            process = match self.start() {
                Ok(process) => process,
                Err(message) => return Err(NoOutput::Broken(self.broken(message))),
            };
            answer = process.ask(line, patience).await;
        }
        let read = match answer {
            Ok(bytes) => read(&bytes),
            Err(fault) => Err(fault.to_string()),
        };
        match read {
            Ok(answer) => {
                state.in_a_row = 0;
                state.process = Some(process);
                answer.map_err(NoOutput::Said)
            }
            Err(what) => {
                state.in_a_row += 1;
                let message = self.message(&what, &process.last_words().await);
                if forgives || state.in_a_row < MOST_IN_A_ROW {
                    return Err(NoOutput::Lost(message));
                }
                let message = format!("step {:?} failed {MOST_IN_A_ROW} times in a row, at last: {message}", self.step);
                state.broken = Some(message.clone());
                Err(NoOutput::Broken(self.broken(message)))
            }
        }
    }

    /// The process, if it can be asked. What it said unasked is thrown away with it.
    async fn idle(&self, mut process: Process) -> Option<Process> {
        match process.is_idle().await {
            Ok(true) => Some(process),
            Ok(false) => None,
            Err(fault) => {
                tracing::warn!("step {:?}: its command {fault}; it is started again", self.step);
                None
            }
        }
    }

    fn start(&self) -> Result<Process, String> {
        Process::start(&self.program, self.spec.command.get(1..).unwrap_or_default(), &self.folder)
            .map_err(|e| format!("step {:?}: {} cannot be started: {e}", self.step, self.program.display()))
    }

    fn message(&self, what: &str, words: &str) -> String {
        let command = self.spec.command.join(" ");
        let said = if words.is_empty() { String::new() } else { format!("; it last said: {words}") };
        format!("the command `{command}` {what}{said}")
    }

    fn broken(&self, message: String) -> EngineError {
        let hint = "mend the program, then go on; it can be tried by hand: it reads one line of JSON and writes one";
        EngineError::program(message, hint)
    }
}

/// Whether a process that was asked before ended of its own will before it took notice of this question.
fn ended_well(answer: &Result<Vec<u8>, Fault>) -> bool {
    matches!(answer, Err(Fault::Ended { status: Some(status), begun: false }) if status.success())
}

/// An answer: its output, or the error that the program tells. `Err` where it is neither.
fn read(bytes: &[u8]) -> Result<Result<Value, String>, String> {
    let shown = || format!("wrote what is no answer: {:?}", excerpt(bytes));
    let mut answer: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| shown())?;
    match (answer.remove("output"), answer.remove("error")) {
        (Some(output), None) => Ok(Ok(output)),
        (None, Some(Value::String(error))) => Ok(Err(error)),
        (None, Some(error)) => Ok(Err(error.to_string())),
        _ => Err(shown()),
    }
}

/// The program that a command means: a path relative to the folder if it has a slash, else one on the PATH.
fn locate(name: &str, folder: &Path) -> Option<PathBuf> {
    if name.contains('/') || Path::new(name).is_absolute() {
        return Some(folder.join(name)).filter(|p| p.is_file());
    }
    if !cfg!(unix) {
        return Some(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_an_output_or_an_error() {
        assert_eq!(read(br#"{"output": [1]}"#), Ok(Ok(serde_json::json!([1]))));
        assert_eq!(read(br#"{"output": null}"#), Ok(Ok(Value::Null)));
        assert_eq!(read(br#"{"error": "no index"}"#), Ok(Err("no index".into())));
        for garbage in ["", "loading...", "[1]", "{}", r#"{"output": 1, "error": "x"}"#, "\u{fffd}", "{\"output\": 1"] {
            assert!(read(garbage.as_bytes()).unwrap_err().starts_with("wrote what is no answer"), "{garbage}");
        }
    }

    fn shell(script: &str) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Program::find("s", &CommandSpec { command, timeout_seconds: 20 }, Path::new("/")).unwrap()
    }

    async fn ask(program: &Program, line: &str) -> Result<Value, NoOutput> {
        program.ask(format!("{line}\n").as_bytes(), false, || None).await
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_fails_is_given_up_or_forgiven() {
        let program = shell("read line; exit 3");
        for _ in 0..MOST_IN_A_ROW + 2 {
            let failed = program.ask(b"1\n", true, || None).await.unwrap_err();
            assert!(matches!(&failed, NoOutput::Lost(why) if why.contains("exit")), "{failed:?}");
        }
        let program = shell("read line; exit 3");
        for _ in 1..MOST_IN_A_ROW {
            assert!(matches!(ask(&program, "1").await, Err(NoOutput::Lost(_))));
        }
        for _ in 0..2 {
            let Err(NoOutput::Broken(error)) = ask(&program, "1").await else { panic!("it is asked again") };
            assert_eq!(error.kind(), crate::error::EngineErrorKind::Program);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_ends_well_after_each_answer_is_started_for_the_next() {
        let program = shell(r#"read line; echo "{\"output\": $line}""#);
        for i in 0..8 {
            assert_eq!(ask(&program, &i.to_string()).await.unwrap(), i);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn long_lines_cross_each_other() {
        // It writes before it has read the whole question, and both are larger than a pipe holds.
        let program = shell(
            r#"while true; do printf '{"output": "'; head -c 300000 /dev/zero | tr '\0' x; echo '"}'; read line || exit; done"#,
        );
        let long = "y".repeat(1_000_000);
        assert_eq!(ask(&program, &long).await.unwrap().as_str().map(str::len), Some(300_000));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn failures_in_a_row_break_a_program_and_answers_between_them_do_not() {
        let fails = shell("read line; echo oh dear >&2; exit 3");
        for _ in 1..MOST_IN_A_ROW {
            let Err(NoOutput::Lost(message)) = ask(&fails, "1").await else { panic!("it failed") };
            assert!(message.contains("(exit status: 3); it last said: oh dear"), "{message}");
        }
        for _ in 0..2 {
            let Err(NoOutput::Broken(error)) = ask(&fails, "1").await else { panic!("it is broken") };
            assert!(error.to_string().contains("step \"s\" failed 5 times in a row"), "{error}");
        }
        let wavers = shell(r#"while read line; do [ "$line" = 0 ] && exit 1; echo '{"error": "no"}'; done"#);
        for i in 0..4 * MOST_IN_A_ROW {
            let answer = ask(&wavers, &(i % 2).to_string()).await;
            assert!(matches!((i % 2, answer), (0, Err(NoOutput::Lost(_))) | (1, Err(NoOutput::Said(_)))), "{i}");
        }
    }

    #[test]
    fn a_missing_program_or_folder_is_found_before_anything_is_asked() {
        let find = |name: &str, folder: &str| {
            let spec = CommandSpec { command: vec![name.to_owned()], timeout_seconds: 1 };
            Program::find("s", &spec, Path::new(folder)).map(drop).map_err(|e| e.to_string())
        };
        assert!(find("./nothing", "/").unwrap_err().contains("there is no program \"./nothing\""));
        assert!(find("no-such-program", "/").unwrap_err().contains("there is no program"));
        assert!(find("sh", "/no/folder").unwrap_err().contains("the folder /no/folder is not there"));
        assert!(find("sh", "/").is_ok() || !cfg!(unix));
    }
}
