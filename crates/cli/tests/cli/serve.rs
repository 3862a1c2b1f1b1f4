//! A server as a command: what it exports by OpenTelemetry, and how its log finds the trace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStderr, Stdio};

use agenttts_testkit::OtlpReceiver;
use serde_json::Value;

use crate::support::Bench;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The first line of the log that holds a text.
fn line(log: &mut BufReader<ChildStderr>, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ends without {text:?}");
    }
    line
}

#[cfg(unix)]
#[test]
fn a_collector_that_the_environment_names_gets_the_trace_that_the_log_names() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let receiver = runtime.block_on(OtlpReceiver::start()).unwrap();
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let mut command = bench.command("serve small-1.plan.toml --listen 127.0.0.1:0 --log json");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()).env("OTEL_SERVICE_NAME", "plates");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let said = line(&mut log, "http://");
    let address = said.split_once("http://").unwrap().1.split_once("/v1").unwrap().0;

    let body = r#"{"model": "small-1", "input": {"question": "1 + 1?", "document": "a", "answer": 2}}"#;
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("POST /v1/run HTTP/1.1\r\nhost: {address}\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01");
    write!(stream, "{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");

    let logged: Value = serde_json::from_str(&line(&mut log, "\"request\"")).unwrap();
    assert_eq!(logged["fields"]["trace_id"], TRACE, "{logged}");
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success() && child.wait().unwrap().success());
    let received = receiver.received();
    assert!(!received.spans.is_empty() && !received.points.is_empty(), "the end sends what is left");
    assert!(received.spans.iter().all(|span| span.trace == TRACE && span.service == "plates"), "{received:?}");
}

#[test]
fn a_way_of_exporting_that_is_not_there_is_told_before_anything_begins() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let mut command = bench.command("serve small-1.plan.toml --listen 127.0.0.1:0 --otel");
    let ran = bench.ran(command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").output().unwrap());
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && ran.stderr.contains("http/protobuf"), "{ran}");
}
