//! Bodies of several parts, long and short. On the wire they look like any other body.

use tidewire_testkit::raw::Raw;

use crate::site::{Site, get, many_parts, parts};

fn body() -> Vec<u8> {
    parts().concat()
}

#[test]
fn parts_arrive_as_one_body_between_small_answers() {
    let site = Site::start();
    for path in ["/parts", "/parts/kept", "/parts/later"] {
        let mut raw = site.raw();
        raw.send([get("/a"), get(path), get("/b"), get(path), get(path), get("/c")].concat());
        assert_eq!(raw.response().text(), "you asked for /a");
        let answer = raw.response();
        assert_eq!(answer.field("content-length"), Some(&*body().len().to_string()));
        assert!(answer.body == body(), "{path}");
        assert_eq!(raw.response().text(), "you asked for /b");
        assert!(raw.response().body == body() && raw.response().body == body(), "{path}");
        assert_eq!(raw.response().text(), "you asked for /c");
    }
}

#[test]
fn a_client_of_http_1_0_gets_all_parts() {
    let site = Site::start();
    for path in ["/parts", "/parts/kept", "/parts/frames"] {
        let mut raw = site.raw();
        raw.send(format!("GET {path} HTTP/1.0\r\n\r\n")).until("\r\n\r\n");
        assert!(raw.rest() == body(), "{path}");
        let mut raw = site.raw();
        raw.send(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        if path != "/parts/frames" {
            assert!(raw.response().body == body(), "{path}");
            assert_eq!(raw.send(get("/b")).response().text(), "you asked for /b");
        }
    }
}

#[test]
fn the_answer_to_a_head_has_the_length_of_all_parts_and_no_body() {
    let site = Site::start();
    for path in ["/parts", "/parts/kept"] {
        let mut raw = site.raw();
        raw.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n{}", get("/b")));
        let head = raw.head_response();
        assert_eq!((head.status, head.field("content-length")), (200, Some(&*body().len().to_string())));
        assert_eq!(raw.response().text(), "you asked for /b");
    }
}

#[test]
fn a_status_without_content_has_no_parts() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send(get("/parts/304") + &get("/b"));
    let head = raw.head_response();
    assert_eq!((head.status, head.field("content-length")), (304, None));
    assert_eq!(raw.response().text(), "you asked for /b");
}

#[test]
fn frames_of_every_length_are_chunks() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send(get("/a") + &get("/parts/frames") + &get("/b"));
    assert_eq!(raw.response().text(), "you asked for /a");
    let answer = raw.response();
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert!(answer.body == body());
    assert_eq!(raw.response().text(), "you asked for /b");
}

#[test]
fn the_first_bytes_of_a_detached_answer_come_in_parts() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send(get("/a") + &get("/parts/first"));
    assert_eq!(raw.response().text(), "you asked for /a");
    raw.until("\r\n\r\n");
    assert!(raw.rest() == body());
}

/// There are more parts than the slices of one write, and more bytes than the socket takes.
#[test]
fn a_slow_reader_gets_all_parts_in_pieces() {
    let site = Site::start();
    let mut raw = narrow(&site);
    raw.send(get("/a") + &get("/parts/many") + &get("/b"));
    assert_eq!(raw.response().text(), "you asked for /a");
    raw.until("\r\n\r\n");
    let body = many_parts().concat();
    for piece in body.chunks(100_003) {
        assert!(raw.exactly(piece.len()) == piece);
    }
    assert_eq!(raw.response().text(), "you asked for /b");
}

/// A connection with a small receive buffer.
fn narrow(site: &Site) -> Raw {
    let stream = std::net::TcpStream::connect(&site.address).unwrap();
    socket2::SockRef::from(&stream).set_recv_buffer_size(16 * 1024).unwrap();
    Raw::over(stream)
}
