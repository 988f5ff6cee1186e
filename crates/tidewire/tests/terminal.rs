//! `tidewire sub` and `tidewire pub` write no control characters of others to a terminal.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;

use common::server::{command, run};
use common::{Deadline, Output, Server};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tidewire::explain::terminal::acts_on_terminal;
use tidewire_client::{Client, Publish};

/// Which output of a command is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    Stdout,
    Stderr,
}

/// Runs the command to its end with one output on a terminal. Returns the text that arrived there,
/// with LF as line ends.
fn on_terminal(mut command: Command, which: Terminal) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    match which {
        Terminal::Stdout => command.stdout(theirs),
        Terminal::Stderr => command.stderr(theirs),
    };
    let output = Output::of(File::from(ours));
    // The command has the other end of the terminal open too, until the call returns.
    run(command);
    String::from_utf8(output.rest()).expect("a terminal gets UTF-8").replace("\r\n", "\n")
}

/// Bytes that are dangerous on a terminal, and how they are shown there.
const PAYLOADS: [(&[u8], &str); 8] = [
    (b"\x1b]52;c;aGFjaw==\x07 low", "·]52;c;aGFjaw==· low"),
    ("\u{9b}31m red".as_bytes(), "·31m red"),
    (b"\x9b31m \x90 8 bits", "\u{fffd}31m \u{fffd} 8 bits"),
    (b"over\rwritten\x08\x7f", "over·written··"),
    ("\u{202e}txt.exe \u{2066} \u{2028}".as_bytes(), "·txt.exe · ·"),
    (b"two\n\tlines\r\nand one", "two\n\tlines\r\nand one"),
    ("tide: 3 m, höher 🌊".as_bytes(), "tide: 3 m, höher 🌊"),
    (b"", ""),
];

async fn channel(server: &Server) -> String {
    let url = server.url("/c/escapes");
    let client = Client::new(&url).unwrap();
    for (payload, _) in PAYLOADS {
        client.publish(Publish::new(payload).with_content_type("text/plain")).await.unwrap();
    }
    url
}

fn sub(url: &str, more: &[&str]) -> Command {
    let count = PAYLOADS.len().to_string();
    let mut args = vec!["sub", url, "--since", "earliest", "--count", &count];
    args.extend(more);
    command(&args)
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_shown_on_a_terminal_and_raw_in_a_pipe() {
    let server = Server::start(&[]);
    let url = channel(&server).await;
    for feed in ["ws", "sse"] {
        let shown: String = PAYLOADS.iter().map(|(_, shown)| format!("{shown}\n")).collect();
        assert_eq!(on_terminal(sub(&url, &["--feed", feed]), Terminal::Stdout), shown);
    }
    // `run` reads text, but these bytes are no text.
    let mut child = sub(&url, &["--feed", "ws"]).spawn().unwrap();
    let output = Output::of(child.stdout.take().unwrap());
    assert!(Deadline::soon().end(&mut child).is_some_and(|status| status.success()));
    let output = output.rest();
    let raw: Vec<u8> = PAYLOADS.iter().flat_map(|(payload, _)| [payload, &b"\n"[..]].concat()).collect();
    assert_eq!(output.escape_ascii().to_string(), raw.escape_ascii().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_escapes_control_characters() {
    let server = Server::start(&[]);
    let url = channel(&server).await;
    let on_terminal = on_terminal(sub(&url, &["--json"]), Terminal::Stdout);
    let piped = run(sub(&url, &["--json"])).stdout;
    assert_eq!(on_terminal, piped);
    assert_eq!(piped.lines().count(), PAYLOADS.len());
    for (line, (payload, _)) in piped.lines().zip(PAYLOADS) {
        assert!(!line.contains(acts_on_terminal), "{line}");
        let object: Value = serde_json::from_str(line).unwrap();
        match std::str::from_utf8(payload) {
            Ok(text) => assert_eq!(object["data"], text),
            Err(_) => assert!(object["data_b64"].is_string(), "{line}"),
        }
    }
}

/// Starts a server that answers each request with the next of these statuses, and with control
/// characters that a terminal would obey. Returns its URL.
fn hostile(statuses: &'static [&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/c/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for status in statuses {
            let (mut socket, _) = listener.accept().unwrap();
            Deadline::soon().limit(&socket);
            let mut length = 0;
            let mut input = BufReader::new(socket.try_clone().unwrap());
            for line in input.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.parse().unwrap();
                }
            }
            let _ = input.read_exact(&mut vec![0; length]);
            let body = format!(
                "{{\"title\":\"\\u001b]0;owned\\u0007\",\"detail\":\"{}\\u202elive\\r\\u009b2J\"}}",
                "\u{9b}31m"
            );
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all((head + &body).as_bytes());
        }
    });
    url
}

#[test]
fn control_characters_in_errors_of_a_server_are_replaced_on_a_terminal() {
    let shown = "·]0;owned·: ·31m·live··2J";
    let url = hostile(&["400 Bad Request"]);
    assert_eq!(
        on_terminal(command(&["pub", &url, "x"]), Terminal::Stderr),
        format!("error: the server answered 400 {shown}\n")
    );
    let url = hostile(&["503 Service Unavailable", "403 Forbidden"]);
    let text = on_terminal(command(&["sub", &url, "--feed", "sse"]), Terminal::Stderr);
    let [notice, end] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text:?}") };
    assert!(
        notice.starts_with(&format!("tidewire: sse: the server answered 503 {shown}; next attempt in")),
        "{notice}"
    );
    assert_eq!(end, format!("error: the server answered 403 {shown}"));
    let piped = run(command(&["pub", &hostile(&["400 Bad Request"]), "x"])).stderr;
    assert_eq!(
        piped, "error: the server answered 400 \u{1b}]0;owned\u{7}: \u{9b}31m\u{202e}live\r\u{9b}2J\n",
        "unchanged if the output is no terminal"
    );
}

#[test]
fn a_204_ends_the_command() {
    let url = || hostile(&["204 No Content"]);
    let outcome = run(command(&["sub", &url(), "--feed", "sse"]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "tidewire: the server asks its readers to stop (204)\n");
    let outcome = run(command(&["sub", &url(), "--feed", "sse", "--count", "1"]));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
}
