//! A folder with a small pipeline, the program run in it, and what it said with everything that changes left out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agenttts_testkit::{Config, FaultServer};
use serde_json::Value;
use tempfile::TempDir;

/// A pipeline on fake models: two stages, 8 search and 8 test examples.
const PIPELINE: &str = include_str!("pipeline.toml");

/// A folder of its own for one test.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Bench { dir: TempDir::new().unwrap() }
    }

    /// A folder with the small pipeline in `p`.
    pub(crate) fn new() -> Self {
        let bench = Bench::empty();
        bench.write("p/pipeline.toml", PIPELINE);
        bench.write("p/pick.j2", "Pick for {{ question }}.\nanswer: {{ document }}\nwrong: a | b | c\n");
        bench.write("p/answer.j2", "{{ question }} {{ pick }}\nanswer: {{ answer }}\n");
        let example = |i: u32| {
            let document = ["a", "b", "c"][i as usize % 3];
            serde_json::json!({"id": i, "question": format!("{i} + {i}?"), "document": document, "answer": i + i})
        };
        let lines = |from: u32| (from..from + 8).map(|i| example(i).to_string() + "\n").collect::<String>();
        bench.write("p/search.jsonl", lines(1));
        bench.write("p/test.jsonl", lines(101));
        bench
    }

    /// A file or folder of this bench.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes a file, which must hold `from`.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, text.replacen(from, to, 1));
        self
    }

    /// Changes the pipeline file.
    pub(crate) fn edit_pipeline(&self, from: &str, to: &str) -> &Self {
        self.edit("p/pipeline.toml", from, to)
    }

    /// Puts a server in the place of the fake models.
    pub(crate) fn on_server(&self, base_url: &str, more: &str) -> &Self {
        let text = self.read("p/pipeline.toml").replace("provider = \"fake\"", "provider = \"server\"");
        self.write(
            "p/pipeline.toml",
            format!("{text}\n[providers.server]\nkind = \"openai\"\nbase_url = \"{base_url}\"\nretries = 2\n{more}\n"),
        );
        self
    }

    /// The program with these arguments, separated by spaces, and nothing of the environment that could change it.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agenttts"));
        command
            .args(args.split_whitespace())
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &str) -> Ran {
        self.ran(self.command(args).output().unwrap())
    }

    /// What a finished program said.
    pub(crate) fn ran(&self, output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Ran {
            dir: self.dir.path().to_owned(),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// How the program ended and what it said.
pub(crate) struct Ran {
    dir: PathBuf,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, if the exit code is this one.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON: one document and nothing else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Standard output as lines of JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Exit code, standard output and standard error, without paths of this run.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "killed".into(), |code| code.to_string());
        let dir = |text: &str| text.replace(&self.dir.display().to_string(), "[DIR]");
        write!(
            f,
            "exit code: {code}\n----- stdout -----\n{}----- stderr -----\n{}",
            dir(&self.stdout),
            dir(&self.stderr)
        )
    }
}

/// Compares what the program said with what it is known to say, without times, ports and process ids.
macro_rules! snapshot {
    ($name:literal, $ran:expr) => {
        insta::with_settings!({
            filters => vec![
                (r"\b\d+\.\d+s\b", "[TIME]"),
                (r"\bdone in \d+s\b", "done in [TIME]"),
                (r#""seconds": ?[\d.e-]+"#, r#""seconds": [TIME]"#),
                (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
                (r"process \d+", "process [PID]"),
                (r"opened on \d{4}-\d{2}-\d{2}", "opened on [DAY]"),
            ],
            prepend_module_to_snapshot => false,
            snapshot_path => "snapshots",
        }, {
            insta::assert_snapshot!($name, $ran);
        });
    };
}
pub(crate) use snapshot;

/// A test server with a runtime of its own.
pub(crate) struct Server {
    runtime: tokio::runtime::Runtime,
    server: Option<FaultServer>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(FaultServer::start(config)).unwrap();
        Server { runtime, server: Some(server) }
    }

    pub(crate) fn get(&self) -> &FaultServer {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn base_url(&self) -> String {
        self.get().base_url()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// The trials of a summary as far as they must not depend on how often the search was stopped: number, plan, scores, cost.
pub(crate) fn trials(summary: &Value) -> Vec<Value> {
    let list = summary["archive"]["trials"].as_array().unwrap();
    list.iter()
        .map(|t| {
            let m = &t["state"]["measured"];
            serde_json::json!([
                t["number"],
                t["round"],
                t["plan"],
                t["stream"],
                t["span"],
                m["scores"],
                m["cost"],
                m["failures"]
            ])
        })
        .collect()
}

/// The store of a bench.
pub(crate) fn store(bench: &Bench) -> PathBuf {
    bench.path(".agenttts/store.db")
}

/// Whether a path exists.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// As [`snapshot!`], for names that are made by macros.
pub(crate) fn snapshot_named(name: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false, snapshot_path => "../snapshots"}, {
        insta::assert_snapshot!(name, text);
    });
}
