//! Standard error or standard output fails: this must neither stop nor block the server.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::path::Path;
use std::process::Stdio;

use crate::common::server::{Running, command, run};
use crate::common::{Output, Raw, Server, eventually};
use crate::process::Folder;
use crate::{get, post};

/// The device on which every write fails with ENOSPC.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// Returns a pipe that is full and that nobody reads.
fn stalled() -> (PipeReader, PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        while writer.write(&vec![b'.'; size]).is_ok() {}
    }
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Returns a pipe whose reader is closed.
fn closed() -> PipeWriter {
    pipe().unwrap().1
}

/// Starts a server on a Unix socket, so that the test knows the address without its output.
fn start(folder: &Path, args: &[&str], stdout: Stdio, stderr: Stdio) -> Running {
    let listen = format!("unix:{}", folder.join("socket").display());
    let mut all = vec!["--listen", &listen, "--threads", "1", "--drain", "5"];
    all.extend(args);
    let mut command = command(&all);
    command.stdout(stdout).stderr(stderr);
    Running(command.spawn().unwrap())
}

fn connect(folder: &Path) -> Raw {
    let path = folder.join("socket");
    eventually("the server listens", || std::os::unix::net::UnixStream::connect(&path).is_ok());
    Raw::unix(&path)
}

/// Options that make the task that accepts connections log: each refused connection is a line of
/// level debug.
const LOUD: [&str; 4] = ["--log", "debug", "--max-connections", "1"];

/// Opens one connection more than the limit. It is refused and logged.
fn one_too_many(folder: &Path) {
    let mut refused = Raw::unix(&folder.join("socket"));
    assert_eq!(refused.response().status, 503);
}

/// For each way in which writing a log can fail: the server accepts and refuses connections,
/// answers requests, and drains when it is asked to stop.
#[test]
fn a_server_works_when_its_log_cannot_be_written() {
    let (unread, stalled) = stalled();
    for (name, stderr) in
        [("full", Stdio::from(full())), ("closed", closed().into()), ("stalled", stalled.into())]
    {
        let folder = Folder::new(&format!("log-{name}"));
        let server = start(&folder.0, &LOUD, Stdio::null(), stderr);
        let mut reader = connect(&folder.0);
        // The connection that checked whether the server listens may still be counted.
        eventually("there is room", || {
            reader = Raw::unix(&folder.0.join("socket"));
            reader.offer(get("/c/a", ""))
                && reader.response_or_end().is_some_and(|answer| answer.status == 200)
        });
        for _ in 0..20 {
            one_too_many(&folder.0);
            reader.send(post("/c/a", "", "x"));
            assert_eq!(reader.response().status, 201, "{name}");
        }
        drop(reader);
        eventually("accepting goes on", || {
            let mut next = Raw::unix(&folder.0.join("socket"));
            next.offer(get("/c/a", "")) && next.response_or_end().is_some_and(|answer| answer.status == 200)
        });
        let mut stream = Raw::unix(&folder.0.join("socket"));
        eventually("a stream is let in", || {
            stream = Raw::unix(&folder.0.join("socket"));
            stream.offer(get("/c/a?feed=sse", "")) && stream.until("\r\n").starts_with(b"HTTP/1.1 200")
        });
        server.terminate();
        let rest = String::from_utf8(stream.rest()).unwrap();
        assert!(rest.contains("retry: "), "{name}: the stream ends normally: {rest}");
        assert_eq!(server.join().code(), Some(0), "{name}");
    }
    drop(unread);
}

/// The server logs more than a stalled pipe and the buffer can hold. When the pipe is read again, a
/// line reports how many lines are missing.
#[test]
fn dropped_log_lines_are_counted() {
    let folder = Folder::new("log-dropped");
    let (unread, stalled) = stalled();
    let server = start(&folder.0, &LOUD, Stdio::null(), stalled.into());
    let mut reader = connect(&folder.0);
    eventually("there is room", || {
        reader = Raw::unix(&folder.0.join("socket"));
        reader.offer(get("/c/a", "")) && reader.response_or_end().is_some_and(|answer| answer.status == 200)
    });
    for _ in 0..10_000 {
        one_too_many(&folder.0);
    }
    let read = Output::of(unread);
    // The report is written when the pipe has room again, and the last lines when the server ends.
    reader.send(get("/c/a", ""));
    assert_eq!(reader.response().status, 200);
    drop(reader);
    server.terminate();
    assert_eq!(server.join().code(), Some(0));
    let text = String::from_utf8(read.rest()).unwrap();
    let refused = text.lines().filter(|line| line.contains("too many connections")).count();
    let dropped: usize = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.trim_start_matches('.')).ok())
        .filter_map(|line| line["fields"]["dropped"].as_u64())
        .sum::<u64>() as usize;
    assert!(dropped > 0 && refused > 0, "{refused} {dropped}");
    assert!(refused + dropped >= 10_000, "each line is there or counted: {refused} + {dropped}");
}

#[test]
fn a_server_works_when_its_standard_output_cannot_be_written() {
    let (unread, stalled) = stalled();
    for (name, stdout) in
        [("full", Stdio::from(full())), ("closed", closed().into()), ("stalled", stalled.into())]
    {
        let folder = Folder::new(&format!("greeting-{name}"));
        // TCP as well, so that the server prints commands to paste.
        let server = start(&folder.0, &["--listen", "127.0.0.1:0"], stdout, Stdio::null());
        assert_eq!(connect(&folder.0).send(get("/c/a", "")).response().status, 200, "{name}");
        server.terminate();
        assert_eq!(server.join().code(), Some(0), "{name}");
    }
    drop(unread);
}

/// A process that cannot start ends with status 1, even if its error cannot be written.
#[test]
fn an_error_that_cannot_be_written_is_an_exit_status() {
    let (unread, stalled) = stalled();
    for (name, stderr) in
        [("full", Stdio::from(full())), ("closed", closed().into()), ("stalled", stalled.into())]
    {
        let mut command = command(&["--listen", "nowhere"]);
        command.stdout(Stdio::null()).stderr(stderr);
        assert_eq!(Running(command.spawn().unwrap()).join().code(), Some(1), "{name}");
    }
    drop(unread);
}

/// As in a pipe to `head`, whose reader ends early.
#[test]
fn a_closed_output_is_no_error_of_a_command() {
    let server = Server::start(&[]);
    let url = server.url("/c/head");
    for args in [
        vec!["pub", &url, "x"],
        vec!["sub", &url, "--since", "earliest", "--count", "1", "--timeout", "20"],
        vec!["explain", &url, "--seconds", "20"],
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["--version"],
    ] {
        let mut command = command(&args);
        command.stdout(closed());
        let outcome = run(command);
        assert_eq!(
            (outcome.code, outcome.stderr.contains("panicked")),
            (Some(0), false),
            "{args:?}: {outcome:?}"
        );
        assert!(!outcome.stderr.contains("error"), "{args:?}: {outcome:?}");
    }
}

/// Other reasons why output cannot be written are errors.
#[test]
fn a_command_fails_if_the_disk_of_its_output_is_full() {
    let server = Server::start(&[]);
    let url = server.url("/c/full");
    for args in [
        vec!["pub", &url, "x"],
        vec!["sub", &url, "--since", "earliest", "--count", "1", "--timeout", "20"],
        vec!["explain", &url, "--seconds", "20"],
    ] {
        let mut command = command(&args);
        command.stdout(full());
        let outcome = run(command);
        assert_eq!(outcome.code, Some(1), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains("error: "), "{args:?}: {outcome:?}");
    }
}
