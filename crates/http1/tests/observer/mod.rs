//! The observer: both directions of captured connections.

pub(crate) mod capture;
pub(crate) mod pair;

use crate::common;
use capture::{Capture, Side, interleaved};
use proptest::prelude::*;
use tidewire_http1::*;
use tidewire_testkit::Rng;

/// Observes a capture, compares the result with the naive twin, and with other interleavings.
fn observe(up: &[u8], down: &[u8]) -> (Vec<String>, Vec<String>) {
    observe_within(Limits::DEFAULT, up, down)
}

fn observe_within(limits: Limits, up: &[u8], down: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut capture = Capture::new(limits);
    capture.push(Side::Requests, up).push(Side::Responses, down);
    let seen = capture.end();
    assert_eq!(seen, pair::observe(limits, up, down), "the pair of connections");
    let mut rng = Rng::of(&[up, down].concat());
    for room in [u16::MAX, 1, 2] {
        for _ in 0..15 {
            let again = interleaved(limits.with_max_unanswered(room), up, down, &mut rng);
            assert_eq!(again, seen, "another interleaving, with room for {room} requests");
        }
    }
    (seen.requests.lines(), seen.responses.lines())
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";

/// The lines that tell which message they belong to, without fields.
fn brief(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').skip(1).collect();
            if let Some(to) = line.split(' ').find(|word| word.starts_with("to=")) {
                words.truncate(2);
                words.push(to);
            } else if words[0] == "request" {
                words.truncate(3);
            }
            words.join(" ")
        })
        .collect()
}

#[test]
fn responses_belong_to_pipelined_requests() {
    let up = b"HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi\
        GET /3 HTTP/1.1\r\nHost: h\r\n\r\n";
    let down = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n\
        HTTP/1.1 404 Not Found\r\n\r\nuntil close";
    let (requests, responses) = observe(up, down);
    assert_eq!(
        brief(&requests),
        [
            "request HEAD \"/1\"",
            "end",
            "request POST \"/2\"",
            "data \"hi\"",
            "end",
            "request GET \"/3\"",
            "end"
        ]
    );
    assert_eq!(
        brief(&responses),
        [
            "response 200 to=0",
            "end",
            "response 103 to=1",
            "response 200 to=1",
            "data \"abc\"",
            "trailer X=\"y\"",
            "end",
            "response 404 to=2",
            "data \"until close\"",
            "end"
        ]
    );
}

#[test]
fn an_early_error_response_is_read_before_the_request_is_complete() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
    let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.push(Side::Requests, head).push(Side::Responses, refusal);
    assert_eq!(brief(&capture.seen.responses.lines()), ["response 413 to=0", "end"]);
    assert_eq!(capture.observer.reading_requests(), Reading::Messages);
    assert_eq!(capture.observer.reading_responses(), Reading::Closed);
    let (requests, responses) = observe(&[&head[..], b"abc"].concat(), refusal);
    assert_eq!(brief(&requests), ["request POST \"/\"", "data \"abc\"", "error Syntax(UnexpectedEnd)"]);
    assert_eq!(responses.len(), 2);
}

#[test]
fn a_refused_request_may_be_answered() {
    let bad = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost : h\r\n\r\n";
    let refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n";
    let (requests, responses) = observe(bad, &[OK, refusal].concat());
    assert_eq!(brief(&requests)[2..], ["error Syntax(SpaceBeforeColon)"]);
    assert_eq!(brief(&responses)[3..], ["response 400 to=1", "end"], "it answers a HEAD");
    // The server may close without an answer.
    assert_eq!(brief(&observe(bad, OK).1), ["response 200 to=0", "data \"ok\"", "end"]);
    // Nothing is read after it.
    let (_, responses) = observe(bad, &[OK, refusal, OK].concat());
    assert_eq!(responses.last().unwrap(), &format!("left {}", OK.len()));
    // A head that is cut off, as when the server closed after a time-out.
    let (_, responses) = observe(b"GET /a HT", b"HTTP/1.1 408 Request Timeout\r\n\r\nlate");
    assert_eq!(brief(&responses), ["response 408 to=0", "data \"late\"", "end"]);
}

#[test]
fn a_response_waits_for_its_request() {
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.push(Side::Responses, OK).push(Side::Requests, &GET[..10]);
    assert_eq!(capture.observer.reading_responses(), Reading::AwaitsRequest);
    assert_eq!(capture.observer.responses_consumed(), 0);
    capture.push(Side::Requests, &GET[10..]);
    assert_eq!(capture.observer.reading_responses(), Reading::Messages);
    assert_eq!(brief(&capture.end().responses.lines()), ["response 200 to=0", "data \"ok\"", "end"]);
}

#[test]
fn a_response_to_no_request_is_refused_once_the_requests_have_ended() {
    let (_, responses) = observe(GET, &[OK, OK].concat());
    assert_eq!(brief(&responses)[3..], ["error Rule(UnexpectedResponse)"]);
    assert!(responses[3].starts_with(&format!("{} ", OK.len())), "{responses:?}");
    assert_eq!(observe(b"", OK).1, ["0 error Rule(UnexpectedResponse)"]);
    // Before the end, a request may still come.
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.push(Side::Requests, GET).push(Side::Responses, &[OK, OK].concat());
    assert_eq!(capture.observer.reading_responses(), Reading::AwaitsRequest);
    capture.push(Side::Requests, GET);
    capture.read_on();
    assert_eq!(capture.observer.unanswered(), 0);
}

#[test]
fn both_directions_switch_together() {
    for (request, answer) in
        [(UPGRADE, SWITCHING), (b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")]
    {
        let up = [GET, request, b"\x16\x03GET /"].concat();
        let down = [OK, answer, b"\x16\x03HTTP/1.1 200"].concat();
        let (requests, responses) = observe(&up, &down);
        assert_eq!(requests.last().unwrap(), "left 7");
        assert_eq!(responses.last().unwrap(), "left 14");

        let mut capture = Capture::new(Limits::DEFAULT);
        capture.push(Side::Requests, &up);
        assert_eq!(capture.observer.reading_requests(), Reading::AwaitsAnswer);
        capture.push(Side::Responses, &down);
        assert_eq!(capture.observer.reading_requests(), Reading::Switched);
        assert_eq!(capture.observer.reading_responses(), Reading::Switched);
    }
}

#[test]
fn after_a_declined_offer_the_next_request_is_read() {
    let next = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
    for offer in [UPGRADE, b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"] {
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let (requests, responses) = observe(&[offer, next].concat(), &[refusal, OK].concat());
        assert_eq!(brief(&requests)[2..], ["request GET \"/next\"", "end"]);
        assert_eq!(brief(&responses)[2], "response 200 to=1");
        // Without an answer, nobody knows what the bytes are.
        let (requests, responses) = observe(&[offer, next].concat(), b"");
        assert_eq!(requests.last().unwrap(), &format!("left {}", next.len()));
        assert_eq!(responses, ["0 error Syntax(UnexpectedEnd)"]);
    }
}

/// A body and an offer in one request: two recipients could disagree where the other protocol
/// starts.
#[test]
fn a_switch_after_a_request_with_a_body_is_refused() {
    let head = "HTTP/1.1\r\nHost: h:1\r\nConnection: Upgrade\r\nUpgrade: other\r\nContent-Length: 3\r\n\r\n";
    for (start, answer) in [("GET /", SWITCHING), ("CONNECT h:1", b"HTTP/1.1 200 OK\r\n\r\n")] {
        let up = format!("{start} {head}abcGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        let (requests, responses) = observe(up.as_bytes(), answer);
        assert_eq!(responses, ["9 error Rule(UnexpectedUpgrade)"]);
        assert_eq!(brief(&requests)[3..], ["request GET \"/next\"", "end"]);
    }
    // A length of zero is no body.
    let empty =
        String::from_utf8(UPGRADE.to_vec()).unwrap().replace("Host: h", "Host: h\r\nContent-Length: 0");
    assert_eq!(observe(&[empty.as_bytes(), b"x"].concat(), SWITCHING).0.last().unwrap(), "left 1");
}

#[test]
fn a_switch_that_nobody_offered_is_refused() {
    assert_eq!(observe(GET, SWITCHING).1, ["9 error Rule(UnexpectedUpgrade)"]);
    let old = b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
    assert_eq!(observe(old, SWITCHING).1, ["9 error Rule(UnexpectedUpgrade)"]);
}

#[test]
fn nothing_is_read_after_the_last_request_and_the_last_response() {
    let last = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (requests, responses) = observe(&[last, GET].concat(), &[OK, OK].concat());
    assert_eq!(requests.last().unwrap(), &format!("left {}", GET.len()));
    assert_eq!(responses.last().unwrap(), &format!("left {}", OK.len()));
    // HTTP/1.0 closes unless it says otherwise.
    let old = b"GET /a HTTP/1.0\r\n\r\n";
    assert_eq!(observe(&[old, GET].concat(), b"HTTP/1.0 200 OK\r\n\r\nbody").0.len(), 3);
    let kept = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(observe(&kept.repeat(2), &answer.repeat(2)).1.len(), 4);
}

/// The client sent the second request before it knew that the server closes: it has no answer.
#[test]
fn requests_after_a_response_that_closes_are_told_as_unanswered() {
    let closing = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (requests, responses) = observe(&[GET, GET, GET].concat(), &[closing, OK].concat());
    assert_eq!(requests.len(), 6);
    assert_eq!(responses.last().unwrap(), &format!("left {}", OK.len()));
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.push(Side::Requests, &GET.repeat(3)).push(Side::Responses, closing);
    assert_eq!((capture.observer.request_count(), capture.observer.unanswered()), (3, 2));
    assert_eq!(capture.observer.answered(), Some(0));
}

#[test]
fn a_hundred_pipelined_requests_are_read_at_once_and_more_wait() {
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.push(Side::Requests, &GET.repeat(1000));
    assert_eq!(capture.observer.request_count(), 128);
    assert_eq!(capture.observer.reading_requests(), Reading::AwaitsRoom);
    assert!(matches!(capture.observer.finish_requests(), Ok(None)), "the end is not reached");
    capture.push(Side::Responses, &OK.repeat(1000));
    assert_eq!(capture.observer.unanswered(), 0, "each of them is answered");
    capture.read_on();
    assert_eq!((capture.observer.request_count(), capture.observer.unanswered()), (1000, 0));
    let seen = capture.end();
    assert_eq!((seen.requests.lines().len(), seen.responses.lines().len()), (2000, 3000));
    // Without the other direction, no request waits for it.
    let mut capture = Capture::new(Limits::DEFAULT);
    capture.finish(Side::Responses);
    capture.push(Side::Requests, &GET.repeat(1000));
    assert_eq!((capture.observer.request_count(), capture.observer.unanswered()), (1000, 1000));
}

#[test]
fn a_flood_of_interim_responses_is_refused() {
    let (_, responses) = observe(GET, &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20));
    assert_eq!(brief(&responses)[15..], ["response 100 to=0", "error Limit(InterimResponses)"]);
    // The count starts again with each request.
    let patient = Limits::DEFAULT.with_max_interim_responses(1);
    let two = [b"HTTP/1.1 100 Continue\r\n\r\n", OK].concat().repeat(2);
    assert_eq!(observe_within(patient, &GET.repeat(2), &two).1.len(), 8);
}

#[test]
fn limits_hold_in_both_directions() {
    let up = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n";
    let down = b"HTTP/1.1 200 OK\r\n\r\n0123456789x";
    let (requests, responses) = observe_within(Limits::DEFAULT.with_max_body(10), up, down);
    assert_eq!(brief(&requests), ["error Limit(Body)"]);
    assert_eq!(brief(&responses)[1..], ["data \"0123456789\"", "error Limit(Body)"]);
}

#[test]
fn the_end_is_handled_in_every_state() {
    for cut in 0..=GET.len() {
        let lines = observe(&GET[..cut], b"").0;
        let is_between = cut == 0 || cut == GET.len();
        assert_eq!(lines.iter().any(|line| line.contains("UnexpectedEnd")), !is_between, "{cut}");
    }
    for cut in 0..=OK.len() {
        let (_, lines) = observe(GET, &OK[..cut]);
        assert_eq!(lines.iter().any(|line| line.contains("UnexpectedEnd")), cut < OK.len(), "{cut}");
    }
    for cut in 0..SWITCHING.len() {
        let (requests, lines) = observe(&[UPGRADE, b"x"].concat(), &SWITCHING[..cut]);
        assert!(lines.last().unwrap().ends_with("error Syntax(UnexpectedEnd)"), "{cut}");
        assert_eq!(requests.last().unwrap(), "left 1");
    }
}

/// Each of these was taken for two different messages by two recipients.
#[test]
fn smuggled_requests_are_refused() {
    for smuggled in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nX: y\nContent-Length: 5\r\n\r\n12345",
    ] {
        let up = [smuggled.as_bytes(), b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let (requests, _) = observe(&up, OK);
        assert!(requests.last().unwrap().contains(" error "), "{requests:?}");
        assert!(!requests.concat().contains("smuggled"), "{requests:?}");
    }
}

#[test]
fn a_capture_of_one_direction_is_read_with_assumptions() {
    let mut capture = Capture::new(Limits::DEFAULT);
    assert!(capture.observer.assume_request(Method::Head, false));
    assert!(capture.observer.assume_request(Method::Get, true));
    assert!(!capture.observer.assume_request(Method::Get, false), "the offer waits for its answer");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    capture.push(Side::Responses, &[head, SWITCHING, b"x"].concat());
    assert_eq!(capture.observer.reading_responses(), Reading::Switched);
    assert_eq!(capture.observer.reading_requests(), Reading::Switched);

    let mut capture = Capture::new(Limits::DEFAULT);
    assert!(!capture.observer.assume_switch());
    capture.push(Side::Requests, &GET[..5]);
    assert!(!capture.observer.assume_request(Method::Get, false), "a head has begun");
    capture.push(Side::Requests, &[&GET[5..], UPGRADE, b"x"].concat());
    assert!(capture.observer.assume_switch());
    assert_eq!(capture.observer.reading_requests(), Reading::Switched);
    assert_eq!(capture.observer.unanswered(), 2);
}

/// Messages that are valid, unusual or malformed, for random captures.
const REQUESTS: &[&[u8]] = &[
    GET,
    UPGRADE,
    b"HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\nx",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"\r\n",
    b"HEAD / HTTP/1.1\r\nHost : h\r\n\r\n",
    b"G",
    b"\r",
];
const RESPONSES: &[&[u8]] = &[
    OK,
    SWITCHING,
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 O\x01",
    b"H",
];

proptest! {
    /// Any sequence of messages, in any interleaving: what two real connections read.
    #[test]
    fn the_observer_sees_what_two_connections_see(
        up in prop::collection::vec(prop::sample::select(REQUESTS), 0..6),
        down in prop::collection::vec(prop::sample::select(RESPONSES), 0..6),
    ) {
        observe(&up.concat(), &down.concat());
    }
}
