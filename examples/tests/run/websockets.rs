//! Examples of `tidewire-ws` over tokio, axum, hyper and TLS.

use super::{has, run};

#[test]
fn ws_axum() {
    let printed = run("ws_axum");
    for server in ["axum::serve", "tidewire-server"] {
        for line in ["101 Switching Protocols", "hello", "closed: true"] {
            assert!(printed.contains(&format!("{server}: {line}\n")), "{server} {line}: {printed}");
        }
    }
}

#[test]
fn ws_hyper() {
    has(&run("ws_hyper"), &["hello", "Close", "1000"]);
}

#[test]
fn ws_connect() {
    let printed = run("ws_connect");
    has(&printed, &["subprotocol: Some(\"greet.v1\")", "hello", "Close", "1000"]);
    has(&printed, &["/greet: 401: ", "send credentials", "Its body begins: the token is unknown"]);
    has(&printed, &["/old: 308: ", "it redirects to /greet", "/nowhere: 404: ", "no WebSocket at this path"]);
}

#[test]
fn ws_broadcast() {
    let printed = run("ws_broadcast");
    has(&printed, &["messages, 3 readers are left", "slow: "]);
    has(&printed, &["then Some(1013) \"this reader is too slow\""]);
}

#[test]
fn ws_pieces() {
    let printed = run("ws_pieces");
    has(&printed, &["server: received 67108864 bytes, and held"]);
    has(&printed, &["client: sent 67108864 bytes, and held 65536 at most"]);
    has(&printed, &["client: received 67108864 bytes, and held"]);
    for line in printed.lines() {
        let held = line.split(' ').rev().nth(2).unwrap();
        assert!(held.parse::<usize>().unwrap() <= 65536, "{line}");
    }
}

#[test]
fn ws_tls() {
    let printed = run("ws_tls");
    has(&printed, &["status 101", "hello", "without the root: no secure connection"]);
    has(&printed, &["invalid peer certificate"]);
}
