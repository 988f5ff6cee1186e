//! Starts and stops examples.
//!
//! `cargo test -p tidewire-examples` builds the examples first. With `--test NAME`, cargo does not
//! build them again.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Every example takes less than a second. A busy machine may need more.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running example. It is killed when dropped, so that a failed test leaves no process behind.
pub struct Running {
    pub child: Child,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(name: &'static str, arguments: &[&str]) -> Self {
        let child = Command::new(executable(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Running { child, name }
    }

    /// Starts a server on a free port. The server prints its address at the end of its first line.
    pub fn serve(name: &'static str) -> (Self, String) {
        Running::serve_with(name, &[])
    }

    /// The same, with more arguments after the address.
    pub fn serve_with(name: &'static str, arguments: &[&str]) -> (Self, String) {
        let mut running = Running::start(name, &[&["127.0.0.1:0"], arguments].concat());
        let mut out = BufReader::new(running.child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = send.send(out.read_line(&mut line).map(|_| line));
            // Keeps reading, so that the server can print.
            let _ = std::io::copy(&mut out, &mut std::io::sink());
        });
        let line =
            receive.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name} prints no address")).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        (running, address)
    }

    /// Starts a server with these arguments. Returns the address at the end of its first line, and
    /// the lines that follow.
    pub fn logging(name: &'static str, arguments: &[&str]) -> (Self, String, mpsc::Receiver<String>) {
        let mut running = Running::start(name, arguments);
        let out = BufReader::new(running.child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        let line = receive.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name} prints no address"));
        (running, line.rsplit('/').next().unwrap().to_owned(), receive)
    }

    /// Waits for the end of the example, which must come in time and without an error. Returns the
    /// output.
    pub fn end(mut self) -> String {
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

/// Returns the path of an example. The examples are next to the folder of this test:
/// `target/debug/{deps/run-…,examples/NAME}`.
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

/// Asserts that `printed` has these lines (or parts of lines), in this order.
#[track_caller]
pub fn has(printed: &str, parts: &[&str]) {
    let mut rest = printed;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("{part:?} is missing (or out of order) in:\n{printed}"),
        }
    }
}

/// Sends bytes and reads until the server closes.
pub fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Runs a client, with a time limit.
pub fn client<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.unwrap() })
}
