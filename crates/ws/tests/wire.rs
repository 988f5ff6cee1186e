//! Runs every case of `docs/wire/websocket.md` at every split.

#[allow(unreachable_pub)] // `subject` is a library of its own to the fuzz targets
mod subject;

use subject::{Frames, Messages};
use tidewire_testkit::vectors::{self, Vector};
use tidewire_ws::{Client, Connection, Limits, Role, Server};

#[test]
fn every_case_of_the_wire_document() {
    let plain = |case: &Vector| !case.has("frames") && !case.has("deflate") && !case.has("takeover");
    let frames = |case: &Vector| case.has("frames");
    let cases = vectors::run_where(
        "websocket",
        |case| plain(case) && !case.has("client"),
        |case| Messages::new(connection::<Server>(case)),
    ) + vectors::run_where(
        "websocket",
        |case| plain(case) && case.has("client"),
        |case| Messages::new(connection::<Client>(case)),
    ) + vectors::run_where(
        "websocket",
        |case| frames(case) && !case.has("client"),
        |case| Frames::<Server>::new(limits(case)),
    ) + vectors::run_where(
        "websocket",
        |case| frames(case) && case.has("client"),
        |case| Frames::<Client>::new(limits(case)),
    );
    assert!(cases >= 100, "{cases} cases");
}

#[cfg(feature = "deflate")]
#[test]
fn every_compressed_case_of_the_wire_document() {
    use tidewire_ws::deflate::{Config, Params};
    let compressed = |case: &Vector| case.has("deflate") || case.has("takeover");
    fn messages<R: Role>(case: &Vector) -> Messages<R> {
        let params = Params {
            server_no_context_takeover: !case.has("takeover"),
            client_no_context_takeover: !case.has("takeover"),
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let connection = connection(case).with_deflate(params, &Config::DEFAULT);
        if case.has("pieces") { Messages::joining(connection) } else { Messages::new(connection) }
    }
    let servers = |case: &Vector| compressed(case) && !case.has("client");
    let clients = |case: &Vector| compressed(case) && case.has("client");
    let cases = vectors::run_where("websocket", servers, messages::<Server>)
        + vectors::run_where("websocket", clients, messages::<Client>);
    assert!(cases >= 20, "{cases} cases");
}

fn connection<R: Role>(case: &Vector) -> Connection<R> {
    let connection = Connection::new(limits(case));
    if case.has("pieces") { connection.in_pieces() } else { connection }
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

/// Each chapter with accepted inputs has two or more that are nearly the same and refused.
#[test]
fn every_good_case_has_its_broken_relatives() {
    vectors::check_relatives("websocket", 2);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-ws", &[&Limits::DEFAULT], &[]);
}
