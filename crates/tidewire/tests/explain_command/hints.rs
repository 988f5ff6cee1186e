//! What helps a person who has named the wrong kind, or has the wrong input.

use crate::{explain, holds};

#[test]
fn a_wrong_kind_names_the_one_that_the_input_seems_to_be() {
    for (kind, input, code, seems) in [
        ("request", &b"HTTP/1.1 200 OK\r\n\r\n"[..], 1, "HTTP from a server: it begins with HTTP/"),
        ("response", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, "HTTP from a client: it begins with a method"),
        ("chunked", b"id: 7\ndata: x\n\n", 1, "an event stream: its first line"),
        ("ws-client", b"\x81\x05Hello", 1, "WebSocket frames from a server: it begins"),
        ("ws-server", b"5\r\nhello\r\n0\r\n\r\n", 1, "a chunked body: its first line is a chunk size"),
        // In an event stream, no line is wrong. So all is accepted, but nothing is a message.
        ("sse", b"HTTP/1.1 200 OK\r\n\r\n", 0, "HTTP from a server: it begins with HTTP/"),
    ] {
        let outcome = explain(&["--as", kind], input);
        assert_eq!(outcome.code, Some(code), "{kind}: {outcome:?}");
        let hint = format!("hint     without --as, the input is read as {seems}");
        assert!(outcome.stdout.contains(&hint), "{kind}:\n{}", outcome.stdout);
    }
}

#[test]
fn a_kind_that_fits_or_cannot_be_detected_gets_no_such_hint() {
    for (kind, input) in [
        ("request", &b"GET / HTTP/1.1\nHost: a\n\n"[..]),
        ("chunked", b"+5\r\nhello\r\n"),
        ("sse", b"nonsense\n"),
        ("sse", b"hello world\n"),
        // An empty line may stand before a request, and before a line of an event stream.
        ("request", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("ws-client", b""),
    ] {
        let outcome = explain(&["--as", kind], input);
        assert!(!outcome.stdout.contains("without --as"), "{kind}:\n{}", outcome.stdout);
    }
}

#[test]
fn hexadecimal_text_without_the_option_gets_a_hint() {
    let hint = "hint     the input is only hexadecimal digits; --hex reads them as bytes";
    for (args, input, expected) in [
        (&[][..], &b"81 85 37fa213d 7f9f4d5158\n"[..], true),
        (&[], b"818537fa213d7f9f4d5158", true),
        (&["--as", "ws-client"], b"8185 37fa213d\n7f9f4d5158\n", true),
        (&[], b"81 85 37fa213d, 7f9f4d5158\n", false),
        // A chunk size alone is not hexadecimal text.
        (&[], b"5\r\n", false),
    ] {
        let outcome = explain(args, input);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stdout.contains(hint), expected, "{args:?}\n{}", outcome.stdout);
    }
    let outcome = explain(&["--hex"], b"30 31 32 33");
    assert!(!outcome.stdout.contains(hint), "{}", outcome.stdout);
}

#[test]
fn a_trace_without_bytes_is_an_error() {
    for (args, input) in [
        // The output of curl -v, of curl --trace-ascii, and of curl --trace without a server.
        (&["--as", "curl-trace"][..], &b"> GET / HTTP/1.1\r\n> Host: a\r\n>\r\n"[..]),
        (&[], b"=> Send header, 16 bytes (0x10)\n0000: GET / HTTP/1.1\n"),
        (&[], b"== Info: connect to 127.0.0.1 port 1 failed: Connection refused\n"),
    ] {
        let outcome = explain(args, input);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let sentence = "the trace has no bytes of a connection: curl did not connect, or";
        assert!(outcome.stderr.contains(sentence), "{outcome:?}");
        assert!(!outcome.stdout.contains("accepted"), "{outcome:?}");
    }
}

/// A trace of a request. Its last line has no line end.
const REQUEST: &str = "=> Send header, 27 bytes (0x1b)\n\
    0000: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a GET / HTTP/1.1..\n\
    0010: 48 6f 73 74 3a 20 61 0d 0a 0d 0a                Host: a....";

#[test]
fn the_last_line_of_a_trace_needs_no_line_end() {
    let response = "HTTP/1.1 204 A\r\n\r\n";
    let digits: Vec<_> = response.bytes().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<_> = digits.chunks(16).map(|row| format!("0000: {}", row.join(" "))).collect();
    let trace = format!("{REQUEST}\n<= Recv header, {} bytes\n{}", response.len(), lines.join("\n"));
    let outcome = explain(&[], trace.as_bytes());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(&outcome, &["27 bytes sent, 18 received"]);
}

#[test]
fn a_refusal_in_a_trace_says_in_which_direction() {
    let outcome = explain(&[], REQUEST.as_bytes());
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let (_, refusal) = outcome.stdout.split_once("◄── server to client").expect("the other direction");
    assert!(refusal.contains("ended too early at byte 0: the input ends here"), "{}", outcome.stdout);
}

#[test]
fn an_empty_input_names_a_likely_cause() {
    let outcome = explain(&[], b"");
    let remark = "# the input is empty; if it comes from a command, that command printed nothing";
    assert_eq!(outcome.stdout.lines().next(), Some(remark), "{outcome:?}");
}
