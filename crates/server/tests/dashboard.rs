//! The dashboard over a real store: what it says of a study, that it stops and resumes one, and whom it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::path::Path;
use std::time::Duration;

use agenttts_core::StudySummary;
use agenttts_engine::{
    Observers, PlanFile, SearchOptions, StopHandle, StudyContext, Workshop, load_pipeline, start_study,
};
use agenttts_server::{ServeOptions, Server};
use agenttts_store::Store;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const PIPELINE: &str = r#"
version = 1
name = "small"
plan_budget = { cost_model = "tokens", limit = 100000 }
search = { method = "rules", trials = 9, batch = 3 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.a = { provider = "fake", id = "p60-t4" }
models.b = { provider = "fake", id = "p90-t4" }

[[stages]]
name = "pick"
models = ["a", "b"]
samples = [1, 3]
prompt = "pick.j2"
max_tokens = 8
expected = { prompt_tokens = 20, decode_tokens = 4 }

[[stages]]
name = "answer"
models = ["a", "b"]
samples = [1, 4]
prompt = "answer.j2"
max_tokens = 8
metric = { kind = "exact-match", gold = "gold" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

/// A dashboard of a store in a folder of its own.
struct Bench {
    folder: TempDir,
    base: String,
    client: Client,
}

impl Bench {
    /// A dashboard; there is no store yet.
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let options = ServeOptions::local(address, Workshop::new("no-models".into()), folder.path().join("store.db"));
        let server = Server::bind(options).await.unwrap();
        let base = format!("http://{}", server.address().unwrap());
        tokio::spawn(server.run(std::future::pending(), Duration::ZERO));
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Bench { folder, base, client: Client::new() }
    }

    /// The same with a finished study.
    async fn searched() -> (Self, StudySummary) {
        let bench = Bench::new().await;
        let summary = search(bench.folder.path(), PIPELINE).await;
        (bench, summary)
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    /// What an address answers.
    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, &[], Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, &[("x-agenttts", "1")], body).await
    }

    /// Waits until the only study stands as wanted.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1200 {
            let glance = self.get("/api/studies").await["studies"][0].clone();
            if is_so(&glance) {
                return glance;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the study never stood as wanted");
    }
}

/// Searches a pipeline with fake models into the store of a folder.
async fn search(folder: &Path, pipeline: &str) -> StudySummary {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("pipeline.toml", pipeline);
    write("pick.j2", "Pick for {{ q }}.\nanswer: x<b>");
    write("answer.j2", "{{ q }} {{ pick }}\nanswer: {{ gold }}\nwrong: 1 | 2");
    let line = |i: u32| format!("{{\"id\": \"e/{i}\", \"q\": \"{i}?\", \"gold\": \"g{i}\"}}\n");
    write("search.jsonl", &(0..8).map(line).collect::<String>());
    write("test.jsonl", &(8..16).map(line).collect::<String>());
    let loaded = load_pipeline(folder, &|_| None).unwrap();
    let store = Store::open(&folder.join("store.db")).unwrap();
    let workshop = Workshop::new("no-models".into());
    let context = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
    start_study(&store, loaded, SearchOptions::default(), context).await.unwrap()
}

fn rows(page: &Value) -> &Vec<Value> {
    page.as_array().unwrap()
}

#[tokio::test]
async fn without_a_store_the_pages_say_how_to_begin() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/api/studies").await["studies"], json!([]));
    let page = bench.client.get(&bench.base).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<noscript>") && page.contains("agenttts search PIPELINE"), "{page}");
    assert!(!bench.folder.path().join("store.db").exists(), "looking makes no store");
}

#[tokio::test]
async fn a_study_is_told_as_its_summary_tells_it() {
    let (bench, summary) = Bench::searched().await;
    let study = bench.get("/api/studies/small-1").await;
    assert_eq!((&study["glance"]["state"], &study["glance"]["is_run"]), (&json!("done"), &json!(false)));
    assert_eq!(study["summary"]["archive"]["trials"], json!([]), "trials have pages of their own");
    assert_eq!(study["summary"]["recommended"]["trial"], summary.recommended.as_ref().unwrap().trial);
    assert_eq!(study["summary"]["spend"]["total"], json!(summary.spend.total));

    let plans = bench.get("/api/studies/small-1/plans").await;
    let front: Vec<u64> = rows(&plans["front"]).iter().map(|p| p["trial"].as_u64().unwrap()).collect();
    assert_eq!(front, summary.pareto.iter().map(|n| u64::from(*n)).collect::<Vec<_>>());
    assert_eq!(plans["is_recommended"], true);
    let insights = bench.get("/api/studies/small-1/insights").await;
    assert_eq!(insights["curves"], json!(summary.curves));

    // Guidelines stand beside the trials that they led to.
    let timeline = bench.get("/api/studies/small-1/guidelines").await;
    let told: Vec<(&Value, &Value)> = rows(&timeline["rounds"])
        .iter()
        .flat_map(|round| rows(&round["guidelines"]).iter().map(move |g| (&g["round"], &round["round"])))
        .collect();
    assert_eq!(told.len(), summary.archive.guidelines.len());
    assert!(!told.is_empty(), "the method rules writes guidelines");
    for (written_after, round) in told {
        assert_eq!(written_after.as_u64().unwrap() + 1, round.as_u64().unwrap());
    }
}

/// The dashboard's own bookkeeping, which does not go through all plans at every trial, against the engine's.
#[tokio::test]
async fn the_best_so_far_is_what_the_search_said_at_the_time() {
    let bench = Bench::new().await;
    let partial = PIPELINE.replace("trials = 9, batch = 3", "trials = 14, batch = 3, examples_per_trial = 3");
    for method in ["\"rules\"", "\"random\""] {
        let summary = search(bench.folder.path(), &partial.replace("\"rules\"", method)).await;
        let progress = bench.get(&format!("/api/studies/{}/progress", summary.study)).await;
        let store = Store::open(&bench.folder.path().join("store.db")).unwrap();
        let id = store.study(&summary.study).unwrap().id;
        let mut compared = 0;
        for (_, _, json) in store.events(id, 0).unwrap() {
            let event: Value = serde_json::from_str(&json).unwrap();
            if event["event"] == "trial-measured" {
                let led = rows(&progress["leads"]).iter().rfind(|l| l["since"].as_u64() <= event["trial"].as_u64());
                assert_eq!(led.unwrap()["trial"], event["leader"]["trial"], "after trial {}", event["trial"]);
                assert_eq!(led.unwrap()["mean"], event["leader"]["objective"]["mean"]);
                compared += 1;
            }
        }
        assert_eq!(compared, summary.archive.trials.len());
    }
}

#[tokio::test]
async fn trials_come_in_pages_sorted_and_filtered() {
    let (bench, summary) = Bench::searched().await;
    let all = summary.archive.trials.len();
    let page = bench.get("/api/studies/small-1/trials?sort=objective&down=true&limit=4").await;
    assert_eq!((page["total"].as_u64(), rows(&page["rows"]).len()), (Some(all as u64), 4));
    let means: Vec<f64> = rows(&page["rows"]).iter().map(|r| r["objective"]["mean"].as_f64().unwrap()).collect();
    assert!(means.is_sorted_by(|a, b| a >= b), "{means:?}");
    let rest = bench.get("/api/studies/small-1/trials?sort=objective&down=true&offset=4").await;
    assert_eq!(rows(&rest["rows"]).len(), all - 4);
    let found = bench.get("/api/studies/small-1/trials?q=b%20x4%20vote").await;
    let has_all = |words: String| ["b", "x4", "vote"].iter().all(|w| words.contains(w));
    let of_words = summary.archive.trials.iter().filter(|t| has_all(t.plan.to_string()));
    assert_eq!(found["total"].as_u64(), Some(of_words.count() as u64));
    assert_eq!(bench.get("/api/studies/small-1/trials?fate=pending").await["total"], 0);

    let one = bench.get("/api/studies/small-1/trials/2").await;
    assert_eq!((one["before"].as_u64(), one["after"].as_u64()), (Some(1), Some(3)));
    let text = bench.client.get(format!("{}/api/studies/small-1/plan?trial=2", bench.base)).send().await.unwrap();
    let file = PlanFile::parse("plan.toml", &text.text().await.unwrap()).unwrap();
    assert_eq!(file.plan(), summary.archive.trials[1].plan);

    let compared = bench.get("/api/studies/small-1/compare?a=1&b=2").await;
    assert_eq!(compared["examples"], 8);
    assert_eq!(rows(&compared["better"]).iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 8);
}

#[tokio::test]
async fn an_example_shows_its_prompt_its_samples_and_the_vote() {
    let (bench, summary) = Bench::searched().await;
    let trial = summary.archive.trials.iter().find(|t| t.plan.choices[1].samples == 4).unwrap().number;
    let page = bench.get(&format!("/api/studies/small-1/trials/{trial}/examples?sort=objective")).await;
    assert_eq!((page["total"].as_u64(), &page["stages"]), (Some(8), &json!(["pick", "answer"])));
    let id = page["rows"][0]["example"].as_str().unwrap();
    let trace = bench.get(&format!("/api/studies/small-1/trials/{trial}/example?id={id}")).await;
    assert_eq!(trace["example"], id);
    assert_eq!(trace["fields"]["gold"], format!("g{}", id.trim_start_matches("e/")));
    let run = &trace["stages"][1]["runs"][0];
    assert!(run["prompt"][0]["content"].as_str().unwrap().contains("answer: g"), "{run}");
    assert_eq!(rows(&run["samples"]).len(), 4);
    assert_eq!(rows(&run["answers"]).iter().map(|a| a["votes"].as_u64().unwrap()).sum::<u64>(), 4);
    assert_eq!(rows(&run["answers"]).iter().filter(|a| a["won"] == true).count(), 1);
    let nowhere = format!("/api/studies/small-1/trials/{trial}/example?id=nope");
    let (status, fault) = bench.ask(Method::GET, &nowhere, &[], Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(fault["error"]["hint"].as_str().unwrap().contains("lists its examples"), "{fault}");
}

#[tokio::test]
async fn a_running_study_is_stopped_and_goes_on() {
    let bench = Bench::new().await;
    let slow = PIPELINE.replace("\"p60", "\"slow-100ms-p60").replace("\"p90", "\"slow-100ms-p90");
    let folder = bench.folder.path().to_owned();
    let searching =
        tokio::task::spawn_blocking(move || tokio::runtime::Runtime::new().unwrap().block_on(search(&folder, &slow)));
    bench.until(|s| s["is_run"] == true && s["trials"].as_u64() > Some(0)).await;
    let mut live = bench.client.get(format!("{}/api/studies/small-1/events?after=0", bench.base)).send().await.unwrap();
    let mut told = String::new();
    while !told.contains("\"event\":\"started\"") {
        told += &String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap());
    }

    // How far the present trial is: in the list, and told as it goes on.
    let glance = bench.until(|s| s["under_way"]["trial"].as_u64() > Some(0)).await;
    let done = |s: &Value| s["under_way"]["done"].as_u64().unwrap();
    assert!((0..=glance["under_way"]["total"].as_u64().unwrap()).contains(&done(&glance)), "{glance}");
    while !told.contains("\"under_way\":{\"trial\":") {
        told += &String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap());
    }

    let (status, body) = bench.post("/api/studies/small-1/resume", json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "one process at a time: {body}");
    let (status, body) = bench.post("/api/studies/small-1/stop", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(bench.until(|s| s["state"] == "interrupted").await["under_way"], Value::Null);
    assert_eq!(searching.await.unwrap().spend.lost_tokens, 0, "calls under way were awaited");
    while !told.contains("\"event\":\"stopped\"") {
        told += &String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap());
    }
    let (status, _) = bench.post("/api/studies/small-1/stop", json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "nothing runs any more");

    let (status, body) = bench.post("/api/studies/small-1/resume", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    bench.until(|s| s["state"] == "done").await;
    let study = bench.get("/api/studies/small-1").await;
    assert_eq!(study["resume_fault"], Value::Null);
    assert!(study["summary"]["confirmation"].is_object());
}

#[tokio::test]
async fn one_input_goes_through_two_plans() {
    let (bench, _) = Bench::searched().await;
    let plans = json!([{"study": "small-1"}, {"study": "small-1", "trial": 1}, {"study": "small-1", "trial": 999}]);
    let asked = json!({"fields": {"q": "7?", "gold": "g7"}, "plans": plans});
    let (status, replies) = bench.post("/api/playground", asked).await;
    assert_eq!(status, StatusCode::OK, "{replies}");
    assert_eq!(rows(&replies[0]["answer"]["stages"]).len(), 2);
    assert!(replies[1]["answer"]["usage"]["calls"].as_u64() > Some(0));
    assert!(replies[2]["fault"].as_str().unwrap().contains("no trial 999"), "{replies}");
    let (_, replies) = bench.post("/api/playground", json!({"fields": {}, "plans": [{"study": "small-1"}]})).await;
    assert!(replies[0]["fault"].as_str().unwrap().contains("fields"), "{replies}");
}

#[tokio::test]
async fn other_pages_can_neither_read_nor_change() {
    let (bench, _) = Bench::searched().await;
    let stop = "/api/studies/small-1/stop";
    for headers in [
        &[][..],
        &[("x-agenttts", "1"), ("sec-fetch-site", "cross-site")],
        &[("x-agenttts", "1"), ("origin", "https://evil.example")],
    ] {
        let (status, fault) = bench.ask(Method::POST, stop, headers, json!({})).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(fault["error"]["message"].is_string(), "{fault}");
    }
    let (status, _) = bench.ask(Method::GET, "/api/studies", &[("host", "evil.example")], Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a name of elsewhere may be made to point here");

    let page = bench.client.get(format!("{}/studies/small-1", bench.base)).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let text = page.text().await.unwrap();
    assert!(text.contains("href=\"/studies/small-1/report\""), "the list without JavaScript: {text}");
    let report = bench.client.get(format!("{}/studies/small-1/report", bench.base)).send().await.unwrap();
    assert!(report.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'sha256-"));
    assert!(report.text().await.unwrap().contains("small-1"));
}

#[tokio::test]
async fn files_are_sent_packed_and_once() {
    let bench = Bench::new().await;
    let url = format!("{}/assets/app.js", bench.base);
    let plain = bench.client.get(&url).send().await.unwrap();
    let tag = plain.headers()["etag"].clone();
    assert_eq!(plain.headers()["content-type"], "text/javascript; charset=utf-8");
    let whole = plain.bytes().await.unwrap().len();
    let packed = bench.client.get(&url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().len() * 2 < whole);
    let again = bench.client.get(&url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let none = bench.client.get(format!("{}/assets/none.js", bench.base)).send().await.unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_to_do() {
    let (bench, _) = Bench::searched().await;
    for path in ["/api/studies/small", "/api/studies/none/trials", "/api/studies/small-1/trials/99", "/api/nothing"] {
        let (status, fault) = bench.ask(Method::GET, path, &[], Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(fault["error"]["hint"].is_string(), "{path}: {fault}");
    }
    for path in ["/api/studies/small-1/trials?sort=colour", "/api/studies/small-1/trials/two"] {
        let (status, fault) = bench.ask(Method::GET, path, &[], Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(fault["error"]["message"].is_string() && fault["error"]["hint"].is_string(), "{path}: {fault}");
    }
}
