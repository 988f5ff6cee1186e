//! Every list field that the server reads: empty elements change nothing (RFC 9110 §5.6.1.2), in a
//! line and as a line of their own.

use crate::common::{Response, Server};
use crate::get;

/// Returns the value with empty elements around it: the same list.
fn padded(value: &str) -> Vec<String> {
    let many = ",".repeat(500);
    vec![
        format!(",{value}"),
        format!("{value},"),
        format!("{value}, "),
        format!(", ,\t,{value} , ,,"),
        format!("{many}{value}{many}"),
    ]
}

struct Case {
    name: &'static str,
    value: &'static str,
    /// The rest of the request: the path, and the fields around this one.
    path: &'static str,
    others: &'static str,
    /// The status, and a field of the response, that show that the list was understood.
    status: u16,
    tells: Option<(&'static str, &'static str)>,
}

const HANDSHAKE: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

const CASES: &[Case] = &[
    Case::new("Connection", "close", "/c/h", "", 200, Some(("connection", "close"))),
    Case::new("Connection", "Upgrade", "/c/h", "Upgrade: websocket\r\n{handshake}", 101, None),
    Case::new("Upgrade", "websocket", "/c/h", "Connection: Upgrade\r\n{handshake}", 101, None),
    Case::new(
        "Sec-WebSocket-Protocol",
        "tidewire.v1",
        "/c/h",
        "{upgrade}{handshake}",
        101,
        Some(("sec-websocket-protocol", "tidewire.v1")),
    ),
    Case::new(
        "Sec-WebSocket-Extensions",
        "permessage-deflate",
        "/c/h",
        "{upgrade}{handshake}",
        101,
        Some((
            "sec-websocket-extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        )),
    ),
    Case::new("Accept-Encoding", "gzip", "/c/h?feed=sse", "", 200, Some(("content-encoding", "gzip"))),
    Case::new("Accept", "text/event-stream", "/c/h", "", 200, Some(("content-type", "text/event-stream"))),
    Case::new("Prefer", "wait=0.01", "/c/empty?since=now", "", 200, Some(("preference-applied", "wait"))),
    Case::new("Expect", "100-continue", "/c/h", "", 200, None),
    Case::new("Range", "bytes=1-2", "/files/f.txt", "", 206, Some(("content-range", "bytes 1-2/2000"))),
    Case::new("If-Match", "*", "/files/f.txt", "", 200, None),
    Case::new("If-Match", "\"other\"", "/files/f.txt", "", 412, None),
    Case::new("If-None-Match", "*", "/files/f.txt", "", 304, None),
    Case::new("If-None-Match", "\"other\"", "/files/f.txt", "", 200, None),
];

impl Case {
    const fn new(
        name: &'static str,
        value: &'static str,
        path: &'static str,
        others: &'static str,
        status: u16,
        tells: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self { name, value, path, others, status, tells }
    }

    fn ask(&self, server: &Server, lines: &str) -> Response {
        let others = self.others.replace("{upgrade}", UPGRADE).replace("{handshake}", HANDSHAKE);
        let mut raw = server.raw();
        raw.send(get(self.path, &format!("{others}{lines}")));
        let is_stream = self.path.contains("feed=sse") || self.value == "text/event-stream";
        if self.status == 304 || is_stream { raw.head_response() } else { raw.response() }
    }

    fn check(&self, server: &Server, lines: &str) {
        let answer = self.ask(server, lines);
        let shown: String = lines.chars().take(80).collect();
        assert_eq!(answer.status, self.status, "{shown:?}: {answer:?}");
        if let Some((name, value)) = self.tells {
            assert_eq!(answer.field(name), Some(value), "{shown:?}");
        }
    }
}

#[test]
fn empty_elements_of_a_list_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f.txt"), "0123456789".repeat(200)).unwrap();
    let server = Server::start(&["--compress", "--files", folder.path().to_str().unwrap()]);
    for case in CASES {
        let Case { name, value, .. } = case;
        case.check(&server, &format!("{name}: {value}\r\n"));
        for padded in padded(value).iter().filter(|_| *name != "Range") {
            case.check(&server, &format!("{name}: {padded}\r\n"));
        }
        if *name != "Range" {
            case.check(&server, &format!("{name}: ,\r\n{name}: {value}\r\n{name}:\r\n"));
        }
    }
    // The list of a Range field begins after the unit.
    for set in padded("1-2") {
        let case = CASES.iter().find(|case| case.name == "Range").unwrap();
        case.check(&server, &format!("Range: bytes={set}\r\n"));
    }
}

#[test]
fn empty_elements_beside_chunked_change_nothing() {
    let server = Server::start(&[]);
    let publish = |lines: &str| {
        let fields = format!("POST /c/te HTTP/1.1\r\nHost: x\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n");
        server.raw().send(fields).response().status
    };
    let plain = publish("Transfer-Encoding: chunked\r\n");
    assert_eq!(plain / 100, 2);
    for padded in padded("chunked") {
        assert_eq!(publish(&format!("Transfer-Encoding: {padded}\r\n")), plain, "{padded:?}");
    }
    // Ambiguous values stay refused with any padding, and so do two lines.
    for (lines, status) in [
        ("Transfer-Encoding: chunked,,chunked\r\n", 400),
        ("Transfer-Encoding: ,\r\n", 400),
        ("Transfer-Encoding: ,\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: ,\r\n", 400),
        ("Transfer-Encoding: chunked,\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\nContent-Length: 15\r\n", 400),
        ("Transfer-Encoding: ,gzip,chunked\r\n", 501),
        ("Transfer-Encoding: chunked;,\r\n", 501),
    ] {
        assert_eq!(publish(lines), status, "{lines:?}");
    }
}
