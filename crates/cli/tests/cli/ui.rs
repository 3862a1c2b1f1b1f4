//! The dashboard as a command: where it is, what it refuses, and that a signal ends it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::support::Bench;

/// Begins `ui`; the process, and the address that it says.
fn begun(bench: &Bench) -> (Child, String) {
    let mut command = bench.command("ui --listen 127.0.0.1:0");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").expect("stdout says where it is").to_owned();
    (child, address)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[cfg(unix)]
#[test]
fn the_dashboard_shows_studies_until_a_signal_ends_it() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let (child, address) = begun(&bench);
    let reply = get(&address, "/api/studies");
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("\"name\":\"small-1\""), "{reply}");
    assert!(get(&address, "/").contains("/assets/app.js"));
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let ran = bench.ran(child.wait_with_output().unwrap()).exits(0);
    assert!(ran.stderr.contains("the studies of"), "{ran}");
}

#[test]
fn it_listens_on_this_machine_only_and_tells_of_a_port_that_is_taken() {
    let bench = Bench::new();
    let ran = bench.run("ui --listen 0.0.0.0:0").exits(2);
    assert!(ran.stderr.contains("can be reached from other machines") && ran.stderr.contains("ssh -L"), "{ran}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = bench.run(&format!("ui --listen {}", taken.local_addr().unwrap())).exits(8);
    assert!(ran.stderr.contains("another program listens there"), "{ran}");
}
