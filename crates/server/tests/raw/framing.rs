//! Requests that must be refused. A second request follows each of them in the same write. It must
//! never be answered and never reach the handler: if a server and a proxy in front of it disagree
//! about the end of a request, an attacker can smuggle the second one.

use std::time::Duration;

use crate::site::{Site, get};

/// A POST to `/echo` with these fields, and the bytes after the head.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}").into_bytes()
}

/// A chunked POST to `/echo`.
pub(crate) fn chunked(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn length(value: &str) -> Vec<u8> {
    post(&format!("Content-Length: {value}\r\n"), "hello")
}

fn coding(value: &str) -> Vec<u8> {
    post(&format!("Transfer-Encoding: {value}\r\n"), "5\r\nhello\r\n0\r\n\r\n")
}

fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: x\r\n\r\n").into_bytes()
}

fn head(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n").into_bytes()
}

/// Sends `request` and a second one after it, whole and in pieces. There must be one answer, with
/// this status, and nothing after it.
pub(crate) fn refused(site: &Site, name: &str, status: u16, request: &[u8]) {
    let smuggled = get("/smuggled");
    let all = [request, smuggled.as_bytes()].concat();
    for piece in [all.len(), 7, 1] {
        // A byte at a time is for the short ones; the long ones are long in a few pieces too.
        if all.len() > 1_000 && piece < 100 {
            continue;
        }
        let mut raw = site.raw();
        for part in all.chunks(piece) {
            if !raw.offer(part) {
                break;
            }
            if piece < all.len() {
                // Only for chance: the server gets most pieces one by one.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        let answer = raw.response();
        assert_eq!(answer.status, status, "{name}, {piece} bytes at a time: {answer:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{name}: {answer:?}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{name}: {answer:?}");
        assert!(answer.text().contains("\"detail\":\""), "{name}: {answer:?}");
        let rest = raw.rest();
        assert!(rest.is_empty(), "{name}: after the refusal came {:?}", String::from_utf8_lossy(&rest));
        let smuggled = site.seen.requests().iter().any(|request| request.contains("smuggled"));
        assert!(!smuggled, "{name}: the second request reached the handler");
    }
}

fn all_refused(rows: &[(&str, u16, Vec<u8>)]) {
    let site = Site::start();
    for (name, status, request) in rows {
        refused(&site, name, *status, request);
    }
}

#[test]
fn ambiguous_content_lengths_are_refused() {
    all_refused(&[
        ("plus", 400, length("+5")),
        ("minus", 400, length("-1")),
        ("hexadecimal", 400, length("0x5")),
        ("a list", 400, length("5,6")),
        ("a list of equals", 400, length("5, 5")),
        ("with a space", 400, length("5 5")),
        ("empty", 400, length("")),
        ("blank", 400, length(" ")),
        ("a fraction", 400, length("5.0")),
        ("2^64", 400, length("18446744073709551616")),
        ("2^64 and more digits", 400, length("100000000000000000000005")),
        ("two that differ", 400, post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
        ("two that are equal", 400, post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
        ("space before the colon", 400, post("Content-Length : 5\r\n", "hello")),
        ("over the limit", 413, length("67108865")),
    ]);
}

#[test]
fn transfer_codings_other_than_chunked_alone_are_refused() {
    all_refused(&[
        ("xchunked", 501, coding("xchunked")),
        ("identity", 501, coding("identity")),
        ("gzip before chunked", 501, coding("gzip, chunked")),
        ("chunked not last", 400, coding("chunked, identity")),
        ("chunked twice", 400, coding("chunked, chunked")),
        ("a control byte before it", 400, coding("\x0bchunked")),
        ("empty", 400, coding("")),
        ("a quoted one", 400, coding("\"chunked\"")),
        (
            "two lines",
            400,
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "two equal lines",
            400,
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "with a length",
            400,
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "with a length, the other way round",
            400,
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "in HTTP/1.0",
            400,
            b"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_vec(),
        ),
    ]);
}

#[test]
fn chunks_with_an_ambiguous_end_are_refused() {
    let rest = "\r\nhello\r\n0\r\n\r\n";
    all_refused(&[
        ("size is empty", 400, chunked("\r\nhello\r\n0\r\n\r\n")),
        ("size is an extension alone", 400, chunked(&format!(";x{rest}"))),
        ("plus", 400, chunked(&format!("+5{rest}"))),
        ("leading space", 400, chunked(&format!(" 5{rest}"))),
        ("0x", 400, chunked(&format!("0x5{rest}"))),
        ("underscore", 400, chunked(&format!("0_5{rest}"))),
        ("minus", 400, chunked(&format!("-5{rest}"))),
        ("sixteen digits", 413, chunked(&format!("FFFFFFFFFFFFFFFE{rest}"))),
        ("sixteen Fs", 413, chunked(&format!("FFFFFFFFFFFFFFFF{rest}"))),
        ("seventeen digits", 413, chunked(&format!("FFFFFFFFFFFFFFFFF{rest}"))),
        ("LF ends the size", 400, chunked("5\nhello\r\n0\r\n\r\n")),
        ("LF ends an extension", 400, chunked("5;\nhello\r\n0\r\n\r\n")),
        ("LF within an extension", 400, chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")),
        ("CR within an extension", 400, chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")),
        ("a quote open at the line end", 400, chunked("5;a=\"b\r\nhello\r\n0\r\n\r\n")),
        ("other bytes after the data", 400, chunked("5\r\nhelloXX0\r\n\r\n")),
        ("LF after the data", 400, chunked("5\r\nhello\n0\r\n\r\n")),
        ("CR CR after the data", 400, chunked("5\r\nhello\r\r0\r\n\r\n")),
        ("LF ends the last chunk", 400, chunked("0\n\r\n")),
        ("LF ends the trailers", 400, chunked("0\r\n\n")),
        ("CR X ends the trailers", 400, chunked("0\r\n\rX")),
        ("space before the colon of a trailer", 400, chunked("0\r\nA : b\r\n\r\n")),
        ("a folded trailer", 400, chunked("0\r\nA: b\r\n c\r\n\r\n")),
        ("extensions without end", 400, chunked(&format!("5;{}", "a=b;".repeat(5_000)))),
        ("extensions on every byte", 400, chunked(&format!("1;{}\r\nx\r\n", "e".repeat(1_000)).repeat(20))),
        ("trailers without end", 400, chunked(&format!("0\r\n{}", "A: b\r\n".repeat(4_000)))),
    ]);
}

#[test]
fn heads_with_ambiguous_lines_are_refused() {
    all_refused(&[
        ("LF alone ends the head", 400, b"GET / HTTP/1.1\nHost: x\n\n".to_vec()),
        ("LF alone ends a field", 400, head("A: b\nC: d")),
        ("CR alone ends a field", 400, head("A: b\rTransfer-Encoding: chunked")),
        ("CR LF CR X ends the head", 400, b"GET / HTTP/1.1\r\nHost: x\r\n\rX".to_vec()),
        ("space before the colon", 400, head("Name : value")),
        ("tab before the colon", 400, head("Name\t: value")),
        ("a folded line", 400, head("Name: value\r\n more")),
        ("space before the first field", 400, b"GET / HTTP/1.1\r\n Host: x\r\n\r\n".to_vec()),
        ("no name", 400, head(": value")),
        ("no colon", 400, head("Name")),
        ("a name that is no token", 400, head("Na(me: value")),
        ("NUL in a value", 400, head("Name: a\0b")),
        ("NUL in a name", 400, head("Na\0me: b")),
        ("a control byte in a value", 400, head("Name: a\x01b")),
        ("DEL in a value", 400, head("Name: a\x7fb")),
        ("NUL before the request", 400, b"\0GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a space before the request", 400, b" GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a byte order mark", 400, b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("empty lines without end", 400, [b"\r\n".repeat(20), get("/").into_bytes()].concat()),
        ("no Host", 400, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("two Hosts", 400, head("Host: x")),
        ("a Host with a path", 400, b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n".to_vec()),
        ("a Host with a space", 400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_vec()),
        ("a Host with user info", 400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".to_vec()),
    ]);
}

#[test]
fn invalid_request_lines_are_refused() {
    all_refused(&[
        ("HTTP/2.0", 505, line("GET / HTTP/2.0")),
        ("HTTP/1.2", 505, line("GET / HTTP/1.2")),
        ("HTTP/0.9", 505, line("GET / HTTP/0.9")),
        ("the preface of HTTP/2", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a lower-case name", 400, line("GET / http/1.1")),
        ("no version", 400, line("GET /")),
        ("a version without a dot", 400, line("GET / HTTP/11")),
        ("more digits", 400, line("GET / HTTP/1.10")),
        ("two spaces", 400, line("GET  / HTTP/1.1")),
        ("a space at the end", 400, line("GET / HTTP/1.1 ")),
        ("a tab", 400, line("GET\t/ HTTP/1.1")),
        ("a space in the target", 400, line("GET /a b HTTP/1.1")),
        ("a control byte in the target", 400, line("GET /a\x01b HTTP/1.1")),
        ("a fragment", 400, line("GET /#fragment HTTP/1.1")),
        ("no slash", 400, line("GET path HTTP/1.1")),
        ("an asterisk for GET", 400, line("GET * HTTP/1.1")),
        ("a method that is no token", 400, line("GE(T / HTTP/1.1")),
        ("TLS", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ]);
}

#[test]
fn heads_over_a_limit_are_refused() {
    let long = "a".repeat(9_000);
    let many = "A: b\r\n".repeat(101);
    all_refused(&[
        ("a method of 33 bytes", 501, line(&format!("{} / HTTP/1.1", "M".repeat(33)))),
        ("a target of 9,000 bytes", 414, line(&format!("GET /{long} HTTP/1.1"))),
        ("101 fields", 431, head(many.trim_end())),
        ("a field of 17 KiB", 431, head(&format!("A: {}", "b".repeat(17 * 1024)))),
        ("fields of 17 KiB together", 431, head(&format!("A: {}\r\nB: {}", long, long))),
    ]);
}

/// The earlier answers come first, then the refusal, then nothing.
#[test]
fn requests_before_a_refused_one_are_answered_before_the_refusal() {
    let site = Site::start();
    for (status, bad) in [
        (400, head("Name : value")),
        (400, chunked("+5\r\nhello\r\n0\r\n\r\n")),
        (400, chunked("5\r\nhelloXX0\r\n\r\n")),
        (501, coding("gzip")),
        (505, line("GET / HTTP/1.2")),
        (414, line(&format!("GET /{} HTTP/1.1", "a".repeat(9_000)))),
        (417, head("Expect: miracles")),
        (431, head("A: b\r\n".repeat(101).trim_end())),
    ] {
        let good = [get("/a"), get("/later"), get("/sized")].concat();
        let all = [good.as_bytes(), &bad, get("/smuggled").as_bytes()].concat();
        for piece in [all.len(), 5_000, 50] {
            let mut raw = site.raw();
            for part in all.chunks(piece) {
                if !raw.offer(part) {
                    break;
                }
            }
            for text in ["you asked for /a", "later", "exactly"] {
                assert_eq!(raw.response().text(), text);
            }
            let refusal = raw.response();
            assert_eq!((refusal.status, refusal.field("connection")), (status, Some("close")));
            assert!(raw.rest().is_empty(), "{status}: bytes after the refusal");
        }
    }
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[test]
fn an_upgrade_with_a_body_is_refused() {
    let site = Site::start();
    for (name, request) in [
        ("at hand", "Content-Length: 5\r\n\r\nhello"),
        ("yet to come", "Content-Length: 500\r\n\r\nhello"),
        ("in chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("in chunks of nothing", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("in chunks, yet to come", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
    ] {
        let head = "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n";
        let smuggled = get("/smuggled");
        let mut raw = site.raw();
        let answer = raw.send(format!("{head}{request}{smuggled}")).response();
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert!(raw.rest().is_empty(), "{name}: a second answer");
        assert_eq!(site.seen.requests().last().unwrap(), "GET /upgrade", "{name}");
    }
}

/// After a body of length 0, the next bytes belong to the new protocol. They are never a request.
#[test]
fn an_upgrade_with_a_content_length_of_zero_is_accepted() {
    let site = Site::start();
    let smuggled = get("/smuggled");
    let head = "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\
                Content-Length: 0\r\n\r\n";
    let mut raw = site.raw();
    raw.send(format!("{head}{smuggled}"));
    assert_eq!(raw.response().status, 101);
    assert!(raw.until(&smuggled).ends_with(smuggled.as_bytes()), "the bytes after the upgrade are echoed");
    assert_eq!(site.seen.requests(), ["GET /upgrade"]);
}

#[test]
fn an_injected_field_never_gets_into_a_head() {
    let site = Site::start();
    let answer = site.ask(get("/injected"));
    assert_eq!(answer.status, 500);
    assert!(!answer.head.contains("X-Evil"), "{answer:?}");
}

#[test]
fn unusual_but_valid_requests_are_served() {
    let site = Site::start();
    for (name, request) in [
        ("one empty line before", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("an absolute target", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned()),
        ("a Host with a port", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n".to_owned()),
        ("no space after a colon", "GET / HTTP/1.1\r\nHost:x\r\n\r\n".to_owned()),
        ("tabs around a value", "GET / HTTP/1.1\r\nHost: x\r\nA:\t b \t\r\n\r\n".to_owned()),
        ("names in any case", "GET / HTTP/1.1\r\nhOST: x\r\n\r\n".to_owned()),
        ("bytes above 127 in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: \u{e9}\r\n\r\n".to_owned()),
        (
            "a length of zero with zeros",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 000\r\n\r\n".to_owned(),
        ),
        ("a hundred fields", format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(99))),
        ("a head of 16,000 bytes", format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(15_900))),
        ("a target of 8,000 bytes", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(8_000))),
        (
            "chunked in any case",
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "extensions and trailers",
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             5;a;b=c;d=\"e;\\\"f\"\r\nhello\r\n00000\r\nA: b\r\n\r\n"
                .to_owned(),
        ),
        ("sizes in both cases", {
            let ten = "0123456789";
            format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                 a\r\n{ten}\r\nA\r\n{ten}\r\n0\r\n\r\n"
            )
        }),
    ] {
        // The next request shows that the end of this one was found.
        let mut raw = site.raw();
        raw.send(request).send(get("/next"));
        assert_eq!(raw.response().status, 200, "{name}");
        assert_eq!(raw.response().text(), "you asked for /next", "{name}");
    }
}
