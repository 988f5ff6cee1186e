//! Standard error and standard output that fail: no output may stop or block the server.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::process::Stdio;

use crate::common::server::{Running, command, run};
use crate::common::{Raw, Server, eventually};
use crate::process::Folder;
use crate::{get, post};

/// The device on which every write fails with ENOSPC.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A pipe in which not one more byte has room. Nobody reads it.
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

/// A pipe that nobody reads any more.
fn closed() -> PipeWriter {
    pipe().unwrap().1
}

/// A server on a Unix socket: it is found though it cannot say where it listens.
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

/// Makes the task that accepts connections log: a connection too many is a line of level debug.
const LOUD: [&str; 4] = ["--log", "debug", "--max-connections", "1"];

/// One connection more than are allowed, which is refused and logged.
fn one_too_many(folder: &Path) {
    let mut refused = Raw::unix(&folder.join("socket"));
    assert_eq!(refused.response().status, 503);
}

/// Each way in which a log cannot be written, with the whole life of a server: connections are accepted and refused, requests answered, and it
/// drains when it is asked to stop.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let (unread, stalled) = stalled();
    for (name, stderr) in
        [("full", Stdio::from(full())), ("closed", closed().into()), ("stalled", stalled.into())]
    {
        let folder = Folder::new(&format!("log-{name}"));
        let server = start(&folder.0, &LOUD, Stdio::null(), stderr);
        let mut reader = connect(&folder.0);
        // The connection that was made to see whether it listens may be counted still.
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
        assert!(rest.contains("retry: "), "{name}: the stream ends in good order: {rest}");
        assert_eq!(server.join().code(), Some(0), "{name}");
    }
    drop(unread);
}

/// More is logged than a stalled pipe and the buffer take. Who then reads the pipe finds how many lines are missing.
#[test]
fn lines_that_found_no_room_are_counted() {
    let folder = Folder::new("log-dropped");
    let (mut unread, stalled) = stalled();
    let server = start(&folder.0, &LOUD, Stdio::null(), stalled.into());
    let mut reader = connect(&folder.0);
    eventually("there is room", || {
        reader = Raw::unix(&folder.0.join("socket"));
        reader.offer(get("/c/a", "")) && reader.response_or_end().is_some_and(|answer| answer.status == 200)
    });
    for _ in 0..10_000 {
        one_too_many(&folder.0);
    }
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        unread.read_to_string(&mut text).unwrap();
        text
    });
    // The line that tells it comes when there is room, and the last ones when the server ends.
    reader.send(get("/c/a", ""));
    assert_eq!(reader.response().status, 200);
    drop(reader);
    server.terminate();
    assert_eq!(server.join().code(), Some(0));
    let text = read.join().unwrap();
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
fn a_greeting_that_nobody_can_read_stops_nothing() {
    let (unread, stalled) = stalled();
    for (name, stdout) in
        [("full", Stdio::from(full())), ("closed", closed().into()), ("stalled", stalled.into())]
    {
        let folder = Folder::new(&format!("greeting-{name}"));
        // TCP as well, so that there is something to paste.
        let server = start(&folder.0, &["--listen", "127.0.0.1:0"], stdout, Stdio::null());
        assert_eq!(connect(&folder.0).send(get("/c/a", "")).response().status, 200, "{name}");
        server.terminate();
        assert_eq!(server.join().code(), Some(0), "{name}");
    }
    drop(unread);
}

/// A process that cannot start says so, and ends whether or not somebody reads it.
#[test]
fn an_error_that_nobody_can_read_is_an_exit_status() {
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

/// Commands whose output is read by `head`, or by nobody.
#[test]
fn a_reader_that_left_is_no_error() {
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

/// Output that cannot be written for another reason is an error that is told.
#[test]
fn a_full_disk_under_the_output_of_a_command_is_an_error() {
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
