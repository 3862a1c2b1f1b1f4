//! What the tests of the server share: a plan that a real search found, behind a real server, over a model server that
//! misbehaves on demand.
#![allow(dead_code, reason = "every test file uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agenttts_engine::{
    Observers, SearchOptions, StopHandle, StudyContext, Workshop, load_pipeline, plan_file, start_study,
};
use agenttts_server::{PlanSource, ServeOptions, Server, ServerError};
use agenttts_store::Store;
use agenttts_testkit::{Config, FaultServer};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use pipeline::{PIPELINE, write_pipeline};

mod pipeline;

/// A folder with a plan file, found by a search over an upstream server without faults.
pub(crate) struct Found {
    pub(crate) folder: tempfile::TempDir,
}

impl Found {
    /// Searches. The plan's models are then at `upstream`, which may misbehave.
    pub(crate) async fn over(upstream: &FaultServer) -> Self {
        Found::of(PIPELINE, upstream).await
    }

    /// The same with a last stage that is the given lines of a pipeline file, and models that are always right and are tried
    /// three times.
    pub(crate) async fn with_last_stage(lines: &str, upstream: &FaultServer) -> Self {
        let (before, after) = PIPELINE.rsplit_once("samples = [1, 2, 4]").unwrap();
        let pipeline = format!("{before}{lines}{after}").replace("retries = 0", "retries = 2");
        Found::of(&pipeline.replace("p55", "p100").replace("p90", "p100"), upstream).await
    }

    async fn of(pipeline: &str, upstream: &FaultServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let healthy = FaultServer::start(Config::default()).await.unwrap();
        let found = Found { folder };
        found.search(&pipeline.replace("BASE_URL", &healthy.base_url()), "sums").await;
        healthy.stop().await;
        found.move_to(&upstream.base_url());
        found
    }

    /// Searches, and writes `NAME.plan.toml`.
    async fn search(&self, pipeline: &str, name: &str) {
        let folder = self.folder.path();
        write_pipeline(folder, pipeline);
        let loaded = load_pipeline(folder, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(&folder.join("store.db")).unwrap();
        let context = StudyContext { workshop: workshop(), observers: Observers::default(), stop: StopHandle::new() };
        let options = SearchOptions { study: Some(name.into()), ..SearchOptions::default() };
        start_study(&store, loaded, options, context).await.unwrap();
        let plan = plan_file(&store, name, None).unwrap();
        fs::write(self.file(name), plan.to_toml()).unwrap();
    }

    fn move_to(&self, base_url: &str) {
        let text = fs::read_to_string(self.file("sums")).unwrap();
        let old = text.lines().find(|l| l.starts_with("base_url = ")).unwrap().to_owned();
        fs::write(self.file("sums"), text.replace(&old, &format!("base_url = \"{base_url}\""))).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.plan.toml"))
    }

    /// Options that serve the plan on a free port.
    pub(crate) fn options(&self) -> ServeOptions {
        let address = "127.0.0.1:0".parse().unwrap();
        ServeOptions {
            plans: vec![PlanSource { name: None, file: self.file("sums") }],
            at_once: 8,
            queue: 8,
            deadline: Duration::from_secs(60),
            body: 100_000,
            ..ServeOptions::local(address, workshop(), self.folder.path().join("store.db"))
        }
    }
}

fn workshop() -> Workshop {
    Workshop::new(Path::new("no-models").into())
}

/// A server that answers.
pub(crate) struct Running {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    pub(crate) async fn start(options: ServeOptions) -> Self {
        let server = Server::bind(options).await.unwrap();
        let base = format!("http://{}", server.address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let wait = async {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(server.run(wait, Duration::from_secs(20)));
        Running { base, client: reqwest::Client::new(), stop, ended }
    }

    /// Asks it to end.
    pub(crate) fn stop(self) -> JoinHandle<Result<(), ServerError>> {
        drop(self.stop);
        self.ended
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).json(body)
    }

    pub(crate) async fn chat(&self, body: &Value) -> (u16, Value) {
        read(self.post("/v1/chat/completions", body).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.client.get(format!("{}{path}", self.base)).send().await.unwrap()).await
    }

    /// How the requests ended, over all plans.
    pub(crate) async fn outcomes(&self) -> Value {
        let (_, serving) = self.get("/api/serving").await;
        let mut sum = serde_json::Map::new();
        let plans = serving["plans"].as_array().unwrap();
        for plan in plans.iter().flat_map(|p| std::iter::once(p).chain(p["front"].as_array().unwrap())) {
            // The recommended plan is on the front as well, with the same traffic.
            for (outcome, count) in plan["traffic"]["requests"].as_object().unwrap() {
                sum.insert(outcome.clone(), count.clone());
            }
        }
        Value::Object(sum)
    }
}

pub(crate) async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A chat request whose right answer is `answer`.
pub(crate) fn question(answer: &str) -> Value {
    json!({"model": "sums", "messages": [{"role": "user", "content": format!("how much?\nanswer: {answer}")}]})
}

/// The body with more in it.
pub(crate) fn with(mut body: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}
