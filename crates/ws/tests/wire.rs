//! `docs/wire/websocket.md`, every case at every split.

#[allow(unreachable_pub)] // `subject` is a library of its own to the fuzz targets
mod subject;

use subject::{Frames, Messages};
use tidewire_testkit::vectors::{self, Vector};
use tidewire_ws::{Connection, Limits, Role};

#[test]
fn every_case_of_the_wire_document() {
    let plain = |case: &Vector| !case.has("frames") && !case.has("deflate") && !case.has("takeover");
    let messages = vectors::run_where("websocket", plain, |case| Messages::new(connection(case)));
    let frames = vectors::run_where(
        "websocket",
        |case| case.has("frames"),
        |case| Frames::new(role(case), limits(case)),
    );
    assert!(messages + frames >= 100, "{messages} + {frames} cases");
}

#[cfg(feature = "deflate")]
#[test]
fn every_compressed_case_of_the_wire_document() {
    use tidewire_ws::deflate::{Config, Params};
    let compressed = |case: &Vector| case.has("deflate") || case.has("takeover");
    let cases = vectors::run_where("websocket", compressed, |case| {
        let params = Params {
            server_no_context_takeover: !case.has("takeover"),
            client_no_context_takeover: !case.has("takeover"),
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let connection = connection(case).with_deflate(params, &Config::DEFAULT);
        if case.has("pieces") { Messages::joining(connection) } else { Messages::new(connection) }
    });
    assert!(cases >= 20, "{cases} cases");
}

fn connection(case: &Vector) -> Connection {
    let connection = Connection::new(role(case), limits(case));
    if case.has("pieces") { connection.in_pieces() } else { connection }
}

fn role(case: &Vector) -> Role {
    if case.has("client") { Role::Client } else { Role::Server }
}

fn limits(case: &Vector) -> Limits {
    let mut limits = Limits::DEFAULT;
    if let Some(bytes) = case.number_option("max_frame") {
        limits.max_frame = bytes;
    }
    if let Some(bytes) = case.number_option("max_message") {
        limits.max_message = bytes;
    }
    if let Some(frames) = case.number_option("max_empty") {
        limits.max_empty_fragments = u32::try_from(frames).expect("fits");
    }
    limits
}
