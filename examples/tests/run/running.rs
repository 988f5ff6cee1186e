//! Starts and stops examples.
//!
//! `cargo test -p tidewire-examples` builds the examples first. With `--test NAME`, cargo does not
//! build them again.

use std::env::consts::EXE_SUFFIX;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub use tidewire_testkit::deadline::{Deadline, Output, PATIENCE, tail};

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
        // After this line, the thread of the output keeps reading, so that the server can print.
        let line = Output::of(running.child.stdout.take().unwrap()).line("an address");
        let line = line.unwrap_or_else(|| panic!("{name} prints no address"));
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        (running, address)
    }

    /// Starts a server with these arguments. Returns the address at the end of its first line, and
    /// the lines that follow.
    pub fn logging(name: &'static str, arguments: &[&str]) -> (Self, String, Output) {
        let mut running = Running::start(name, arguments);
        let mut log = Output::of(running.child.stdout.take().unwrap());
        let line = log.line("an address").unwrap_or_else(|| panic!("{name} prints no address"));
        (running, line.rsplit('/').next().unwrap().to_owned(), log)
    }

    /// Waits for the end of the example, which must come in time and without an error. Returns the
    /// output.
    pub fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let (out, err) = (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let (out, err) = (Output::of(out), Output::of(err));
        let status = Deadline::soon().end(&mut self.child);
        let text = |output: Output| String::from_utf8(output.rest()).unwrap();
        let (printed, complaints) = (text(out), text(err));
        let Some(status) = status else {
            panic!("{} does not end within {PATIENCE:?}: {printed}{complaints}", self.name)
        };
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
    stream.write_all(bytes).unwrap();
    rest(&mut stream)
}

/// Reads until the server closes.
pub fn rest(stream: &mut TcpStream) -> String {
    read_while(stream, |_| true, "the end of the connection")
}

/// Reads byte by byte until `end` has come. Returns everything.
pub fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let text = read_while(stream, |text| !text.ends_with(end.as_bytes()), end);
    assert!(text.ends_with(end), "the connection ended before {end:?}: {text:?}");
    text
}

/// Reads byte by byte as long as `more` wants, or to the end of the connection. The deadline is for
/// all of it.
fn read_while(stream: &mut TcpStream, more: impl Fn(&[u8]) -> bool, awaited: &str) -> String {
    let (mut text, mut byte, deadline) = (Vec::new(), [0], Deadline::soon());
    while more(&text) {
        deadline.check(awaited, || tail(&text));
        deadline.limit(stream);
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => text.extend(byte),
            Err(error) => panic!("{error}, before {awaited:?}; what came instead: {}", tail(&text)),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs a client, with a time limit.
pub fn client<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(PATIENCE, future).await };
    runtime.block_on(limited).unwrap_or_else(|_| panic!("the client is not done within {PATIENCE:?}"))
}
