//! The files and the wires of the playground, with the real program.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::server::{command, run};
use common::{Deadline, Post, Raw, Server, Ws, eventually, tail};
use serde_json::{Value, json};
use tidewire::server::Listen;
use tidewire::{App, Hub, HubConfig, Playground, Settings};
use tokio_tungstenite::tungstenite::{self, Message};

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

/// Long enough that a wrong server would have sent something.
const WHILE: Duration = Duration::from_millis(300);

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The page's side of a wire.
struct Wire(Ws);

impl Wire {
    fn open(server: &Server) -> Self {
        let mut wire = Wire(Ws::bare(server, "/playground/wire"));
        let open = wire.0.json();
        assert_eq!((&open["type"], &open["address"]), (&json!("open"), &json!(server.address)));
        wire
    }

    fn grant(&mut self, max: usize) {
        self.0.say(json!({"type": "read", "max": max}));
    }

    fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.0.send(Message::binary(bytes.into()));
    }

    /// Returns the next message that is not `up`.
    fn next_message(&mut self) -> Value {
        let deadline = Deadline::soon();
        loop {
            let message = self.0.json();
            if message["type"] != "up" {
                return message;
            }
            deadline.check("a message that is not `up`", || message);
        }
    }

    /// Returns the bytes of one read.
    fn down(&mut self) -> Vec<u8> {
        let message = self.next_message();
        assert_eq!(message["type"], "down", "{message}");
        BASE64_STANDARD.decode(message["data_b64"].as_str().unwrap()).unwrap()
    }

    /// Permits reads until `end` has arrived.
    fn until(&mut self, end: &str) -> String {
        let (mut all, deadline) = (Vec::new(), Deadline::soon());
        loop {
            deadline.check(end, || tail(&all));
            self.grant(16 * 1024);
            all.extend(self.down());
            let text = String::from_utf8_lossy(&all);
            if text.contains(end) {
                return text.into_owned();
            }
        }
    }

    /// Whether no byte of the connection arrives for a while.
    fn is_silent(&mut self) -> bool {
        let deadline = Deadline::after(WHILE);
        loop {
            deadline.limit(self.0.0.get_ref());
            match self.0.0.read() {
                Err(tungstenite::Error::Io(error)) if is_timeout(error.kind()) => return true,
                Ok(Message::Text(text)) if text.contains("\"up\"") => {}
                _ => return false,
            }
        }
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Returns the parts of a text between `before` and a quote.
fn named<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(['"', '\'']).next().unwrap()).collect()
}

#[test]
fn a_browser_gets_the_page_and_its_files_and_curl_gets_a_text() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let page = raw.send(get("/", HTML)).response();
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.field("vary"), Some("Accept"));
    let mut wanted: Vec<String> = [named(page.text(), "src=\""), named(page.text(), "href=\"/")]
        .concat()
        .into_iter()
        .map(|name| format!("/{}", name.trim_start_matches('/')))
        .collect();
    let mut seen = Vec::new();
    while let Some(path) = wanted.pop() {
        if seen.contains(&path) {
            continue;
        }
        let file = raw.send(get(&path, "")).response();
        assert_eq!(file.status, 200, "{path}");
        let policy = file.field("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
        assert_eq!(file.field("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(file.field("cache-control"), Some("no-cache"), "{path}");
        let tag = file.field("etag").unwrap();
        let again = raw.send(get(&path, &format!("If-None-Match: {tag}\r\n"))).response();
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        wanted.extend(named(file.text(), "from './").iter().map(|name| format!("/playground/{name}")));
        seen.push(path);
    }
    assert!(seen.len() > 20 && seen.contains(&"/playground/wire.js".to_owned()), "{seen:?}");

    for accept in ["", "Accept: */*\r\n", "Accept: text/html;q=0, */*\r\n", "Accept: text/plain\r\n"] {
        let text = raw.send(get("/", accept)).response();
        assert_eq!(text.field("content-type"), Some("text/plain; charset=utf-8"), "{accept}");
        assert!(text.text().contains("curl"), "{accept}");
        assert_eq!(text.field("vary"), Some("Accept"), "a cache must not give it to a browser");
    }
    assert_eq!(
        raw.send("HEAD / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n").head_response().status,
        200
    );
    assert_eq!(raw.send(get("/playground/nothing.js", "")).response().status, 404);
    let post = "POST /playground/main.js HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(raw.send(post).response().status, 405);
}

#[test]
fn the_playground_can_be_switched_off_and_is_off_with_public() {
    let is_on = |server: &Server| {
        let mut raw = server.raw();
        let html = raw.send(get("/", HTML)).response().text().contains("<!doctype html>");
        let file = raw.send(get("/playground/main.js", "")).response().status == 200;
        let wire = raw.send(get("/playground/wire", "")).response().status == 426;
        assert!(html == file && file == wire, "all or nothing: {html} {file} {wire}");
        html
    };
    assert!(is_on(&Server::start(&[])));
    assert!(!is_on(&Server::start(&["--playground", "off"])));
    assert!(!is_on(&Server::start(&["--public"])));
    assert!(is_on(&Server::start(&["--public", "--playground", "on"])));
    let mut by_environment = command(&["--listen", "127.0.0.1:0"]);
    by_environment.env("TIDEWIRE_PLAYGROUND", "off");
    assert!(!is_on(&Server::spawn(by_environment)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidewire.toml");
    std::fs::write(&file, "listen = ['127.0.0.1:0']\nplayground = 'off'\n").unwrap();
    assert!(!is_on(&Server::spawn(command(&["--config", file.to_str().unwrap()]))));
    let outcome = run(command(&["--playground", "maybe"]));
    assert!(outcome.code == Some(2) && outcome.stderr.contains("on, off"), "{outcome:?}");
}

#[test]
fn a_wire_relays_bytes_but_reads_only_what_the_page_permits() {
    let server = Server::start(&["--listen", "0.0.0.0:0", "--public", "--playground", "on"]);
    Post::new("hello").to(&server.address, "w");
    let direct = server.raw().send(get("/c/w", "")).response();
    let mut wire = Wire::open(&server);
    wire.send(get("/c/w", ""));
    assert!(wire.is_silent(), "no read was permitted");
    wire.grant(10);
    assert_eq!(wire.down(), b"HTTP/1.1 2");
    assert!(wire.is_silent(), "the permission is used up");
    wire.grant(3);
    assert_eq!(wire.down(), b"00 ");
    let rest = wire.until("\"gap\":null}");
    assert!(rest.contains(direct.text()), "{rest}");

    wire.grant(1000);
    wire.grant(0);
    // Two requests, split in the middle of a head.
    let both = get("/c/w?limit=1", "") + &get("/c/w?wait=0", "");
    let (first, second) = both.split_at(70);
    wire.send(first);
    wire.send(second);
    assert!(wire.is_silent(), "the permission was withdrawn");
    let mut answers = wire.until("\"gap\":null}");
    while answers.matches("\"gap\":null}").count() < 2 {
        answers += &wire.until("\"gap\":null}");
    }
    // More than one read may return.
    Post::new("x".repeat(100_000)).to(&server.address, "w");
    wire.send(get("/c/w", ""));
    wire.grant(1_000_000);
    assert!(wire.down().len() <= 16 * 1024);
    // A close by the server is reported after the bytes before it.
    wire.until("\"gap\":null}");
    wire.send(get("/c/w", "Connection: close\r\n"));
    wire.until("\"gap\":null}");
    wire.grant(1);
    assert_eq!(wire.next_message(), json!({"type": "end", "why": "closed"}));
    assert_eq!(wire.0.closed().0, 1000);
}

#[test]
fn notes_explain_the_bytes() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(&server);
    let notes = |message: &Value, kind: &str| -> Vec<(String, u64, u64)> {
        let mine = message["notes"].as_array().unwrap().iter().filter(|note| note["kind"] == kind);
        mine.map(|n| (n["direction"].to_string(), n["offset"].as_u64().unwrap(), n["len"].as_u64().unwrap()))
            .collect()
    };
    for (request, offset) in [("/c/n", 0), ("/c/n?limit=1", get("/c/n", "").len() as u64)] {
        wire.send(get(request, ""));
        let up = wire.0.json();
        let line = format!("GET {request} HTTP/1.1\r\n").len() as u64;
        assert_eq!(notes(&up, "request-line"), [("\"up\"".to_owned(), offset, line)], "{up}");
        wire.grant(16 * 1024);
        let down = wire.next_message();
        let status = notes(&down, "status-line");
        assert_eq!((status.len(), status[0].0.as_str()), (1, "\"down\""), "{down}");
        assert!(!notes(&down, "field").is_empty() && !notes(&down, "end-of-head").is_empty());
    }
    // For thousands of tiny frames, the number of notes is limited.
    let tiny: Vec<u8> = [0x89, 0x80, 0, 0, 0, 0].repeat(2_000);
    let mut wire = Wire::open(&server);
    wire.send(get("/c/n", UPGRADE));
    wire.until("\r\n\r\n");
    wire.send(tiny);
    let up = wire.0.json();
    assert_eq!((&up["type"], up["notes"].as_array().unwrap().len()), (&json!("up"), 2_000));
}

#[test]
fn after_a_cut_the_cursor_resumes_without_loss() {
    let server = Server::start(&[]);
    let mut upload = Wire::open(&server);
    upload.send("PUT /c/up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    let mut reader = server.raw();
    reader.send(get("/c/up?feed=stream&since=earliest", ""));
    reader.until("\"part\"");
    upload.0.say(json!({"type": "cut"}));
    assert_eq!(upload.next_message(), json!({"type": "end", "why": "cut"}));
    assert_eq!(upload.0.closed().0, 1000);
    reader.until("upload-aborted");

    let mut wire = Wire::open(&server);
    wire.send(get("/c/cut?feed=sse", ""));
    wire.until("id: ");
    Post::new("one").to(&server.address, "cut");
    let came = wire.until("data: one");
    let cursor = named(&came, "id: ").last().unwrap().lines().next().unwrap().to_owned();
    wire.0.say(json!({"type": "cut"}));
    assert_eq!(wire.next_message()["why"], "cut");
    Post::new("two").to(&server.address, "cut");
    let mut wire = Wire::open(&server);
    wire.send(get(&format!("/c/cut?feed=sse&since={cursor}"), ""));
    let came = wire.until("data: two");
    assert!(!came.contains("data: one"), "{came}");
}

#[test]
fn a_slow_wire_is_a_slow_reader_and_gets_a_gap() {
    let server = Server::start(&["--retain-messages", "20"]);
    let mut wire = Wire::open(&server);
    wire.send(get("/c/slow?feed=sse&since=now", ""));
    wire.until("id: ");
    let mut publisher = server.raw();
    let payload = "x".repeat(1000);
    for n in 0..1000 {
        Post::new(format!("{n} {payload}")).on(&mut publisher, "slow");
    }
    let came = wire.until("data: 999 ");
    let numbers: Vec<usize> = named(&came, "data: ")
        .iter()
        .filter_map(|line| line.split(' ').next().unwrap().parse().ok())
        .collect();
    let gap = named(&came, "\"missed\":")
        .iter()
        .map(|n| n.split('}').next().unwrap().parse::<usize>().unwrap())
        .sum::<usize>();
    assert!(came.contains("event: gap") && gap > 500, "{gap} missed: the kernel does not hold megabytes");
    assert_eq!(numbers.len() + gap, 1000, "all messages arrived or were reported");
    assert!(numbers.is_sorted());
}

#[test]
fn pages_of_other_origins_get_no_wire() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let (status, body) = Ws::open(&server, "/playground/wire", &[("Origin", foreign)]).err().unwrap();
        assert!(status == 403 && body.contains("--allow-origin"), "{foreign}: {status} {body}");
    }
    let own = format!("http://{}", server.address);
    for good in [own.as_str(), "https://app.example"] {
        assert!(Ws::open(&server, "/playground/wire", &[("Origin", good)]).is_ok(), "{good}");
    }
    let host = format!(
        "GET /playground/wire HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n{UPGRADE}\r\n"
    );
    assert_eq!(
        server.raw().send(host).response().status,
        403,
        "a foreign name that resolves to this machine"
    );
}

#[test]
fn a_wire_bypasses_a_proxy_only_with_playground_on() {
    let (default, allowed) = (Server::start(&[]), Server::start(&["--playground", "on"]));
    for (name, value) in [
        ("Via", "1.1 gate"),
        ("Forwarded", "for=192.0.2.1"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Host", "app.example"),
        ("X-Forwarded-Proto", "https"),
        ("x-forwarded-server", "gate.example"),
        ("CDN-Loop", "gate"),
        ("X-Real-IP", "192.0.2.1"),
    ] {
        let (status, body) = Ws::open(&default, "/playground/wire", &[(name, value)]).err().unwrap();
        assert!(status == 403 && body.contains("--playground on"), "{name}: {status} {body}");
        assert!(Ws::open(&allowed, "/playground/wire", &[(name, value)]).is_ok(), "{name}");
    }
}

#[test]
fn a_wire_cannot_be_opened_through_another_wire() {
    let server = Server::start(&["--threads", "2"]);
    let mut wire = Wire::open(&server);
    for fields in [UPGRADE, ""] {
        wire.send(get("/playground/wire", fields));
        let answer = wire.until("}\n");
        assert!(answer.starts_with("HTTP/1.1 508 ") && answer.contains("through another wire"), "{answer}");
    }
    wire.send(get("/playground/main.js", "Range: x\r\n"));
    assert!(wire.until("import").starts_with("HTTP/1.1 200 "), "other paths can be reached");
}

#[test]
fn the_number_of_wires_is_limited() {
    let server = Server::start(&["--threads", "2"]);
    let mut wires: Vec<Wire> = (0..128).map(|_| Wire::open(&server)).collect();
    let (status, body) = Ws::open(&server, "/playground/wire", &[]).err().unwrap();
    assert!(status == 503 && body.contains("close other tabs"), "{status} {body}");
    assert_eq!(
        server.raw().send(get("/playground/wire", "")).response().status,
        503,
        "a plain GET gets the reason"
    );
    assert_eq!(server.raw().send(get("/c/x", "")).response().status, 200, "other requests are served");
    drop(wires.pop());
    eventually("a free wire", || Ws::open(&server, "/playground/wire", &[]).is_ok());
}

#[test]
fn a_read_above_the_maximum_is_reduced_to_it() {
    let server = Server::start(&[]);
    for max in ["16385", "18446744073709551616", "1e+21", "1e300"] {
        let mut wire = Wire::open(&server);
        wire.send(get("/c/x", ""));
        wire.0.send(Message::text(format!(r#"{{"type":"read","max":{max}}}"#)));
        assert!(wire.down().starts_with(b"HTTP/1.1 200"), "{max}");
    }
}

#[test]
fn invalid_or_too_many_messages_of_a_page_close_the_wire() {
    let mut server = Server::start(&[]);
    for nonsense in [
        "",
        "{}",
        "read",
        r#"{"type":"read"}"#,
        r#"{"type":"read","max":-1}"#,
        r#"{"type":"read","max":0.5}"#,
        r#"{"type":"read","max":"1"}"#,
        r#"{"type":"connect","to":"10.0.0.1:80"}"#,
    ] {
        let mut wire = Wire::open(&server);
        wire.0.send(Message::text(nonsense));
        assert_eq!(wire.0.closed().0, 1008, "{nonsense}");
    }
    let mut wire = Wire::open(&server);
    wire.send(vec![0; 100_000]);
    assert_eq!(wire.0.closed().0, 1009);

    // The upload waits for a reader that does not read. The wire buffers only a limited number of
    // bytes of the page.
    let mut reader = Wire::open(&server);
    Post::new("first").to(&server.address, "stuck");
    reader.send(get("/c/stuck?feed=raw&since=earliest", ""));
    reader.until("first");
    let mut upload = Wire::open(&server);
    upload.send("PUT /c/stuck?pace=readers HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    let stopped = (0..2000).find(|_| upload.0.0.send(Message::binary(vec![b'x'; 60_000])).is_err());
    assert!(stopped.is_some(), "120 MB were accepted");
    server.assert_alive();
}

#[test]
fn a_stop_closes_all_wires() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--threads", threads]);
        let mut paused = Wire::open(&server);
        paused.send(get("/c/s?feed=sse", ""));
        let mut reading = Wire::open(&server);
        reading.send(get("/c/s?wait=55", ""));
        reading.grant(16 * 1024);
        server.terminate();
        for wire in [&mut paused, &mut reading] {
            let deadline = Deadline::soon();
            loop {
                deadline.check("a close frame", || "other messages");
                match wire.0.next() {
                    Message::Close(Some(close)) => break assert_eq!(u16::from(close.code), 1012),
                    Message::Text(_) => {}
                    other => panic!("neither text nor close: {other:?}"),
                }
            }
        }
        drop((paused, reading));
        assert_eq!(server.join().code(), Some(0));
    }
}

#[test]
fn over_a_unix_socket_the_page_is_served_and_wires_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidewire.sock");
    let server = Server::start(&["--listen", &format!("unix:{}", path.display())]);
    let answer = Raw::unix(&path).send(get("/playground/wire", UPGRADE)).response();
    assert!(answer.status == 501 && answer.text().contains("Unix socket"), "{answer:?}");
    assert!(Raw::unix(&path).send(get("/", HTML)).response().text().contains("<!doctype html>"));
    Wire::open(&server);
}

#[test]
fn an_idle_wire_is_closed() {
    // The idle time is a setting of the library, so the server runs in this process.
    let server = tidewire::server::Server::builder()
        .listen("127.0.0.1:0".parse::<Listen>().unwrap())
        .threads(1)
        .bind()
        .unwrap();
    let hub = Hub::new(HubConfig::default(), server.threads());
    let settings = Arc::new(Settings::default());
    let playground = Playground::new().with_idle(Duration::from_millis(500));
    let app = move |worker| {
        App::new(hub.clone(), settings.clone(), worker).with_playground(Some(playground.clone()))
    };
    let running = server.serve(app).unwrap();
    let address = running.addresses()[0].to_string();
    let stream = TcpStream::connect(&address).unwrap();
    Deadline::soon().limit(&stream);
    let (socket, _) = tungstenite::client(format!("ws://{address}/playground/wire"), stream).unwrap();
    let mut wire = Wire(Ws(socket));
    assert_eq!(wire.next_message()["type"], "open");
    assert_eq!(wire.0.closed(), (1000, "idle".to_owned()));
}

#[test]
fn the_bounds_are_the_documented_ones() {
    tidewire_testkit::limits::compare("tidewire", &Playground::BOUNDS);
}
