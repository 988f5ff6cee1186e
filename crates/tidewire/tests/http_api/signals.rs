//! Signals that do not ask for an end.
#![cfg(unix)]

use crate::common::{Server, eventually};
use crate::{get, piece, post, stream_head};

/// SIGHUP comes when a terminal goes away, SIGUSR1 and SIGUSR2 from tools that rotate logs. By default each of them kills.
#[test]
fn a_signal_that_does_not_ask_for_an_end_is_ignored_and_logged() {
    let server = Server::start(&["--threads", "2"]);
    let mut stream = server.raw();
    stream.send(get("/c/s?feed=stream", ""));
    stream_head(&mut stream);
    piece(&mut stream);
    for signal in ["HUP", "USR1", "USR2", "HUP"] {
        let told = || server.log().matches(&format!("SIG{signal}")).count();
        let before = told();
        server.signal(signal);
        eventually("the signal is logged", || told() == before + 1);
    }
    let log = server.log();
    assert!(log.contains("restart"), "it says what to do: {log}");
    assert_eq!(server.raw().send(post("/c/s", "", "still here")).response().status, 201);
    assert!(piece(&mut stream).contains("still here"), "and streams stay");
    // The next one that does ask for it drains: none was taken for the first of two.
    server.terminate();
    assert_eq!(stream.chunk(), None, "the end in good order");
    drop(stream);
    assert_eq!(server.join().code(), Some(0));
}
