//! Browsers: which pages may read, publish and open WebSockets.

use crate::common::{Post, Response, Server, Ws};
use crate::{get, post, sentence, stream_head};

const LISTED: &str = "https://app.example";
const VARY: &str = "Accept, Origin, Last-Event-ID, Prefer";

fn from(origin: &str) -> String {
    format!("Origin: {origin}\r\n")
}

/// Returns the CORS fields of a response: the origin that may read it, whether with credentials,
/// and whether all fields that a client needs are exposed.
fn cors(answer: &Response) -> [Option<&str>; 3] {
    let exposed = answer.field("access-control-expose-headers").map(|names| {
        let all = ["Tidewire-Cursor", "ETag", "Retry-After"]
            .iter()
            .all(|name| names.split(", ").any(|n| n == *name));
        if all { "all" } else { names }
    });
    [answer.field("access-control-allow-origin"), answer.field("access-control-allow-credentials"), exposed]
}

const EXPOSED: Option<&str> = Some("all");

/// Origins that look like the listed one but are different.
const FOREIGN: [&str; 12] = [
    "https://evil.example",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://app.example/",
    "https://app.exampl",
    "https://sub.app.example",
    "null",
    "",
    "file://",
    "https://app.example, https://evil.example",
];

#[test]
fn a_page_of_a_listed_origin_may_do_everything() {
    let server = Server::start(&["--allow-origin", "https://other.example", "--allow-origin", LISTED]);
    let mut raw = server.raw();
    let listed = [Some(LISTED), Some("true"), EXPOSED];
    assert_eq!(cors(&raw.send(post("/c/o", &from(LISTED), "x")).response()), listed);
    for path in ["/c/o", "/c/o?limit=0", "/c/o?since=0-0", "/c/o?since=x", "/c/a//b"] {
        let answer = raw.send(get(path, &from(LISTED))).response();
        assert_eq!(cors(&answer), listed, "refusals can be read too: {path}");
        assert_eq!(answer.field("vary"), Some(VARY), "{path}");
    }
    let held = raw.send(get("/c/o?wait=0.1", &from(LISTED))).response();
    assert_eq!(cors(&held), listed, "held");
    let tag = raw.send(get("/c/o", &from(LISTED))).response().field("etag").unwrap().to_owned();
    let same = raw.send(get("/c/o", &format!("{}If-None-Match: {tag}\r\n", from(LISTED)))).response();
    assert_eq!((same.status, cors(&same)), (304, listed));
    for feed in ["sse", "stream"] {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/o?feed={feed}"), &from(LISTED)));
        assert_eq!(cors(&stream_head(&mut raw)), listed, "{feed}");
    }
    assert!(Ws::open(&server, "/c/o", &[("Origin", LISTED)]).is_ok());
}

#[test]
fn a_page_of_a_foreign_origin_may_read_nothing_and_do_nothing() {
    let server = Server::start(&["--allow-origin", LISTED]);
    Post::new("secret").to(&server.address, "f");
    for origin in FOREIGN {
        let answer = server.raw().send(get("/c/f", &from(origin))).response();
        assert_eq!(cors(&answer), [None; 3], "{origin}");
        assert_eq!(answer.field("vary"), Some(VARY));
        let mut raw = server.raw();
        raw.send(get("/c/f?feed=sse", &from(origin)));
        assert_eq!(cors(&stream_head(&mut raw)), [None; 3], "{origin}");
        let answer = server.raw().send(post("/c/f", &from(origin), "forged")).response();
        assert_eq!((answer.status, cors(&answer)), (403, [None; 3]), "{origin}");
        assert!(sentence(&answer).contains("--allow-origin"));
        for fields in
            [vec![("Origin", origin)], vec![("Origin", origin), ("Sec-WebSocket-Protocol", "tidewire.v1")]]
        {
            match Ws::open(&server, "/c/f", &fields) {
                Err((status, _)) => assert_eq!(status, 403, "{origin}"),
                Ok(_) => panic!("a page of {origin:?} opened a WebSocket"),
            }
        }
    }
    let poll = server.raw().send(get("/c/f", "")).response();
    assert!(!poll.text().contains("forged"));
}

#[test]
fn own_pages_and_programs_other_than_browsers_need_no_allow_origin() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for fields in [String::new(), from("http://x"), from("https://X")] {
        let answer = raw.send(post("/c/own", &fields, "x")).response();
        assert_eq!((answer.status, cors(&answer)), (201, [None; 3]), "{fields:?}");
    }
    assert!(Ws::open(&server, "/c/own", &[]).is_ok());
    assert!(Ws::open(&server, "/c/own", &[("Origin", &server.base())]).is_ok());
    for foreign in ["http://localhost", "https://evil.example", "null"] {
        assert!(Ws::open(&server, "/c/own", &[("Origin", foreign)]).is_err(), "{foreign}");
    }
}

#[test]
fn a_wildcard_allows_every_origin_without_credentials() {
    let server = Server::start(&["--allow-origin", "*", "--allow-origin", LISTED]);
    let mut raw = server.raw();
    let answer = raw.send(get("/c/any", &from("https://anyone.example"))).response();
    assert_eq!(cors(&answer), [Some("*"), None, EXPOSED]);
    let answer = raw.send(get("/c/any", &from(LISTED))).response();
    assert_eq!(cors(&answer), [Some(LISTED), Some("true"), EXPOSED], "a listed origin may send credentials");
    assert_eq!(raw.send(post("/c/any", &from("https://anyone.example"), "x")).response().status, 201);
    assert!(Ws::open(&server, "/c/any", &[("Origin", "https://anyone.example")]).is_ok());
}

#[test]
fn a_response_for_one_origin_is_never_given_to_another() {
    // Responses to polls are cached until the next publish, and held polls of a channel are
    // answered together.
    let server = Server::start(&["--allow-origin", LISTED, "--allow-origin", "https://second.example"]);
    Post::new("x").to(&server.address, "k");
    let mut raw = server.raw();
    let origins = [Some(LISTED), None, Some("https://second.example"), Some("https://evil.example")];
    for _ in 0..3 {
        for origin in origins {
            let answer = raw.send(get("/c/k", &origin.map(from).unwrap_or_default())).response();
            let expected = origin.filter(|origin| !origin.contains("evil"));
            assert_eq!(answer.field("access-control-allow-origin"), expected);
        }
    }
    let held: Vec<_> = origins
        .map(|origin| {
            let mut raw = server.raw();
            raw.send(get("/c/k?wait=55", &origin.map(from).unwrap_or_default()));
            (origin, raw)
        })
        .into_iter()
        .collect();
    server.calm();
    Post::new("y").to(&server.address, "k");
    for (origin, mut raw) in held {
        let expected = origin.filter(|origin| !origin.contains("evil"));
        assert_eq!(raw.response().field("access-control-allow-origin"), expected);
    }
}

#[test]
fn a_preflight_says_what_a_page_may_send() {
    let server = Server::start(&["--allow-origin", LISTED]);
    let ask = |origin: &str| {
        let fields = format!(
            "{}Access-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: idempotency-key, content-type\r\n",
            from(origin)
        );
        server.raw().send(get("/c/p", &fields).replace("GET", "OPTIONS")).response()
    };
    let answer = ask(LISTED);
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (204, Some(LISTED)));
    assert_eq!(answer.field("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.field("vary"), Some("Origin"));
    assert_eq!(answer.field("access-control-max-age"), Some("600"));
    let methods = answer.field("access-control-allow-methods").unwrap();
    assert!(
        ["GET", "HEAD", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)),
        "{methods}"
    );
    let headers = answer.field("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for name in [
        "content-type",
        "idempotency-key",
        "if-none-match",
        "last-event-id",
        "prefer",
        "authorization",
        "producer-id",
        "producer-epoch",
        "producer-seq",
    ] {
        assert!(headers.split(", ").any(|header| header == name), "{name} in {headers}");
    }
    for origin in FOREIGN {
        let answer = ask(origin);
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (204, None), "{origin}");
        assert_eq!(answer.field("access-control-allow-methods"), None);
        assert_eq!(answer.field("vary"), Some("Origin"));
    }
}

/// Two spellings of the same scheme, host and port are the same origin.
#[test]
fn origins_are_compared_by_scheme_host_and_port() {
    let list = [
        "http://example.org:80",
        "HTTPS://Shop.Example.",
        "http://[0:0:0:0:0:0:0:7]:8080",
        "file://",
        "app://-",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnop",
    ];
    let args: Vec<&str> = list.iter().flat_map(|origin| ["--allow-origin", origin]).collect();
    let server = Server::start(&args);
    let mut raw = server.raw();
    for (origin, allowed) in [
        ("http://example.org", true),
        ("http://example.org:80", true),
        ("http://EXAMPLE.org", true),
        ("http://example.org.", true),
        ("http://example.org:080", true),
        ("https://example.org", false),
        ("http://example.org:443", false),
        ("http://example.org..", false),
        ("http://www.example.org", false),
        ("http://user@example.org", false),
        ("http://example.org/", false),
        ("http://example.org:80:80", false),
        ("https://shop.example", true),
        ("https://shop.example:443", true),
        ("https://shop.example:80", false),
        ("http://[::7]:8080", true),
        ("http://[::0007]:8080", true),
        ("http://[::8]:8080", false),
        ("http://[::7]", false),
        ("file://", true),
        ("file:///", false),
        ("file://host", false),
        ("null", false),
        ("app://-", true),
        ("app://--", false),
        ("capacitor://localhost", true),
        ("ionic://localhost", false),
        ("chrome-extension://abcdefghijklmnop", true),
        ("chrome-extension://abcdefghijklmno", false),
    ] {
        let answer = raw.send(post("/c/spelled", &from(origin), "x")).response();
        let expected = if allowed { (201, Some(origin)) } else { (403, None) };
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), expected, "{origin}");
        assert_eq!(Ws::open(&server, "/c/spelled", &[("Origin", origin)]).is_ok(), allowed, "{origin}");
    }
    let twice = format!("{}{}", from("http://example.org"), from("https://evil.example"));
    assert_eq!(raw.send(post("/c/spelled", &twice, "x")).response().status, 403);
}

#[test]
fn the_servers_own_origin_is_recognised_in_every_spelling() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for (host, origin, own) in [
        ("localhost:80", "http://localhost", true),
        ("localhost", "http://localhost:80", true),
        ("localhost:", "http://localhost", true),
        // Behind a proxy that ends TLS.
        ("localhost", "https://localhost", true),
        ("localhost:443", "https://localhost", true),
        ("localhost:443", "http://localhost", false),
        ("localhost:80", "https://localhost", false),
        ("LOCALHOST:8080", "http://localhost:8080", true),
        ("localhost.:8080", "http://localhost:8080", true),
        ("[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080", true),
        ("[::1]", "http://[::1]:80", true),
        ("[::1]:8080", "http://[::2]:8080", false),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
        ("127.0.0.1:8080", "http://localhost:8080", false),
        ("localhost:8080", "app://localhost:8080", false),
        ("localhost:8080", "http://localhost:8081", false),
        // Without --public, names that someone else may own.
        ("evil.example:8080", "http://evil.example:8080", false),
        ("ai.:8080", "http://ai.:8080", false),
    ] {
        let request = post("/c/own", &from(origin), "x").replace("Host: x", &format!("Host: {host}"));
        let status = raw.send(request).response().status;
        assert_eq!(status, if own { 201 } else { 403 }, "{host} {origin}");
    }
}

/// Otherwise the pages that it was meant for would be refused without an explanation.
#[test]
fn an_origin_that_can_never_match_is_an_error_that_says_what_to_write() {
    for (origin, write) in [
        ("example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("https://example.org/app?x#y", "https://example.org"),
        ("https://user:pass@example.org", "https://example.org"),
        ("wss://example.org", "https://example.org"),
        ("ws://example.org:8080", "http://example.org:8080"),
        ("file:///index.html", "file://"),
        ("https://*.example.org", "each"),
        ("https://b\u{fc}cher.example", "xn--"),
        ("http://127.1", "127.0.0.1"),
        ("http://0x7f.0.0.1", "127.0.0.1"),
        ("http://[::1", "[::1]"),
        ("http://[fe80::1%25eth0]", "[::1]"),
        ("http://::1", "[::1]"),
        ("https://example.org:99999", "65535"),
        ("https://exam ple.org", "https://example.org"),
        ("https://", "https://example.org"),
        ("null", "null"),
        ("data:text/html,x", "https://example.org"),
        ("", "https://example.org"),
    ] {
        // One argument with `=`, because the value may begin with any character.
        let argument = format!("--allow-origin={origin}");
        let outcome = crate::common::server::run(crate::common::server::command(&[
            "--listen",
            "127.0.0.1:0",
            &argument,
        ]));
        assert_ne!(outcome.code, Some(0), "{origin}");
        assert!(outcome.stderr.contains(write), "{origin}: {outcome:?}");
        assert!(outcome.stderr.lines().count() <= 2, "one sentence: {outcome:?}");
    }
}
