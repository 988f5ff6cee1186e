//! Connections that leave the request cycle: upgrades, streams that the handler frames, and
//! connections that come back.

use std::time::Duration;

use crate::site::{Site, get};

const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

#[test]
fn an_upgraded_connection_belongs_to_the_handler() {
    let site = Site::start();
    let mut raw = site.raw();
    let answer = raw.send(UPGRADE).response();
    assert_eq!((answer.status, answer.field("upgrade")), (101, Some("echo")));
    assert_eq!(answer.field("connection"), Some("Upgrade"));
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(raw.exactly(3), b"hi\n");
    raw.send("any bytes \0\r\n\r\n");
    assert_eq!(raw.exactly(15), b"any bytes \0\r\n\r\n");
    raw.half_close();
    assert_eq!(raw.rest(), b"bye\n");
}

#[test]
fn bytes_sent_with_the_upgrade_belong_to_the_new_protocol() {
    let site = Site::start();
    let mut raw = site.raw();
    let early = get("/smuggled");
    raw.send(UPGRADE.to_owned() + &early);
    assert_eq!(raw.response().status, 101);
    assert_eq!(raw.exactly(3 + early.len()), ("hi\n".to_owned() + &early).as_bytes());
    assert_eq!(site.seen.requests(), ["GET /upgrade"]);
}

#[test]
fn a_101_to_a_request_without_an_upgrade_becomes_a_500() {
    let site = Site::start();
    for request in [
        get("/upgrade"),
        // Without `Connection: Upgrade`: a proxy that does not know the field forwarded it.
        "GET /upgrade HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\n\r\n".to_owned(),
        UPGRADE.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut raw = site.raw();
        assert_eq!(raw.send(request + &get("/smuggled")).response().status, 500);
        assert!(raw.rest().is_empty());
    }
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[test]
fn a_parked_connection_can_come_back() {
    let site = Site::start();
    let mut raw = site.raw();
    for n in 0..20 {
        raw.send(get("/resume"));
        assert_eq!(raw.response().text(), "parked", "{n}");
    }
    // Further requests come in the meantime, in part or whole.
    let requests = [get("/resume"), get("/a"), get("/resume"), get("/b")].concat();
    for cut in 0..requests.len() {
        let (first, second) = requests.split_at(cut);
        raw.send(first);
        if cut % 8 == 0 {
            // Only for chance: the server reads the first part alone.
            std::thread::sleep(Duration::from_millis(2));
        }
        raw.send(second);
        let texts: Vec<_> = (0..4).map(|_| raw.response().text().to_owned()).collect();
        assert_eq!(texts, ["parked", "you asked for /a", "parked", "you asked for /b"], "cut at {cut}");
    }
}

/// The handler writes the content of a detached answer, and cannot know that a HEAD has none.
#[test]
fn the_answer_to_a_head_is_not_detached() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send(get("/two").replace("GET", "HEAD") + &get("/next"));
    let head = raw.head_response();
    assert_eq!((head.status, head.field("transfer-encoding")), (200, Some("chunked")));
    assert_eq!(raw.response().text(), "you asked for /next");
}

#[test]
fn a_detached_answer_is_framed_by_the_handler() {
    let site = Site::start();
    let mut raw = site.raw();
    let answer = raw.send(get("/two")).response();
    assert_eq!((answer.text(), answer.field("transfer-encoding")), ("onetwo", Some("chunked")));
    assert!(raw.rest().is_empty(), "dropping the connection closes it");
}
