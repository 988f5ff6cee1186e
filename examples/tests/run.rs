//! Runs every example for real: finite ones to their end, servers on a free port with clients that are not ours.

#![allow(clippy::unwrap_used)]

use std::env::consts::EXE_SUFFIX;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// None takes a second; a loaded machine may need more.
const PATIENCE: Duration = Duration::from_secs(30);

/// An example that runs. Killed when dropped, so that a failed test leaves nothing behind.
struct Running {
    child: Child,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(name: &'static str, arguments: &[&str]) -> Self {
        let child = Command::new(executable(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Running { child, name }
    }

    /// What it prints until it ends by itself, which must be in good order and in time.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let (mut printed, mut complaints) = (String::new(), String::new());
            let read = out.read_to_string(&mut printed).and_then(|_| err.read_to_string(&mut complaints));
            let _ = send.send(read.map(|_| (printed, complaints)));
        });
        let (printed, complaints) = match receive.recv_timeout(PATIENCE) {
            Ok(read) => read.unwrap(),
            Err(_) => panic!("{} does not end", self.name),
        };
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} ended with {status}: {printed}{complaints}", self.name);
        printed
    }
}

/// The examples lie beside the folder of this test's executable: `target/debug/{deps/run-…,examples/NAME}`.
fn executable(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.parent().unwrap().parent().unwrap().join("examples").join(format!("{name}{EXE_SUFFIX}"));
    assert!(
        path.exists(),
        "the example {name} is not built ({} is missing): run `cargo build -p tidewire-examples --examples`",
        path.display()
    );
    path
}

fn run(name: &'static str) -> String {
    Running::start(name, &[]).end()
}

/// Asserts that `printed` has these lines (or parts of lines), in this order.
#[track_caller]
fn has(printed: &str, parts: &[&str]) {
    let mut rest = printed;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("{part:?} is missing (or out of order) in:\n{printed}"),
        }
    }
}

mod techniques {
    use super::{has, run};

    const EVERYTHING: &str = "received: one, two, three, four\n";

    #[test]
    fn short_polling() {
        has(
            &run("01_short_polling"),
            &[
                "> GET /c/demo?since=earliest",
                "< HTTP/1.1 200",
                "hung up",
                "HTTP/1.1 304",
                "HTTP/1.1 200",
                EVERYTHING,
            ],
        );
    }

    #[test]
    fn long_polling() {
        let printed = run("02_long_polling");
        has(&printed, &["wait=25", "hung up", "· waiting", "· published: four", "HTTP/1.1 200", EVERYTHING]);
        assert_eq!(printed.matches("> GET").count(), 3, "one request for each answer");
    }

    #[test]
    fn sse() {
        let printed = run("03_sse");
        has(&printed, &["Accept: text/event-stream", "< data: two", "hung up", "> Last-Event-ID: "]);
        has(&printed, &["< data: three", "· published: four", "< data: four", EVERYTHING]);
    }

    #[test]
    fn websocket() {
        let printed = run("04_websocket");
        has(
            &printed,
            &["> Upgrade: websocket", "< HTTP/1.1 101", "< 81 2", "> 88 82 ", "< 88 02", "hung up"],
        );
        has(&printed, &["hung up", "· published: four", EVERYTHING]);
    }

    #[test]
    fn streaming() {
        let printed = run("05_streaming");
        has(&printed, &["feed=stream", "(a chunk of ", "\"data\":\"two\"", "hung up", "· published: four"]);
        has(&printed, &["\"data\":\"four\"", EVERYTHING]);
    }
}
