//! Signals that do not ask the server to stop.
#![cfg(unix)]

use crate::common::{Server, eventually};
use crate::{get, piece, post, stream_head};

/// SIGHUP is sent when a terminal closes, SIGUSR1 and SIGUSR2 by tools that rotate logs. By default
/// each of them ends a process.
#[test]
fn signals_that_do_not_ask_to_stop_are_ignored_and_logged() {
    let server = Server::start(&["--threads", "2"]);
    let mut stream = server.raw();
    stream.send(get("/c/s?feed=stream", ""));
    stream_head(&mut stream);
    piece(&mut stream);
    for signal in ["HUP", "USR1", "USR2", "HUP"] {
        let logged = || server.log().matches(&format!("SIG{signal}")).count();
        let before = logged();
        server.signal(signal);
        eventually("the signal is logged", || logged() == before + 1);
    }
    eventually("a line that says what to do", || server.log().contains("restart"));
    assert_eq!(server.raw().send(post("/c/s", "", "still here")).response().status, 201);
    assert!(piece(&mut stream).contains("still here"), "and streams stay");
    // The first signal that asks to stop starts a drain: the ignored ones did not count.
    server.terminate();
    assert_eq!(stream.chunk(), None, "a normal end");
    drop(stream);
    assert_eq!(server.join().code(), Some(0));
}
