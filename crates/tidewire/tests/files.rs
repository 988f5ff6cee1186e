//! Files under `/files/`: ranges, conditions, and no access to files outside the folder.
#![allow(clippy::unwrap_used)]

mod common;
#[cfg(unix)]
#[path = "files/links.rs"]
mod links;
#[path = "files/replaced.rs"]
mod replaced;

use std::path::PathBuf;

use common::{Raw, Response, Server};
use tempfile::TempDir;

/// A folder to serve, and beside it a file that must never be served.
struct Folder {
    temp: TempDir,
}

const DIGITS: &[u8] = b"0123456789";

impl Folder {
    fn new() -> Self {
        let folder = Folder { temp: tempfile::tempdir().unwrap() };
        std::fs::create_dir(folder.path("")).unwrap();
        std::fs::write(folder.temp.path().join("secret.txt"), "secret").unwrap();
        folder.write("digits.txt", DIGITS);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join("served").join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn serve(&self) -> Server {
        Server::start(&["--files", self.path("").to_str().unwrap()])
    }
}

/// Sends a request with these additional field lines, each with CR LF.
fn request(raw: &mut Raw, method: &str, path: &str, fields: &str) -> Response {
    raw.send(format!("{method} /files/{path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    if method == "HEAD" { raw.head_response() } else { raw.response() }
}

fn get(raw: &mut Raw, path: &str, fields: &str) -> Response {
    request(raw, "GET", path, fields)
}

/// Waits until the file has a date and a strong tag, and returns the response. A file that has just
/// changed may change again within the same date, so it has no date yet.
fn validated(raw: &mut Raw, path: &str) -> Response {
    let mut answer = None;
    common::eventually("a strong tag and a date", || {
        let got = get(raw, path, "");
        let strong = got.field("etag").is_some_and(|tag| tag.starts_with('"'));
        let is_done = strong && got.field("last-modified").is_some();
        answer = Some(got);
        is_done
    });
    answer.unwrap()
}

#[test]
fn a_response_with_a_whole_file_has_validators() {
    let folder = Folder::new();
    folder.write("clip.webm", &[7; 200_000]);
    folder.write("empty", b"");
    let server = folder.serve();
    let raw = &mut server.raw();
    let whole = validated(raw, "clip.webm");
    assert_eq!((whole.status, whole.body.len()), (200, 200_000));
    assert!(whole.body.iter().all(|&b| b == 7));
    for (name, value) in [
        ("content-type", "video/webm"),
        ("accept-ranges", "bytes"),
        ("content-length", "200000"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Origin"),
    ] {
        assert_eq!(whole.field(name), Some(value), "{name}");
    }
    let etag = whole.field("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong tag: {etag}");
    assert!(whole.field("last-modified").unwrap().ends_with(" GMT"));
    // HEAD gets the same without the body, and the connection stays open.
    let head = request(raw, "HEAD", "clip.webm", "Range: bytes=0-0\r\n");
    assert_eq!(
        (head.status, head.field("etag"), head.field("content-length")),
        (200, Some(etag), Some("200000"))
    );
    let empty = get(raw, "empty", "");
    assert_eq!((empty.status, empty.field("content-length")), (200, Some("0")));
    assert_eq!(empty.field("content-type"), Some("application/octet-stream"));
    // HTTP/1.0 gets the same with its own framing.
    let old = server.raw().send("GET /files/digits.txt HTTP/1.0\r\n\r\n").response();
    assert_eq!((old.status, old.text()), (200, "0123456789"));
}

#[test]
fn a_request_for_one_range_gets_that_range() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    for (range, status, content_range, body) in [
        ("bytes=0-", 206, Some("bytes 0-9/10"), "0123456789"),
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=8-100", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=5-4", 200, None, "0123456789"),
        ("lines=1-2", 200, None, "0123456789"),
        ("bytes=0-1,1-2", 200, None, "0123456789"),
    ] {
        let part = get(raw, "digits.txt", &format!("Range: {range}\r\n"));
        assert_eq!((part.status, part.text()), (status, body), "{range}");
        assert_eq!(part.field("content-range"), content_range, "{range}");
        assert_eq!(part.field("content-type"), Some("text/plain; charset=utf-8"), "{range}");
        assert!(part.field("etag").is_some(), "{range}");
    }
    let beyond = get(raw, "digits.txt", "Range: bytes=10-\r\n");
    assert_eq!((beyond.status, beyond.field("content-range")), (416, Some("bytes */10")));
    assert_eq!(beyond.field("content-type"), Some("application/problem+json"));
}

#[test]
fn a_request_for_several_ranges_gets_a_multipart_response() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    let answer = get(raw, "digits.txt", "Range: bytes=0-1, -2, 4-5\r\n");
    assert_eq!(answer.status, 206);
    assert_eq!(answer.field("content-range"), None, "it belongs to the parts");
    let media = answer.field("content-type").unwrap();
    let boundary = media.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, body: &str| {
        format!("Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{body}")
    };
    let want = format!(
        "--{boundary}\r\n{}\r\n--{boundary}\r\n{}\r\n--{boundary}\r\n{}\r\n--{boundary}--\r\n",
        part("0-1", "01"),
        part("8-9", "89"),
        part("4-5", "45")
    );
    assert_eq!(answer.text(), want);
    // Of these two ranges, only one exists, so the response is not multipart.
    let one = get(raw, "digits.txt", "Range: bytes=20-30,4-5\r\n");
    assert_eq!((one.status, one.text(), one.field("content-range")), (206, "45", Some("bytes 4-5/10")));
    let many: Vec<String> = (0..100).map(|_| "0-0".to_owned()).collect();
    assert_eq!(get(raw, "digits.txt", &format!("Range: bytes={}\r\n", many.join(","))).status, 200);
}

#[test]
fn conditional_requests_and_if_range_are_evaluated() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    let first = validated(raw, "digits.txt");
    let (etag, date) = (first.field("etag").unwrap(), first.field("last-modified").unwrap());
    let mut status = |fields: &str| {
        let answer = get(raw, "digits.txt", fields);
        assert!(answer.status == 412 || answer.field("etag") == Some(etag), "{fields:?}");
        if answer.status != 412 {
            assert_eq!(answer.field("cache-control"), Some("no-cache"), "{fields:?}");
            assert_eq!(answer.field("vary"), Some("Origin"), "{fields:?}");
        }
        assert!(answer.status != 304 || answer.body.is_empty());
        answer.status
    };
    assert_eq!(status(&format!("If-None-Match: {etag}\r\n")), 304);
    assert_eq!(status(&format!("If-None-Match: \"a,b\"\r\nIf-None-Match: W/{etag}\r\n")), 304);
    assert_eq!(status("If-None-Match: \"x\"\r\n"), 200);
    assert_eq!(status(&format!("If-Modified-Since: {date}\r\n")), 304);
    assert_eq!(status("If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n"), 200);
    assert_eq!(status("If-Modified-Since: soon\r\n"), 200);
    assert_eq!(status(&format!("If-Match: {etag}\r\n")), 200);
    assert_eq!(status("If-Match: \"x\"\r\n"), 412);
    assert_eq!(status("If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n"), 412);
    assert_eq!(status(&format!("Range: bytes=1-2\r\nIf-Range: {etag}\r\n")), 206);
    assert_eq!(status(&format!("Range: bytes=1-2\r\nIf-Range: {date}\r\n")), 206);
    assert_eq!(status(&format!("Range: bytes=1-2\r\nIf-Range: W/{etag}\r\n")), 200);
    assert_eq!(status("Range: bytes=1-2\r\nIf-Range: \"x\"\r\n"), 200);
    assert_eq!(status(&format!("Range: bytes=1-2\r\nIf-None-Match: {etag}\r\n")), 304);
    // The file changes, and so does its tag.
    folder.write("digits.txt", b"9876543210");
    let changed = get(raw, "digits.txt", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((changed.status, changed.text()), (200, "9876543210"));
    assert_ne!(changed.field("etag"), Some(etag));
}

#[test]
fn conditions_on_a_missing_file_are_ignored() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    for fields in ["If-Match: \"x\"\r\n", "If-None-Match: *\r\n", "Range: bytes=0-\r\nIf-Range: \"x\"\r\n"] {
        assert_eq!(get(raw, "none.txt", fields).status, 404, "{fields}");
    }
}

#[test]
fn nothing_outside_of_the_folder_is_served() {
    let folder = Folder::new();
    folder.write(".env", b"secret");
    folder.write("sub/page.txt", b"page");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../secret.txt", folder.path("up.txt")).unwrap();
        symlink(folder.temp.path().join("secret.txt"), folder.path("absolute.txt")).unwrap();
        symlink("..", folder.path("parent")).unwrap();
        symlink("/proc", folder.path("proc")).unwrap();
    }
    let server = folder.serve();
    let raw = &mut server.raw();
    for path in [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "sub/../../secret.txt",
        "sub/%2e%2e/%2E%2E/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..\\secret.txt",
        "..%5csecret.txt",
        "%252e%252e/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc/passwd",
        "up.txt",
        "absolute.txt",
        "parent/secret.txt",
        "proc/self/environ",
        "digits.txt%00.html",
        "digits.txt/",
        "digits.txt/x",
        ".env",
        "%2eenv",
        "none.txt",
        "sub%2fpage.txt",
        "sub//page.txt",
        "./digits.txt",
        "%c0%ae%c0%ae/secret.txt",
    ] {
        let answer = get(raw, path, "");
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{path}");
        assert!(!answer.text().contains("secret\""), "{path}: {answer:?}");
    }
    assert_eq!(get(raw, "sub/page.txt", "").text(), "page");
    assert_eq!(get(raw, "sub/%70age.txt", "").text(), "page");
}

#[test]
fn folders_have_an_index_and_no_listing() {
    let folder = Folder::new();
    folder.write("site/index.html", b"<p>hello");
    folder.write("bare/file.txt", b"x");
    let server = folder.serve();
    let raw = &mut server.raw();
    let index = get(raw, "site/", "");
    assert_eq!((index.status, index.text()), (200, "<p>hello"));
    assert_eq!(index.field("content-type"), Some("text/html; charset=utf-8"));
    let moved = get(raw, "site", "");
    assert_eq!((moved.status, moved.field("location")), (308, Some("/files/site/")));
    for none in ["", "bare/"] {
        assert_eq!(get(raw, none, "").status, 404, "{none:?}");
    }
    let put = request(raw, "DELETE", "digits.txt", "");
    assert_eq!((put.status, put.field("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[test]
fn a_file_is_not_read_ahead_for_a_client_that_does_not_read() {
    const SIZE: u64 = 1 << 30;
    let folder = Folder::new();
    std::fs::File::create(folder.path("big.bin")).unwrap().set_len(SIZE).unwrap();
    let server = folder.serve();
    let before = (server.io("rchar"), server.memory_kib());
    let mut other = server.raw();
    assert_eq!(get(&mut other, "digits.txt", "").status, 200);
    let descriptors = server.descriptors();
    let mut clients: Vec<Raw> = (0..4).map(|_| server.raw()).collect();
    for client in &mut clients {
        client.send("GET /files/big.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(String::from_utf8_lossy(&client.until("\r\n\r\n")).contains("Content-Length: 1073741824"));
    }
    // The server reads until the buffers of the sockets are full, and then no more.
    server.calm();
    let read = server.io("rchar") - before.0;
    assert!(read < 64 << 20, "{read} bytes were read for clients that took nothing");
    let grown = server.memory_kib().saturating_sub(before.1);
    assert!(grown < 16 << 10, "{grown} KiB for four clients that take nothing");
    // The clients disconnect in the middle, as players do. This is no error, and nothing is leaked.
    drop(clients);
    server.settle(descriptors);
    assert_eq!(get(&mut other, "digits.txt", "").status, 200);
    let log = server.log_to_stop();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn a_file_that_shrinks_cuts_the_answer() {
    let folder = Folder::new();
    std::fs::File::create(folder.path("big.bin")).unwrap().set_len(64 << 20).unwrap();
    let server = folder.serve();
    let mut raw = server.raw();
    raw.send("GET /files/big.bin HTTP/1.1\r\nHost: h\r\n\r\n").until("\r\n\r\n");
    std::fs::File::options().write(true).open(folder.path("big.bin")).unwrap().set_len(1 << 20).unwrap();
    assert!((raw.rest().len() as u64) < 64 << 20, "bytes that the file does not have");
    assert_eq!(get(&mut server.raw(), "digits.txt", "").status, 200);
}

#[test]
fn files_need_the_option_and_an_existing_folder() {
    let bare = Server::start(&[]);
    let answer = get(&mut bare.raw(), "digits.txt", "");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--files"), "{answer:?}");
    let outcome = common::server::run(common::server::command(&["--files", "/nowhere/at/all"]));
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("--files /nowhere/at/all"), "{outcome:?}");
}

#[test]
fn a_listed_origin_may_read_files_and_upload() {
    let folder = Folder::new();
    let server = Server::start(&[
        "--files",
        folder.path("").to_str().unwrap(),
        "--allow-origin",
        "https://app.example",
    ]);
    let raw = &mut server.raw();
    let cross = "Origin: https://app.example\r\n";
    let part = get(raw, "digits.txt", &format!("{cross}Range: bytes=0-1\r\n"));
    assert_eq!(part.field("access-control-allow-origin"), Some("https://app.example"));
    let exposed = part.field("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Content-Range") && exposed.contains("ETag"), "{exposed}");
    let stranger = get(raw, "digits.txt", "Origin: https://evil.example\r\n");
    assert_eq!(stranger.field("access-control-allow-origin"), None, "the browser keeps it from the page");
    for (path, method) in [("/files/digits.txt", "GET"), ("/c/a", "PUT")] {
        raw.send(format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: h\r\n{cross}Access-Control-Request-Method: {method}\r\n\r\n"
        ));
        let preflight = raw.response();
        assert_eq!(preflight.status, 204, "{path}");
        let methods = preflight.field("access-control-allow-methods").unwrap();
        assert!(methods.split(", ").any(|one| one == method), "{path}: {methods}");
        assert!(preflight.field("access-control-allow-headers").unwrap().contains("Range"), "{path}");
    }
}

#[test]
fn every_range_of_an_empty_file_is_the_whole_file() {
    let folder = Folder::new();
    folder.write("empty.txt", b"");
    let server = folder.serve();
    let raw = &mut server.raw();
    let etag = validated(raw, "empty.txt").field("etag").unwrap().to_owned();
    for range in ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-5", "bytes=-0", "bytes=0-1,5-", "bytes=x"] {
        for condition in [String::new(), format!("If-Range: {etag}\r\n"), "If-Range: \"x\"\r\n".to_owned()] {
            let answer = get(raw, "empty.txt", &format!("Range: {range}\r\n{condition}"));
            let content = (answer.status, answer.field("content-length"), answer.field("content-range"));
            assert_eq!(content, (200, Some("0"), None), "{range} {condition}");
        }
    }
}
