//! Files and standard input, of every kind.

use std::io::Write;

use crate::common::server::{command, run};
use crate::{explain, holds, plain};

#[test]
fn a_request_on_standard_input() {
    let outcome = explain(&[], b"POST /c/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "\
# read as HTTP from a client: it begins with a method (change this with --as)
     0  50 4f 53 54 20 2f 63 2f  POST /c/  request line [RFC 9112 §3]
     8  64 65 6d 6f 20 48 54 54  demo HTT    POST → sends content for the target to process
    16  50 2f 31 2e 31 0d 0a     P/1.1␍␊     [RFC 9110 §9.3.3]
                                             /c/demo → origin form: a path [RFC 9112 §3.2.1]
                                             HTTP/1.1 → the connection stays open for the next
                                             request, unless one side says close [RFC 9112 §9.3]
    23  48 6f 73 74 3a 20 61 0d  Host: a␍  Host: a → which site the request is for: one address can
    31  0a                       ␊         serve many names [RFC 9112 §3.2]
    32  43 6f 6e 74 65 6e 74 2d  Content-  Content-Length: 5 → the body is 5 bytes [RFC 9110 §8.6]
    40  4c 65 6e 67 74 68 3a 20  Length:
    48  35 0d 0a                 5␍␊
    51  0d 0a                    ␍␊        empty line → the head ends; 5 bytes of body follow
                                           [RFC 9112 §6.3 (6)]
    53  68 65 6c 6c 6f           hello       5 bytes of content → \"hello\" [RFC 9110 §6.4]

accepted all 58 bytes
"
    );
}

#[test]
fn a_refused_request_shows_the_byte_the_reason_and_the_answer() {
    let outcome =
        explain(&[], b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    holds(
        &outcome,
        &[
            "Content-Length: 5 → the body is 5 bytes",
            "refused at byte 45: 43 'C'",
            "why      more than one Content-Length [RFC 9112 §6.3]",
            "then     a server answers 400 Bad Request and closes",
            "decoder  Rule(LengthRepeated)",
        ],
    );
    let caret = outcome.stdout.lines().find(|line| line.trim() == "^^").unwrap();
    let dump = outcome.stdout.lines().find(|line| line.starts_with("    40  ")).unwrap();
    assert_eq!(&dump[caret.len() - 2..caret.len()], "43", "the mark is under the byte\n{}", outcome.stdout);
}

#[test]
fn a_line_end_without_cr_gets_a_hint() {
    let outcome = explain(&["--as", "request"], b"GET / HTTP/1.1\nHost: a\n\n");
    assert_eq!(outcome.code, Some(1));
    holds(&outcome, &["refused at byte 14: 0a (LF)", "hint     HTTP ends each line with CR LF"]);
}

#[test]
fn a_file_of_a_chunked_event_stream() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file()
        .write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
              11\r\nid: e-4\ndata: hel\r\n4\r\nlo\n\n\r\n2\r\n:\n\r\n0\r\n\r\n",
        )
        .unwrap();
    let mut command = command(&["explain", file.path().to_str().unwrap(), "--width", "160"]);
    plain(&mut command);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(
        &outcome,
        &[
            "read as HTTP from a server",
            "11 → a chunk of 17 bytes follows",
            "id: e-4 → a client that reconnects sends it",
            "the beginning of a line → the chunk ends within the line",
            "the rest of: data: hello → a line of data: \"hello\"",
            "blank line → dispatches \"message\" with 5 bytes of data; lastEventId is e-4",
            ": → a comment: ignored",
        ],
    );
}

#[test]
fn frames_in_hexadecimal() {
    let outcome = explain(&["--hex"], b"81 85 37fa213d 7f9f4d5158\n88 82 00 00 00 00 03 e8");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(
        &outcome,
        &[
            "WebSocket frames from a client",
            "1··· ···· FIN = 1",
            "·000 0101 length = 5",
            "masking key 37 fa 21 3d",
            "unmasked: \"Hello\" [RFC 6455 §5.3]",
            "close code 1000",
            "accepted all 19 bytes",
        ],
    );
    let outcome = explain(&["--hex", "--as", "ws-client"], b"81 05 48");
    assert_eq!(outcome.code, Some(1));
    holds(&outcome, &["refused at byte 1: 05", "a client must mask its frames", "a server closes with 1002"]);
    let outcome = explain(&["--hex"], b"8z");
    assert_eq!(
        (outcome.code, outcome.stderr.contains("not a hexadecimal digit")),
        (Some(1), true),
        "{outcome:?}"
    );
}

#[test]
fn a_stream_and_a_chunked_body_without_their_heads() {
    let outcome = explain(&[], b"retry: 2000\ndata: x\n\n");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(&outcome, &["read as an event stream", "retry: 2000 → wait 2000 ms"]);
    let outcome = explain(&[], b"5;a=b\r\nhello\r\n+1\r\n");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    holds(
        &outcome,
        &[
            "read as a chunked body",
            "a=b → a chunk extension",
            "refused at byte 14: 2b '+'",
            "an invalid chunk size",
        ],
    );
}

#[test]
fn a_trace_of_curl_has_both_directions() {
    let trace = b"== Info: Connected to 127.0.0.1 (127.0.0.1) port 8080 (#0)\n\
        => Send header, 27 bytes (0x1b)\n\
        0000: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a GET / HTTP/1.1..\n\
        0010: 48 6f 73 74 3a 20 61 0d 0a 0d 0a                Host: a....\n\
        <= Recv header, 38 bytes (0x26)\n\
        0000: 48 54 54 50 2f 31 2e 31 20 32 30 34 20 4e 6f 20 HTTP/1.1 204 No \n\
        0010: 43 6f 6e 74 65 6e 74 0d 0a 0d 0a                Content....\n\
        == Info: Closing connection 0\n";
    let outcome = explain(&[], trace);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(
        &outcome,
        &[
            "read as a trace of curl",
            "──► client to server",
            "◄── server to client",
            "answers GET /",
            "a 204 has no body",
            "27 bytes sent, 27 received",
        ],
    );
    let outcome = explain(&[], b"*   Trying 127.0.0.1:8080...\n> GET / HTTP/1.1\n");
    assert_eq!(outcome.code, Some(1));
    holds(&outcome, &["hint     is this the output of curl -v? Use curl --trace"]);
}
