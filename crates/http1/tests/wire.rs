//! The cases of `docs/wire/http1.md`, at every split.

#![allow(clippy::unwrap_used)]

#[path = "observer/capture.rs"]
mod capture;
mod common;
#[path = "observer/subject.rs"]
mod observed;

use common::{ClientSubject, ServerSubject};
use observed::{RequestSubject, ResponseSubject};
use tidewire_http1::Limits;
use tidewire_testkit::split;
use tidewire_testkit::vectors::{self, Vector};

#[test]
fn the_document_holds_for_the_server_role() {
    let count = vectors::run_where(
        "http1",
        |case| !case.has("client"),
        |case| {
            let limits = limits(case);
            if case.has("switches") { ServerSubject::switching(limits) } else { ServerSubject::new(limits) }
        },
    );
    assert!(count >= 70, "{count} cases");
}

#[test]
fn the_document_holds_for_the_client_role() {
    let count = vectors::run_where(
        "http1",
        |case| case.has("client"),
        |case| ClientSubject::new(limits(case), method(case), case.has("upgrade"), more(case)),
    );
    assert!(count >= 20, "{count} cases");
}

#[test]
fn the_document_holds_for_an_observer() {
    vectors::run_where(
        "http1",
        |case| !case.has("client"),
        |case| RequestSubject::new(limits(case), case.has("switches")),
    );
    vectors::run_where(
        "http1",
        |case| case.has("client"),
        |case| ResponseSubject::new(limits(case), method(case), case.has("upgrade"), more(case)),
    );
}

/// Each refusal of the document with a second request behind it: the same refusal, and no event of
/// the second request.
#[test]
fn bytes_after_a_refused_request_are_not_read() {
    let mut refused = 0;
    for case in vectors::of("http1").iter().filter(|case| !case.has("client")) {
        let Some(error) =
            case.events.last().filter(|line| line.contains("error") && !line.contains("UnexpectedEnd"))
        else {
            continue;
        };
        refused += 1;
        let pipelined = [case.input.as_slice(), b"\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let log = split::check(|| ServerSubject::switching(limits(case)), &pipelined).lines();
        assert_eq!(log.last(), Some(error), "line {}", case.line);
        assert!(!log.iter().any(|line| line.contains("smuggled")), "line {}: {log:?}", case.line);
    }
    assert!(refused >= 60, "{refused} refusals");
}

/// How many requests the client sends after the first.
fn more(case: &Vector) -> u32 {
    u32::from(case.has("again"))
}

fn method(case: &Vector) -> &'static str {
    match case.option("method") {
        None => "GET",
        Some("HEAD") => "HEAD",
        Some("CONNECT") => "CONNECT",
        Some(other) => panic!("line {}: method={other}", case.line),
    }
}

fn limits(case: &Vector) -> Limits {
    let mut limits = Limits::DEFAULT;
    let number = |name| case.number_option(name);
    if let Some(n) = number("max_head") {
        limits.max_head = n.try_into().unwrap();
    }
    if let Some(n) = number("max_target") {
        limits.max_target = n.try_into().unwrap();
    }
    if let Some(n) = number("max_method") {
        limits.max_method = n.try_into().unwrap();
    }
    if let Some(n) = number("max_fields") {
        limits.max_fields = n.try_into().unwrap();
    }
    if let Some(n) = number("max_body") {
        limits.max_body = n;
    }
    if let Some(n) = number("max_interim_responses") {
        limits.max_interim_responses = n.try_into().unwrap();
    }
    limits
}

/// At least three malformed variants follow each valid case.
#[test]
fn each_valid_case_has_malformed_variants() {
    vectors::check_relatives("http1", 3);
}
