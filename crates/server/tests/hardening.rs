//! Connections that take what they do not need, over plain sockets: each is ended, and others are answered meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use agenttts_testkit::{Config, FaultServer};
use serde_json::json;
use support::{Found, Running, question};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SILENCE: Duration = Duration::from_millis(600);

/// A server that waits for nobody for long.
async fn impatient() -> (FaultServer, Found, Running) {
    let upstream = FaultServer::start(Config::default()).await.unwrap();
    let found = Found::over(&upstream).await;
    let mut options = found.options();
    options.silence = SILENCE;
    let server = Running::start(options).await;
    (upstream, found, server)
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends a byte every now and then, until the server closes or very long. Returns what it said.
async fn drip(stream: TcpStream, text: impl Iterator<Item = u8>) -> String {
    let (mut read, mut write) = stream.into_split();
    let mut said = Vec::new();
    let dripping = async {
        for byte in text {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = dripping => {}
        ended = tokio::time::timeout(Duration::from_secs(60), read.read_to_end(&mut said)) => {
            // A connection that is cut is closed as well.
            assert!(ended.is_ok(), "the server never closed the connection");
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends all of it, as far as the server takes it, and reads what it says.
async fn send(mut stream: TcpStream, text: &[u8]) -> String {
    let (mut read, mut write) = stream.split();
    let mut said = Vec::new();
    let writing = async {
        let _ = write.write_all(text).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = writing => {}
        ended = tokio::time::timeout(Duration::from_secs(60), read.read_to_end(&mut said)) => {
            assert!(ended.is_ok(), "the server never closed the connection");
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn endless_header() -> impl Iterator<Item = u8> {
    b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ".iter().copied().chain(std::iter::repeat(b'a'))
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_drip_end_the_connection_with_the_first_request_and_with_later_ones() {
    let (_upstream, _found, server) = impatient().await;
    let first = drip(connect(&server).await, endless_header());
    // One good request, then one that never ends.
    let later = async {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        drip(stream, endless_header()).await
    };
    // Two hundred of them keep nobody out.
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&server).await;
        stream.write_all(b"POST /v1/run HTTP/1.1\r\nhost: lo").await.unwrap();
        crowd.push(stream);
    }
    assert_eq!(server.chat(&question("1")).await.0, 200);
    let (first, _later) = tokio::join!(first, later);
    assert!(!first.contains("200 OK"), "{first}");
    for mut stream in crowd {
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut said)).await;
        let _ = ended.expect("the server never closed the connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_told_so() {
    let (_upstream, _found, server) = impatient().await;
    let head = "POST /v1/run HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\nconnection: close\r\n\r\n";
    let mut stream = connect(&server).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = drip(stream, std::iter::repeat(b' ')).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("request_timeout"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_a_size_and_a_number() {
    let (_upstream, _found, server) = impatient().await;
    let large = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    let address = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(1 << 20));
    for (what, text) in [("1 MB in one", large), ("100,000", many), ("an address of 1 MB", address)] {
        let said = send(connect(&server).await, text.as_bytes()).await;
        // What was not read of the request may make the system forget the answer.
        let refused = ["431", "414", "400"].iter().any(|status| said.starts_with(&format!("HTTP/1.1 {status}")));
        assert!(said.is_empty() || refused, "{what}: {said:.200}");
    }
    let few = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(50));
    let said = send(connect(&server).await, few.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(server.chat(&question("1")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_has_the_same_bounds() {
    let (_upstream, _found, server) = impatient().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("{}/healthz", server.base);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    let large = client.get(&url).header("x", "a".repeat(1 << 20)).send().await;
    assert!(large.map_or(true, |response| response.status() == 431), "a header of 1 MB");
    let body = json!({"model": "sums", "input": {"question": "q\nanswer: 1"}});
    let reply = client.post(format!("{}/v1/run", server.base)).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    // A page says where it comes from, and HTTP/2 has no Host to compare that with.
    for (origin, status) in [(server.base.as_str(), 404), ("http://evil.example", 403)] {
        let stop = client.post(format!("{}/api/studies/none/stop", server.base));
        let reply = stop.header("x-agenttts", "1").header("origin", origin).send().await.unwrap();
        assert_eq!(reply.status(), status, "{origin}");
    }
}
