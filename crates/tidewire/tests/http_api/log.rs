//! Log lines that clients cause. A client must not be able to fill a disk with them.

use std::os::unix::net::UnixListener;

use crate::common::{Server, eventually};
use crate::{get, post};

/// Often enough that one line for each event would exceed the bound of the tests.
const TIMES: usize = 60;

/// Stops the server, and fails if each event wrote a log line at the default level.
fn assert_quiet(server: &Server, what: &str) {
    let log = server.log_to_stop();
    let written = log.lines().count();
    assert!(written <= TIMES / 10, "{what}, {TIMES} times: {written} lines\n{log}");
}

#[test]
fn readers_of_an_aborted_upload_do_not_each_write_a_log_line() {
    let server = Server::start(&[]);
    let put = "PUT /c/aborted HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    server.raw().send(put).half_close().rest();
    eventually("the mark of the abort", || {
        server.raw().send(get("/c/aborted", "")).response().text().contains("upload-aborted")
    });
    for _ in 0..TIMES {
        let rest = server.raw().send(get("/c/aborted?feed=raw&since=earliest", "")).rest();
        assert!(rest.starts_with(b"HTTP/1.1 200") && !rest.ends_with(b"0\r\n\r\n"), "cut");
    }
    assert_quiet(&server, "a cut reader");
}

#[test]
fn requests_for_an_unreadable_file_do_not_each_write_a_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let big = std::fs::File::create(folder.path().join("big")).unwrap();
    let server = Server::start(&["--files", folder.path().to_str().unwrap()]);
    for _ in 0..TIMES {
        assert_eq!(server.raw().send(get("/files/socket", "")).response().status, 404, "as a pipe");
    }
    for _ in 0..TIMES {
        big.set_len(64 << 20).unwrap();
        let mut raw = server.raw();
        raw.send(get("/files/big", "")).until("\r\n\r\n");
        big.set_len(1).unwrap();
        assert!((raw.rest().len() as u64) < 64 << 20, "cut");
    }
    assert_quiet(&server, "a socket in the folder, and a file that shrinks");
}

#[test]
fn refused_requests_do_not_each_write_a_log_line() {
    let server = Server::start(&["--max-message", "100", "--max-channels", "2"]);
    let requests = [
        "\0\0\0".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(10_000)),
        post("/c/a", "", &"x".repeat(200)),
        post("/c/a", "Transfer-Encoding: gzip\r\n", "x"),
        post("/c/a", "Origin: https://evil.example\r\n", "x"),
        "POST /c/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf".to_owned(),
        "PUT /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf".to_owned(),
        get("/c/a?since=nonsense", ""),
        get("/c/new-channel-each-time", ""),
        get("/c/a", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        get("/playground/wire", ""),
    ];
    for _ in 0..TIMES {
        for request in &requests {
            // The answer does not matter here, and the server may close at any point.
            server.raw().send(request).half_close().rest();
        }
    }
    assert_quiet(&server, "everything that is refused");
}
