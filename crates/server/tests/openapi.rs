//! The OpenAPI document: it is the one that the types make, it has every route, and what the server really says is in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeSet;

use agenttts_testkit::{Config, FaultServer};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Found, Running, question, with};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn document() -> Value {
    agenttts_server::openapi()
}

#[test]
fn the_committed_document_is_the_one_that_the_types_make() {
    let made = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &made).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap();
    let first = made.lines().zip(committed.lines()).position(|(a, b)| a != b);
    assert!(
        made == committed,
        "{FILE} is not what the types make, from line {first:?} on. \
         `UPDATE_OPENAPI=1 cargo test -p agenttts-server --test openapi` writes it anew; then read the difference",
    );
}

#[test]
fn references_resolve_schemas_are_schemas_and_operations_have_names_of_their_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path}: {name} is taken");
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{method} {path}");
        }
    }
    let mut stack = vec![&document];
    let mut used = BTreeSet::new();
    while let Some(value) = stack.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("only references within the document");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            used.insert(pointer.to_owned());
        }
        match value {
            Value::Array(items) => stack.extend(items),
            Value::Object(fields) => stack.extend(fields.values()),
            _ => {}
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        jsonschema::meta::validate(schema).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(used.contains(&format!("/components/schemas/{name}")), "nothing uses the schema {name}");
    }
}

/// A plan behind a server, with the study that it was found by.
async fn served() -> (FaultServer, Found, Running) {
    let upstream = FaultServer::start(Config::default()).await.unwrap();
    let found = Found::over(&upstream).await;
    let server = Running::start(found.options()).await;
    (upstream, found, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_answered_and_every_other_method_refused() {
    let (_upstream, _found, server) = served().await;
    for (path, methods) in document()["paths"].as_object().unwrap() {
        let at = path.replace("{study}", "sums").replace("{trial}", "1").replace("{name}", "sums");
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let url = format!("{}{at}", server.base);
            let request = server.client.request(method.clone(), url).header("x-agenttts", "1");
            // No body: what wants one says so, which is an answer.
            let response = request.timeout(std::time::Duration::from_secs(30)).send().await.unwrap();
            let is_there = methods.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(response.status() != 405, is_there, "{method} {path}: {}", response.status());
            assert!(!is_there || response.status() != 404, "{method} {path}: {}", response.status());
        }
    }
}

/// Finds what a value says that the schema does not know, too: unknown fields are as wrong as missing ones here.
struct Schemas {
    document: Value,
}

impl Schemas {
    fn new() -> Self {
        let mut document = document();
        for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            close(schema);
        }
        Schemas { document }
    }

    /// Whether a value is what this operation may answer with.
    fn check(&self, method: &str, path: &str, status: &str, kind: &str, value: &Value) {
        let reply = &self.document["paths"][path][method]["responses"][status];
        let reply = match reply["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => reply,
        };
        let content = &reply["content"][kind];
        let schema = content.get("x-event-data").unwrap_or(&content["schema"]);
        assert!(!schema.is_null(), "{method} {path}: nothing is said of {status} {kind}");
        let root = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema],
            "components": self.document["components"]});
        let validator = jsonschema::validator_for(&root).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(value).map(|e| format!("at {}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{method} {path}: {}\n{value:#}", errors.join("\n"));
    }
}

/// An object has the named fields and no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("unevaluatedProperties".into(), json!(false));
            }
            // What is put together of several schemas is closed as a whole.
            for (name, inner) in fields.iter_mut().filter(|(name, _)| *name != "allOf" && *name != "default") {
                let _ = name;
                close(inner);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_serving_api_says_is_in_the_document() {
    let (_upstream, _found, server) = served().await;
    let schemas = Schemas::new();
    let json = "application/json";
    let ours = json!({"agenttts": {"trace": true}, "n": 2, "temperature": 1});
    let (_, reply) = server.chat(&with(question("7"), ours)).await;
    schemas.check("post", "/v1/chat/completions", "200", json, &reply);
    let streamed = with(question("7"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let failing = with(question("7"), json!({"stream": true, "agenttts": {"limits": {"calls": 0}}}));
    for body in [streamed, failing] {
        let text = server.post("/v1/chat/completions", &body).send().await.unwrap().text().await.unwrap();
        let events = text.lines().filter_map(|l| l.strip_prefix("data: ")).filter(|l| *l != "[DONE]");
        for event in events {
            let event: Value = serde_json::from_str(event).unwrap();
            schemas.check("post", "/v1/chat/completions", "200", "text/event-stream", &event);
        }
    }
    let prompt = json!({"model": "sums", "prompt": "q\nanswer: 5"});
    let run = json!({"model": "sums", "input": {"question": "q\nanswer: 5"}, "trace": true});
    for (path, body) in [("/v1/completions", prompt), ("/v1/run", run)] {
        let reply = server.post(path, &body).send().await.unwrap().json().await.unwrap();
        schemas.check("post", path, "200", json, &reply);
    }
    for (path, at) in [
        ("/v1/models", "/v1/models"),
        ("/v1/models/{name}", "/v1/models/sums@best"),
        ("/api/serving", "/api/serving"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        let (status, reply) = server.get(at).await;
        assert_eq!(status, 200, "{reply}");
        schemas.check("get", path, "200", json, &reply);
    }
    let reloaded = server.post("/api/serving/reload", &json!({})).send().await.unwrap().json().await.unwrap();
    schemas.check("post", "/api/serving/reload", "200", json, &reloaded);
    let (status, wrong) = server.chat(&json!({"model": "none", "messages": []})).await;
    assert_eq!(status, 404);
    schemas.check("post", "/v1/chat/completions", "default", json, &wrong);
    let (_, served) = server.get("/openapi.json").await;
    assert_eq!(served, document());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dashboard_says_is_in_the_document() {
    let (_upstream, _found, server) = served().await;
    let schemas = Schemas::new();
    let json = "application/json";
    let study = "/api/studies/{study}";
    for (path, query) in [
        ("", ""),
        ("/trials", "?sort=objective&down=true&limit=3"),
        ("/trials/{trial}", ""),
        ("/trials/{trial}/examples", "?only=imperfect"),
        ("/trials/{trial}/example", "?id=1"),
        ("/progress", ""),
        ("/plans", ""),
        ("/insights", ""),
        ("/guidelines", ""),
        ("/compare", "?a=1&b=2"),
    ] {
        let path = format!("{study}{path}");
        let at = path.replace("{study}", "sums").replace("{trial}", "1");
        // What is dear to make comes later.
        for _ in 0..100 {
            let (status, reply) = server.get(&format!("{at}{query}")).await;
            assert_eq!(status, 200, "{at}: {reply}");
            schemas.check("get", &path, "200", json, &reply);
            if reply.get("complete") != Some(&json!(false)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let (_, list) = server.get("/api/studies").await;
    schemas.check("get", "/api/studies", "200", json, &list);
    let (status, wrong) = server.get("/api/studies/none").await;
    assert_eq!(status, 404);
    schemas.check("get", study, "default", json, &wrong);

    let ours = |path: &str, body: &Value| server.post(path, body).header("x-agenttts", "1").send();
    let tried = json!({"fields": {"question": "q\nanswer: 5"}, "plans": [{"study": "sums"}, {"study": "none"}]});
    let replies = ours("/api/playground", &tried).await.unwrap().json().await.unwrap();
    schemas.check("post", "/api/playground", "200", json, &replies);
    let stopped = ours("/api/studies/sums/stop", &json!({})).await.unwrap();
    assert_eq!(stopped.status(), 409);
    let path = format!("{study}/stop");
    schemas.check("post", &path, "default", json, &stopped.json().await.unwrap());

    let mut events =
        server.client.get(format!("{}/api/studies/sums/events?after=0", server.base)).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("event: standing") {
        text.push_str(std::str::from_utf8(&events.chunk().await.unwrap().unwrap()).unwrap());
    }
    let path = format!("{study}/events");
    let data = text.lines().filter_map(|l| l.strip_prefix("data: ")).filter_map(|l| serde_json::from_str(l).ok());
    let seen: Vec<Value> = data.collect();
    assert!(seen.len() > 3, "{text}");
    seen.iter().for_each(|event| schemas.check("get", &path, "200", "text/event-stream", event));
}
