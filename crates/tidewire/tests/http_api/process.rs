//! The command: its start, its configuration and its stop.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::server::{command, run};
use crate::common::{Feed, Post, Raw, Server, Ws, eventually, narrow};
use crate::{get, json, piece, post, stream_head};

/// A folder for one test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidewire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_stop_ends_every_feed_normally() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--comet", "--threads", threads]);
        let cursor = Post::new("x").to(&server.address, "s");
        let mut jsonp = server.raw();
        jsonp.send(get("/c/s?feed=jsonp&callback=f&wait=55", ""));
        // Each feed with its last bytes: none, or the delimiter that closes a multipart body.
        let closing = Some(b"\r\n--tidewire--\r\n".to_vec());
        let mut comet =
            [("xhr", None), ("iframe", None), ("multipart", closing.clone()), ("replace", closing)].map(
                |(feed, last)| {
                    let mut raw = server.raw();
                    raw.send(get(&format!("/c/s?feed={feed}&since=now"), ""));
                    stream_head(&mut raw);
                    piece(&mut raw);
                    (feed, raw, last)
                },
            );
        let mut bytes = server.raw();
        bytes.send(get("/c/s?feed=raw&since=earliest", ""));
        stream_head(&mut bytes);
        assert_eq!(piece(&mut bytes), "x");
        let mut poll = server.raw();
        poll.send(get("/c/s?wait=55", ""));
        let mut sse = server.raw();
        sse.send(get("/c/s?feed=sse", ""));
        let mut stream = server.raw();
        stream.send(get("/c/s?feed=stream", ""));
        for raw in [&mut sse, &mut stream] {
            stream_head(raw);
            piece(raw);
        }
        let (mut bare, mut v1) = (Ws::bare(&server, "/c/s"), Ws::v1(&server, "/c/s"));
        v1.json();
        let mut idle = server.raw();
        assert_eq!(idle.send(get("/c/s", "")).response().status, 200);
        let mut old = server.raw();
        old.send("GET /c/s?feed=sse HTTP/1.0\r\n\r\n");
        stream_head(&mut old);
        server.calm();

        let start = Instant::now();
        server.terminate();
        let answer = poll.response();
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
        assert_eq!(json(&answer), json!({"messages": [], "cursor": cursor, "gap": null}), "answered at once");
        let script = format!("/**/f({{\"messages\":[],\"cursor\":\"{cursor}\",\"gap\":null}});\n");
        assert_eq!(jsonp.response().text(), script, "answered at once");
        for (feed, raw, last) in &mut comet {
            if let Some(last) = last {
                let chunk = raw.chunk().unwrap_or_default();
                assert!(chunk.ends_with(last), "{feed}: {}", chunk.escape_ascii());
            }
            assert_eq!(raw.chunk(), None, "{feed}: a normal end");
        }
        assert_eq!(bytes.rest(), b"", "an incomplete upload has no last chunk");
        let retry: u32 = piece(&mut sse).trim().strip_prefix("retry: ").unwrap().parse().unwrap();
        assert!((1_000..10_000).contains(&retry), "a random time: {retry}");
        assert_eq!(sse.chunk(), None, "a normal end");
        assert_eq!(stream.chunk(), None);
        assert_eq!(bare.closed().0, 1012);
        assert_eq!(v1.closed().0, 1012);
        assert!(String::from_utf8(old.rest()).unwrap().contains("retry: "));
        for raw in [&mut poll, &mut sse, &mut stream, &mut idle] {
            assert!(raw.rest().is_empty());
        }
        drop((bare, v1, old));
        assert!(start.elapsed() < Duration::from_secs(20), "at once: {:?}", start.elapsed());
        drop((poll, sse, stream, idle, comet, bytes, jsonp));
        let status = server.join();
        assert_eq!(status.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    }
}

#[test]
fn a_server_without_connections_stops_at_once() {
    let server = Server::start(&[]);
    let start = Instant::now();
    server.terminate();
    assert_eq!(server.join().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn an_acknowledged_message_reaches_its_readers_before_the_end() {
    let server = Server::start(&["--threads", "2"]);
    let mut readers: Vec<Raw> = (0..20)
        .map(|_| {
            let mut raw = server.raw();
            raw.send(get("/c/last?feed=stream", ""));
            stream_head(&mut raw);
            piece(&mut raw);
            raw
        })
        .collect();
    let mut publisher = server.raw();
    for n in 0..50 {
        publisher.send(post("/c/last", "", &format!("message {n}")));
        assert_eq!(publisher.response().status, 201);
    }
    server.terminate();
    for raw in &mut readers {
        for n in 0..50 {
            assert!(piece(raw).contains(&format!("\"message {n}\"")));
        }
        assert_eq!(raw.chunk(), None);
    }
    drop((readers, publisher));
    assert_eq!(server.join().code(), Some(0));
}

#[test]
fn a_reader_that_is_behind_gets_the_rest_when_the_server_stops() {
    let server = Server::start(&["--threads", "1"]);
    let mut readers = ["stream", "sse"].map(|feed| {
        let mut raw = Raw::over(narrow(&server.address));
        raw.send(get(&format!("/c/much?feed={feed}&since=now"), ""));
        stream_head(&mut raw);
        piece(&mut raw);
        raw
    });
    let mut publisher = server.raw();
    for n in 0..100 {
        publisher.send(post("/c/much", "", &format!("{n}:{}", "x".repeat(50_000))));
        assert_eq!(publisher.response().status, 201);
    }
    server.terminate();
    eventually("the server stops", || {
        !publisher.offer(post("/c/other", "", "x"))
            || publisher.response_or_end().is_none_or(|answer| answer.status == 503)
    });
    for raw in &mut readers {
        for n in 0..100 {
            assert!(piece(raw).contains(&format!("{n}:xx")), "{n}");
        }
    }
    assert!(piece(&mut readers[1]).starts_with("retry: "), "and a retry time");
    for raw in &mut readers {
        assert_eq!(raw.chunk(), None, "a normal end");
    }
    drop((readers, publisher));
    assert_eq!(server.join().code(), Some(0));
}

#[test]
fn the_drain_option_limits_the_time_of_a_stop() {
    let server = Server::start(&["--drain", "1"]);
    let mut stuck = server.raw();
    // A publish that is never finished.
    stuck.send("POST /c/s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    server.calm();
    let start = Instant::now();
    server.terminate();
    assert_eq!(server.join().code(), Some(0));
    let took = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

/// A stop under load: publishers, an upload, a download that nobody reads, active readers and stuck
/// ones. The active readers get every acknowledged message, and the server ends in time.
#[test]
fn a_stop_under_load_ends_in_time_and_loses_nothing() {
    let folder = Folder::new("stop");
    folder.file("large", &"0123456789abcdef".repeat(1 << 19));
    let server =
        Server::start(&["--comet", "--threads", "2", "--drain", "3", "--files", &folder.0.to_string_lossy()]);
    let open = |feed: &'static str| {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/busy?feed={feed}&since=now"), ""));
        stream_head(&mut raw);
        piece(&mut raw);
        (feed, raw, String::new())
    };
    let mut readers: Vec<_> = Feed::http_streams().into_iter().map(|(_, feed)| open(feed)).collect();
    let stuck: Vec<Raw> = [
        "/c/busy?feed=sse&since=earliest",
        "/c/film?feed=raw",
        "/files/large",
        "/c/busy?wait=50",
        "/c/quiet?wait=50",
    ]
    .map(|path| {
        let mut raw = server.raw();
        raw.send(get(path, ""));
        raw
    })
    .into();
    let mut upload = server.raw();
    upload.send("PUT /c/film HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n");
    let publishers: Vec<_> = (0..3)
        .map(|n| {
            let address = server.address.clone();
            std::thread::spawn(move || {
                let mut raw = Raw::connect(address);
                let mut acknowledged = 0_u32;
                // Until the server accepts no more: it refuses, or closes the connection.
                while raw.offer(post("/c/busy", "", &format!("<{n}-{acknowledged}>"))) {
                    let Some(answer) = raw.response_or_end() else { break };
                    if answer.status != 201 {
                        assert_eq!(
                            (answer.status, answer.field("retry-after")),
                            (503, Some("5")),
                            "{answer:?}"
                        );
                        break;
                    }
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect();
    // Wait until all publishers are active.
    let (_, first, seen) = &mut readers[0];
    while !["<0-20>", "<1-5>", "<2-5>"].iter().all(|message| seen.contains(message)) {
        *seen += &piece(first);
    }
    let start = Instant::now();
    server.terminate();
    for (_, raw, seen) in &mut readers {
        while let Some(chunk) = raw.chunk() {
            *seen += &String::from_utf8(chunk).unwrap();
        }
    }
    let acknowledged: Vec<u32> = publishers.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(server.join().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    drop((stuck, upload));
    for (publisher, count) in acknowledged.into_iter().enumerate() {
        assert!(count > 5, "the publishers were there when it stopped");
        let last = format!("{publisher}-{}", count - 1);
        for (feed, _, seen) in &readers {
            let seen = seen.replace("\\u003c", "<").replace("\\u003e", ">");
            assert!(seen.contains(&format!("<{last}>")), "{feed} ended without <{last}>");
        }
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let server = Server::start(&["--drain", "60"]);
    let mut stuck = server.raw();
    stuck.send("POST /c/s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    server.calm();
    server.terminate();
    eventually("the first signal to be taken", || TcpStream::connect(&server.address).is_err());
    server.terminate();
    assert_ne!(server.join().code(), Some(0), "a request was not finished");
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let server = Server::start(&["--threads", "2"]);
    // By another program, and by another Tidewire server: those two could share a port unnoticed.
    for address in [&address, &server.address] {
        for threads in ["1", "2"] {
            let outcome = run(command(&["--listen", address, "--threads", threads]));
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            assert!(outcome.stderr.contains(address) && outcome.stderr.contains("in use"), "{outcome:?}");
            assert!(outcome.stderr.contains("--listen"), "it says what to do: {outcome:?}");
            assert_eq!(outcome.stdout, "");
        }
    }
}

#[test]
fn addresses_that_other_machines_can_reach_need_public() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let outcome = run(command(&["--listen", address]));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("--public"), "{outcome:?}");
    }
    let server = Server::spawn(command(&["--listen", "0.0.0.0:0", "--public"]));
    assert!(server.address.starts_with("127.0.0.1:"), "an address that can be pasted: {}", server.address);
    assert_eq!(server.raw().send(get("/c/p", "")).response().status, 200);
}

#[test]
fn wrong_options_are_errors_that_name_them() {
    let folder = Folder::new("bad");
    let unknown = folder.file("unknown.toml", "retain-mesages = 7\n");
    let wrong = folder.file("wrong.toml", "threads = 'two'\n");
    for (args, says) in [
        (vec!["--listen", "nowhere"], "HOST:PORT"),
        (vec!["--listen", "8080"], "HOST:PORT"),
        (vec!["--heartbeat", "0"], "heartbeat"),
        (vec!["--allow-origin", "example.org"], "https://example.org"),
        (vec!["--threads", "many"], "threads"),
        (vec!["--config", "/nonexistent/tidewire.toml"], "/nonexistent/tidewire.toml"),
        (vec!["--config", &unknown], "retain-mesages"),
        (vec!["--config", &wrong], "threads"),
        (vec!["--log", "shout=loud=very"], "log"),
        (vec!["--no-such-option"], "--no-such-option"),
        (vec!["no-such-command"], "no-such-command"),
    ] {
        let outcome = run(command(&args));
        assert!(matches!(outcome.code, Some(1 | 2)), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(says), "{args:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{args:?}: {outcome:?}");
    }
}

/// Returns how many messages a server keeps, as an example of an option.
fn kept(server: &Server) -> usize {
    for _ in 0..12 {
        Post::new("x").to(&server.address, "kept");
    }
    json(&server.raw().send(get("/c/kept", "")).response())["messages"].as_array().unwrap().len()
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let folder = Folder::new("config");
    let file = folder.file(
        "tidewire.toml",
        "listen = ['127.0.0.1:0']\nretain-messages = 3\nallow-origin = ['https://app.example']\n",
    );
    let server = Server::spawn(command(&["--config", &file]));
    assert_eq!(kept(&server), 3);
    let answer = server.raw().send(get("/c/kept", "Origin: https://app.example\r\n")).response();
    assert_eq!(answer.field("access-control-allow-origin"), Some("https://app.example"));
    let mut environment = command(&["serve"]);
    environment
        .env("TIDEWIRE_CONFIG", &file)
        .env("TIDEWIRE_RETAIN_MESSAGES", "5")
        .env("TIDEWIRE_THREADS", "1");
    assert_eq!(kept(&Server::spawn(environment)), 5);
    let mut all = command(&["--config", &file, "--retain-messages", "7"]);
    all.env("TIDEWIRE_RETAIN_MESSAGES", "5").env("TIDEWIRE_LISTEN", "127.0.0.1:0,127.0.0.1:0");
    assert_eq!(kept(&Server::spawn(all)), 7);
}

#[test]
fn a_unix_socket_serves_the_same_channels() {
    let folder = Folder::new("unix");
    let path = folder.0.join("tidewire.sock");
    let unix = format!("unix:{}", path.display());
    let args = ["--listen", "127.0.0.1:0", "--listen", &unix, "--threads", "2"];
    let server = Server::spawn(command(&args));
    let mut reader = Raw::unix(&path);
    reader.send(get("/c/u?feed=stream", ""));
    stream_head(&mut reader);
    piece(&mut reader);
    Post::new("over TCP").to(&server.address, "u");
    assert!(piece(&mut reader).contains("over TCP"));
    assert_eq!(Raw::unix(&path).send(post("/c/u", "", "over unix")).response().status, 201);
    assert!(piece(&mut reader).contains("over unix"));
    let mut ws = Raw::unix(&path);
    ws.send(get(
        "/c/u",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ));
    assert_eq!(ws.response().status, 101);
    // A second server refuses the socket of a running server, and replaces that of a killed one.
    let outcome = run(command(&["--listen", &unix]));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("in use"), "{outcome:?}");
    drop(server);
    assert!(path.exists(), "a killed server cannot remove its socket");
    let server = Server::spawn(command(&args));
    assert_eq!(Raw::unix(&path).send(get("/c/u", "")).response().status, 200);
    drop(server);
    // A file that is not a socket is left unchanged.
    let file = folder.file("a-file", "precious");
    let outcome = run(command(&["--listen", &format!("unix:{file}")]));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn the_printed_commands_can_be_pasted() {
    let server = Server::start(&[]);
    let page =
        server.raw().send(get("/", "").replace("Host: x", &format!("Host: {}", server.address))).response();
    for line in page.text().lines().filter(|line| line.contains("curl")) {
        assert!(line.contains(&server.base()), "{line}");
    }
    let outcome = run(command(&["--help"]));
    assert_eq!(outcome.code, Some(0));
    for option in ["--listen", "--threads", "--public", "--retain-messages", "--allow-origin", "--config"] {
        assert!(outcome.stdout.contains(option), "{option}");
    }
    let outcome = run(command(&["--version"]));
    assert!(outcome.stdout.starts_with("tidewire "), "{outcome:?}");
}
