//! A process that does not run for a while (SIGSTOP, a debugger, `docker pause`) does not
//! disconnect its clients.

use std::time::{Duration, Instant};

use crate::common::{Deadline, Post, Raw, Server};
use crate::websocket::{frame, switched};

/// Longer than the time-outs of the clients: three heartbeats of one second for a silent WebSocket,
/// and the pause of an upload.
const STOP: Duration = Duration::from_millis(4_200);

#[test]
fn all_connections_survive_a_suspended_process() {
    let server = Server::start(&["--heartbeat", "1", "--upload-pause", "2", "--threads", "1"]);
    let deadline = Deadline::soon();
    let (mut uploads, silent, mut ponged) = loop {
        deadline.check("a stop in time", || "a machine that is too busy to say anything");
        let start = Instant::now();
        // Uploads in the middle of a body, whose pauses are limited.
        let mut uploads: Vec<Raw> = (0..4).map(|_| server.raw()).collect();
        for (n, raw) in uploads.iter_mut().enumerate() {
            let head = "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
            raw.send(format!("PUT /c/up-{n} {head}"));
        }
        // WebSockets that send nothing while the server is stopped.
        let silent: Vec<Raw> = (0..8).map(|_| switched(&server, "/c/live")).collect();
        let ponged: Vec<Raw> = (0..8).map(|_| switched(&server, "/c/live")).collect();
        server.freeze();
        if start.elapsed() < Duration::from_secs(1) {
            break (uploads, silent, ponged);
        }
        // The machine is busy, so a time-out may have passed before the stop. Try again.
        server.go_on();
    };
    for raw in &mut uploads {
        raw.send("4\r\nhalf\r\n0\r\n\r\n");
    }
    for raw in &mut ponged {
        raw.send(frame(0x8a, b""));
    }
    // A fixed time is right here: all time-outs must pass during the stop.
    let stopped = Instant::now();
    while stopped.elapsed() < STOP {
        std::thread::sleep(Duration::from_millis(50));
    }
    server.go_on();

    for mut raw in uploads {
        let answer = raw.response();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    Post::new("still here").to(&server.address, "live");
    let expected = [&[0x81, 10][..], b"still here"].concat();
    for mut raw in silent.into_iter().chain(ponged) {
        raw.until(&expected);
    }
}
