//! The `Content-Length` of a service: static files, and lengths that are wrong.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, Response, StatusCode, header};
use axum::routing::get;
use http_body::Frame;
use tidewire_server::{Listen, Running, Server, ServiceHandler};
use tidewire_testkit::raw::Raw;
use tower_http::services::ServeDir;

fn start(router: Router) -> Running {
    let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>().unwrap()).threads(1);
    server.bind().unwrap().serve(move |_| ServiceHandler::new(router.clone())).unwrap()
}

fn raw(running: &Running) -> Raw {
    Raw::connect(running.addresses()[0].to_string())
}

fn ask(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

#[test]
fn a_static_file_has_a_length_whole_and_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    std::fs::write(folder.path().join("file.bin"), &content).unwrap();
    std::fs::write(folder.path().join("empty.txt"), "").unwrap();
    let running = start(Router::new().fallback_service(ServeDir::new(folder.path())));
    let mut raw = raw(&running);
    for (fields, status, part) in [
        ("", 200, &content[..]),
        ("Range: bytes=10-19\r\n", 206, &content[10..20]),
        ("Range: bytes=100000-\r\n", 206, &content[100_000..]),
        ("Range: bytes=-7\r\n", 206, &content[299_993..]),
    ] {
        let answer = raw.send(ask("/file.bin", fields)).response();
        assert_eq!((answer.status, answer.field("transfer-encoding")), (status, None), "{fields}");
        assert_eq!(answer.field("content-length"), Some(&*part.len().to_string()), "{fields}");
        assert_eq!(answer.body, part, "{fields}");
        assert_eq!(answer.field("content-range").is_some(), status == 206);
    }
    assert_eq!(raw.send(ask("/file.bin", "Range: bytes=300000-\r\n")).response().status, 416);
    let head = raw.send(ask("/file.bin", "").replace("GET", "HEAD")).head_response();
    assert_eq!((head.status, head.field("content-length")), (200, Some("300000")));
    let modified = head.field("last-modified").unwrap().to_owned();
    let known = raw.send(ask("/file.bin", &format!("If-Modified-Since: {modified}\r\n"))).response();
    assert_eq!((known.status, known.field("content-length")), (304, None));
    let empty = raw.send(ask("/empty.txt", "")).response();
    assert_eq!((empty.status, empty.field("content-length"), empty.text()), (200, Some("0"), ""));
    assert_eq!(raw.send(ask("/file.bin", "")).response().body, content, "on the same connection");
}

/// A body without a size hint.
struct Pieces(Vec<&'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece.into()))))
    }
}

/// An answer with these fields and a body in pieces.
fn answer(
    status: u16,
    fields: &[(HeaderName, &str)],
    pieces: &[&'static str],
) -> impl Fn() -> std::future::Ready<Response<Body>> + Clone + Send + Sync + 'static {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
    let pieces: Vec<_> = pieces.iter().rev().copied().collect();
    move || {
        let mut response = Response::new(Body::new(Pieces(pieces.clone())));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in &fields {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        std::future::ready(response)
    }
}

#[test]
fn a_declared_length_is_kept_and_never_exceeded() {
    let length = |value| (header::CONTENT_LENGTH, value);
    let running = start(
        Router::new()
            .route("/exact", get(answer(200, &[length("10")], &["hello", "world"])))
            .route("/longer", get(answer(200, &[length("8")], &["hello", "world"])))
            .route("/much-longer", get(answer(200, &[length("5")], &["hello", "world", "again"])))
            .route("/shorter", get(answer(200, &[length("11")], &["hello", "world"])))
            .route("/none", get(answer(200, &[], &["hello", "world"]))),
    );
    let mut client = raw(&running);
    for (path, text) in [("/exact", "helloworld"), ("/longer", "hellowor"), ("/much-longer", "hello")] {
        let answer = client.send(ask(path, "")).response();
        assert_eq!((answer.status, answer.text()), (200, text), "{path}");
        assert_eq!(answer.field("content-length"), Some(&*text.len().to_string()), "{path}");
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    let chunked = client.send(ask("/none", "")).response();
    assert_eq!((chunked.text(), chunked.field("transfer-encoding")), ("helloworld", Some("chunked")));
    // The client notices: the connection ends before the body is complete.
    client.send(ask("/shorter", "") + &ask("/exact", ""));
    assert!(String::from_utf8(client.until("\r\n\r\n")).unwrap().contains("Content-Length: 11\r\n"));
    assert_eq!(client.rest(), b"helloworld");
    // HTTP/1.0 has no chunks, but lengths.
    let old = raw(&running).send("GET /exact HTTP/1.0\r\n\r\n").response();
    assert_eq!((old.field("content-length"), old.text()), (Some("10"), "helloworld"));
}

#[test]
fn a_wrong_length_is_refused_before_the_head_is_sent() {
    let length = |value| (header::CONTENT_LENGTH, value);
    let running = start(
        Router::new()
            .route("/two", get(answer(200, &[length("10"), length("10")], &["hello", "world"])))
            .route("/list", get(answer(200, &[length("10, 10")], &["hello", "world"])))
            .route("/sign", get(answer(200, &[length("+10")], &["hello", "world"])))
            .route("/word", get(answer(200, &[length("ten")], &["hello", "world"])))
            .route("/huge", get(answer(200, &[length("18446744073709551616")], &["hello"])))
            .route("/known", get(|| async { ([(header::CONTENT_LENGTH, "4")], "hello") })),
    );
    let mut raw = raw(&running);
    for path in ["/two", "/list", "/sign", "/word", "/huge", "/known"] {
        let answer = raw.send(ask(path, "")).response();
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.text().contains("Content-Length"), "{}", answer.text());
    }
}

/// What an answer without content says about its length.
#[test]
fn an_answer_without_content_keeps_the_rules_of_its_status() {
    let length = |value| (header::CONTENT_LENGTH, value);
    let running = start(
        Router::new()
            .route("/304", get(answer(304, &[length("10")], &[])))
            .route("/304-plain", get(answer(304, &[], &[])))
            .route("/304-axum", get(|| async { StatusCode::NOT_MODIFIED }))
            .route("/204", get(answer(204, &[length("0")], &[])))
            .route("/204-body", get(|| async { (StatusCode::NO_CONTENT, "no") }))
            .route("/205", get(answer(205, &[], &[])))
            .route("/get", get(answer(200, &[length("10")], &["hello", "world"]))),
    );
    let mut raw = raw(&running);
    for (path, status, field) in [
        ("/304", 304, Some("10")),
        ("/304-plain", 304, None),
        ("/304-axum", 304, None),
        ("/204", 204, None),
        ("/204-body", 204, None),
        ("/205", 205, Some("0")),
    ] {
        let answer = raw.send(ask(path, "")).response();
        assert_eq!((answer.status, answer.field("content-length")), (status, field), "{path}");
        assert_eq!((answer.field("transfer-encoding"), answer.text()), (None, ""), "{path}");
    }
    let head = raw.send(ask("/get", "").replace("GET", "HEAD")).head_response();
    assert_eq!((head.status, head.field("content-length")), (200, Some("10")));
    assert_eq!(raw.send(ask("/get", "")).response().text(), "helloworld");
}

/// Whitespace around a value does not belong to it, and hyper's server sends it as it is.
#[test]
fn a_value_with_whitespace_around_it_is_sent_without() {
    let running = start(Router::new().route("/", get(|| async { ([("x-name", " a b\t")], "hello") })));
    let answer = raw(&running).send(ask("/", "")).response();
    assert_eq!((answer.status, answer.field("x-name")), (200, Some("a b")));
}
