//! An example in a server of another framework.

use std::io::Write;
use std::net::TcpStream;

use super::Running;
use super::running::{raw, read_until};

/// Publishes and returns the cursor.
fn publish(address: &str, message: &str) -> String {
    let length = message.len();
    let request = format!(
        "POST /publish HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
            Content-Length: {length}\r\n\r\n{message}"
    );
    raw(address, request.as_bytes()).lines().last().unwrap().to_owned()
}

/// Subscribes, reads the lines of events up to the line `last`, and closes.
fn events(address: &str, last_event_id: Option<&str>, last: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    let field = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    write!(stream, "GET /events HTTP/1.1\r\nHost: a\r\n{field}\r\n").unwrap();
    let text = read_until(&mut stream, &format!("\n{last}\n"));
    let is_field = |line: &&str| ["id: ", "event: ", "data: "].iter().any(|name| line.starts_with(name));
    text.lines().filter(is_field).map(str::to_owned).collect()
}

#[test]
fn axum_resume() {
    let (_server, address) = Running::serve("axum_resume");
    let one = publish(&address, "one");
    let epoch = one.split_once('-').unwrap().0;
    let two = publish(&address, "two");
    assert_eq!(
        events(&address, None, "data: two"),
        [
            format!("id: {epoch}-0"),
            format!("id: {one}"),
            "data: one".into(),
            format!("id: {two}"),
            "data: two".into()
        ]
    );

    // One message while no reader is connected, and one after the reader has come back.
    let three = publish(&address, "three");
    let publisher = {
        let address = address.clone();
        std::thread::spawn(move || publish(&address, "four"))
    };
    let resumed = events(&address, Some(&two), "data: four");
    let four = publisher.join().unwrap();
    assert_eq!(
        resumed,
        [format!("id: {three}"), "data: three".into(), format!("id: {four}"), "data: four".into()]
    );

    // A cursor before the kept messages is answered with a gap, a cursor of another log with a
    // reset.
    for number in 0..100 {
        publish(&address, &format!("more {number}"));
    }
    let late = events(&address, Some(&one), "data: more 0");
    assert_eq!(late[..3], [format!("id: {epoch}-4"), "event: gap".into(), "data: 3".into()]);
    // A cursor of another log, and ids of other servers.
    for id in ["0-1", "42", "undefined"] {
        let stranger = events(&address, Some(id), "data: more 0");
        assert_eq!(
            stranger[..3],
            [format!("id: {epoch}-4"), "event: reset".into(), "data: unknown-epoch".into()],
            "{id}"
        );
    }
}
