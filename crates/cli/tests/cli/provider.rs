//! Providers that cannot be used: the variable, address or model is named, and the search can go on when it is mended.

use std::time::Duration;

use agenttts_testkit::{Certificate, Config, Fault};

use crate::support::{Bench, Server, snapshot};

#[test]
fn missing_key() {
    let bench = Bench::new();
    bench.on_server("http://127.0.0.1:9/v1", "api_key_env = \"SMALL_TEST_KEY\"");
    snapshot!("missing_key", bench.run("search p").exits(4));
}

#[test]
fn refused_key_is_never_shown() {
    let server = Server::start(Config { api_key: Some("right".into()), ..Config::default() });
    let bench = Bench::new();
    bench.on_server(&server.base_url(), "api_key_env = \"SMALL_TEST_KEY\"");
    let output = bench.command("search p").env("SMALL_TEST_KEY", "s3cret-wrong").output().unwrap();
    let ran = bench.ran(output).exits(4);
    assert!(!ran.to_string().contains("s3cret"), "{ran}");
    let found = std::fs::read(bench.path(".agenttts/store.db")).unwrap();
    assert!(!found.windows(6).any(|w| w == b"s3cret"), "the key is in the store");
    snapshot!("refused_key", ran);
}

#[test]
fn unreachable_server() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bench = Bench::new();
    bench.on_server(&format!("http://127.0.0.1:{port}/v1"), "");
    bench.edit_pipeline("retries = 2", "retries = 0");
    snapshot!("unreachable", bench.run("search p").exits(4));
    // The server comes up, and the search goes on.
    let _server = Server::start(Config { port, ..Config::default() });
    bench.run("search --resume small-1").exits(0);
}

#[test]
fn unknown_fake() {
    let bench = Bench::new();
    bench.edit_pipeline("id = \"p60-t4\"", "id = \"p600\"");
    snapshot!("unknown_fake", bench.run("search p").exits(4));
}

#[test]
fn wrong_model_name() {
    let server = Server::start(Config { models: vec!["p60-t4".into()], ..Config::default() });
    let bench = Bench::new();
    bench.on_server(&server.base_url(), "");
    // Every plan needs the missing model, so none is measured before it is asked for.
    bench.edit_pipeline("models = [\"little\", \"big\"]", "models = [\"big\"]");
    snapshot!("wrong_model", bench.run("search p").exits(4));
}

#[test]
fn passing_faults_are_waited_out() {
    let faults = Fault::transient().into_iter().map(|fault| (fault, 0.004)).collect();
    let server = Server::start(Config { faults, fault_seed: 4, ..Config::default() });
    let bench = Bench::new();
    bench.on_server(&server.base_url(), "");
    bench.edit_pipeline("retries = 2", "retries = 8").edit_pipeline("trials = 6", "trials = 3");
    let summary = bench.run("search p --json").exits(0).json();
    let trials = summary["archive"]["trials"].as_array().unwrap();
    assert!(trials.len() == 3 && trials.iter().all(|t| t["state"]["measured"]["failures"] == 0), "{trials:?}");
    let served = server.get().served();
    assert!(served.repeated() == 0, "a sample that came whole is not asked for again");
}

/// A server that offers HTTP/2 would have all calls share one connection, and its limit of streams: we take HTTP/1.1.
#[test]
fn a_server_with_a_certificate_of_its_own_gets_as_many_calls_at_once_as_are_allowed() {
    let certificate = Certificate::new().unwrap();
    let latency = Duration::from_millis(150);
    let server = Server::start(Config { tls: Some(certificate.clone()), latency, ..Config::default() });
    let bench = Bench::new();
    bench
        .on_server(&server.base_url(), "concurrency = 8\nadaptive = false")
        .edit_pipeline("retries = 2", "retries = 0");
    bench.edit_pipeline("trials = 6", "trials = 1");
    let ran = bench.run("search p").exits(4);
    assert!(ran.stderr.contains("certificate"), "{ran}");
    assert_eq!(server.get().served().requests, 0, "nobody trusts it yet");

    bench.write("ca.pem", &certificate.certificate);
    let mut command = bench.command("search --resume small-1");
    let ran = bench.ran(command.env("SSL_CERT_FILE", bench.path("ca.pem")).output().unwrap()).exits(0);
    assert!(ran.stdout.contains("largest once"), "{ran}");
    let served = server.get().served();
    assert_eq!((served.http.map(|version| format!("{version:?}")), served.most_at_once), (Some("HTTP/1.1".into()), 8));
}
