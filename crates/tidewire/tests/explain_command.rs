//! `tidewire explain`, as a user starts it: on files, on standard input, and on a live server.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::process::Stdio;

use common::Server;
use common::server::{Outcome, command, run};

/// Runs `tidewire explain` with bytes on its standard input.
fn explain(args: &[&str], input: &[u8]) -> Outcome {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(input).unwrap();
    let mut all = vec!["explain"];
    all.extend(args);
    let mut command = command(&all);
    command.stdin(Stdio::from(std::fs::File::open(file.path()).unwrap()));
    plain(&mut command);
    run(command)
}

/// Without what the terminal of whoever runs the tests would change.
fn plain(command: &mut std::process::Command) {
    command.env_remove("COLUMNS").env_remove("NO_COLOR");
}

/// Explains a URL of the server.
fn live(server: &Server, args: &[&str], url: &str) -> Outcome {
    let mut all = vec!["explain", url];
    all.extend(args);
    let mut command = command(&all);
    plain(&mut command);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}\n{}", server.log());
    outcome
}

/// Whether the page says all of this. What stands beside the bytes is wrapped, so it is read as one line, too.
fn holds(outcome: &Outcome, texts: &[&str]) {
    let beside = |columns: usize| {
        let words = outcome.stdout.lines().flat_map(|line| {
            let start = line.char_indices().nth(columns).map_or(line.len(), |(at, _)| at);
            line[start..].split_whitespace()
        });
        words.collect::<Vec<_>>().join(" ")
    };
    // The columns of offset, bytes and text, with 8 and with 16 bytes a row.
    let pages = [outcome.stdout.clone(), beside(43), beside(75)];
    for text in texts {
        let found = pages.iter().any(|page| page.contains(text));
        assert!(found, "no {text:?} in\n{}\n{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn a_request_on_standard_input() {
    let outcome = explain(&[], b"POST /c/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "\
# taken for HTTP from a client, since it begins with a method; --as says otherwise
     0  50 4f 53 54 20 2f 63 2f  POST /c/  request line [RFC 9112 §3]
     8  64 65 6d 6f 20 48 54 54  demo HTT    POST → gives content to the target, to do with it what
    16  50 2f 31 2e 31 0d 0a     P/1.1␍␊     it does [RFC 9110 §9.3.3]
                                             /c/demo → origin form: a path [RFC 9112 §3.2.1]
                                             HTTP/1.1 → the connection stays open for the next
                                             request, unless one side says close [RFC 9112 §2.3]
    23  48 6f 73 74 3a 20 61 0d  Host: a␍  Host: a → whom the request is for: one address serves
    31  0a                       ␊         many names [RFC 9112 §3.2]
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
fn line_ends_without_cr_get_a_hint() {
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
            "taken for HTTP from a server",
            "11 → a chunk of 17 bytes follows",
            "id: e-4 → what a client comes back with",
            "the beginning of a line → the chunk ends and the line does not",
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
        (outcome.code, outcome.stderr.contains("no hexadecimal digit")),
        (Some(1), true),
        "{outcome:?}"
    );
}

#[test]
fn a_stream_and_a_chunked_body_without_their_heads() {
    let outcome = explain(&[], b"retry: 2000\ndata: x\n\n");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    holds(&outcome, &["taken for an event stream", "retry: 2000 → after a cut, wait 2000 ms"]);
    let outcome = explain(&[], b"5;a=b\r\nhello\r\n+1\r\n");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    holds(
        &outcome,
        &[
            "taken for a chunked body",
            "a=b → a chunk extension",
            "refused at byte 14: 2b '+'",
            "no valid chunk size",
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
            "taken for a trace of curl",
            "──► client to server",
            "◄── server to client",
            "answers GET /",
            "a 204 has no body",
            "27 bytes sent, 27 received",
        ],
    );
    let outcome = explain(&[], b"*   Trying 127.0.0.1:8080...\n> GET / HTTP/1.1\n");
    assert_eq!(outcome.code, Some(1));
    holds(&outcome, &["hint     is this what curl -v prints? curl --trace"]);
}

#[test]
fn what_comes_through_a_pipe_is_explained_as_it_comes() {
    let mut command = command(&["explain"]);
    plain(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_for(&mut child, "the request has no body");
    stdin.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn nobody_has_to_read_it_to_the_end() {
    let mut command = command(&["explain"]);
    plain(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    // As `| head` does.
    drop(wait_for(&mut child, "the request has no body"));
    while stdin.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100)).is_ok() {}
    let outcome = child.wait_with_output().unwrap();
    assert_eq!((outcome.status.code(), outcome.stderr.escape_ascii().to_string()), (Some(0), String::new()));
}

/// Whatever a peer sends, a terminal shows it and does not obey it.
#[test]
fn no_byte_of_a_peer_reaches_the_terminal() {
    let evil = "\u{1b}]0;own\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{2028}\u{85}";
    let escaped = r"\u001b]0;own\u0007\u009b31m\u202e";
    let texts = [
        format!("GET /{evil} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {evil}\r\n\r\n"),
        format!("HTTP/1.1 200 {evil}\r\nContent-Length: 20\r\n\r\n{evil}"),
        "HTTP/1.1 200 OK\r\nX: caf\u{e9}\u{202e}\u{2066}\r\nContent-Length: 20\r\n\r\n".to_owned() + evil,
        format!("5;a={evil}\r\nhello\r\n0\r\nT: {evil}\r\n\r\n"),
        format!("id: {evil}\nevent: {evil}\n:{evil}\ndata: {evil}\n{evil}: x\n\n"),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n\
             {{\"type\":\"message\",\"cursor\":\"{escaped}\",\"event\":\"{escaped}\",\"data\":\"{evil}\"}}\n\
             {{\"type\":\"error\",\"title\":\"{escaped}\"}}\n{evil}\n"
        ),
        format!("\u{1}\u{14}{evil}"),
        format!("== Info: {evil}\n=> Send header, 3 bytes\n0000: 1b 5b 6d\n{evil}\n"),
    ];
    for text in texts {
        for args in [
            &["--color", "never"][..],
            &["--color", "never", "--as", "ws-server"],
            &["--color", "never", "--as", "sse"],
        ] {
            let outcome = explain(args, text.as_bytes());
            let obeyed = |c: char| {
                c.is_control() && c != '\n'
                    || matches!(c, '\u{2028}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            let both = outcome.stdout.clone() + &outcome.stderr;
            assert!(!both.contains(obeyed), "{text:?} {args:?}\n{}", both.escape_debug());
            assert!(outcome.stdout.len() > 20, "{outcome:?}");
        }
    }
}

#[test]
fn ctrl_c_ends_a_live_stream() {
    let server = Server::start(&[]);
    for url in [server.url("/c/demo?feed=sse"), format!("ws://{}/c/demo", server.address)] {
        let mut command = command(&["explain", &url]);
        plain(&mut command);
        let mut child = command.spawn().unwrap();
        // The head of the answer is the last thing that comes for sure.
        let out = wait_for(&mut child, "the head ends; chunks follow|another protocol begins");
        let kill =
            std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
        assert!(kill.unwrap().success());
        let rest = std::io::read_to_string(out).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        assert!(rest.contains("interrupted"), "{rest}");
        // A WebSocket is closed in good order.
        assert_eq!(
            rest.matches("close code 1000").count(),
            if url.starts_with("ws") { 2 } else { 0 },
            "{rest}"
        );
    }
}

/// Reads the standard output of a child up to one of some texts.
fn wait_for(child: &mut std::process::Child, texts: &str) -> impl std::io::Read + use<> {
    use std::io::BufRead;
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    loop {
        let n = out.read_line(&mut seen).unwrap();
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        if texts.split('|').any(|text| words.contains(text)) {
            return out;
        }
        assert!(n > 0, "no {texts:?} in\n{seen}");
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../../../README.md");
    let (_, block) = readme.split_once("explain --hex\n").unwrap();
    let (shown, _) = block.split_once("```").unwrap();
    assert_eq!(explain(&["--hex"], b"81 85 37fa213d 7f9f4d5158\n").stdout, shown);
}

#[test]
fn a_huge_body_takes_few_lines() {
    let mut input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n".to_vec();
    input.resize(input.len() + 4_000_000, b'x');
    let outcome = explain(&["--limit", "8"], &input);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    holds(&outcome, &["accepted all 4000053 bytes", "… 65528 more bytes"]);
    assert!(outcome.stdout.lines().count() < 300, "{} lines", outcome.stdout.lines().count());
}

#[test]
fn colours_are_for_those_who_want_them() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(!explain(&[], input).stdout.contains('\u{1b}'));
    assert!(!explain(&["--color", "never"], input).stdout.contains('\u{1b}'));
    let colored = explain(&["--colour", "always"], input).stdout;
    assert!(colored.contains("\u{1b}["));
    // The same page below the colours.
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((text, escape)) = rest.split_once('\u{1b}') {
        plain += text;
        rest = escape.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, explain(&[], input).stdout);
}

#[test]
fn no_line_is_wider_than_the_page() {
    let input = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\nid: e-4\ndata: hello\n\n";
    for width in [50, 71, 80, 100, 120, 140] {
        let outcome = explain(&["--as", "response", "--width", &width.to_string()], input);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        for line in outcome.stdout.lines() {
            assert!(line.chars().count() <= width, "{width}: {line:?}");
        }
    }
}

#[test]
fn mistakes_get_a_sentence_that_says_what_to_do() {
    let cases: [(&[&str], &str); 8] = [
        (&["/no/such/file"], "there is no file /no/such/file; a URL starts with http:// or ws://"),
        (&["/"], "is a directory"),
        (&["https://example.org/"], "TLS is not supported"),
        (&["ftp://example.org/"], "a URL starts with http:// or ws://"),
        (&["http://127.0.0.1:1/"], "nobody listens on 127.0.0.1:1"),
        (&["http://127.0.0.1:1/", "--hex"], "--as and --hex are for files"),
        (&["file.bin", "--deflate"], "--deflate is for URLs"),
        (&["http://127.0.0.1:1/", "--subprotocol", "x"], "are for ws:// URLs"),
    ];
    for (args, sentence) in cases {
        let outcome = explain(args, b"");
        assert_eq!(outcome.code, Some(1), "{args:?} {outcome:?}");
        assert!(outcome.stderr.contains(sentence), "{args:?} {}", outcome.stderr);
    }
    let help = explain(&["--help"], b"");
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Examples:"), "{}", help.stdout);
}

#[test]
fn a_live_poll() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(&server, &[], &server.url("/c/demo"));
    holds(
        &outcome,
        &[
            "──► client to server",
            "GET → asks for what is at the target",
            "◄── server to client",
            "status line → answers GET /c/demo",
            "Content-Type: application/json",
            "received",
        ],
    );
}

#[test]
fn a_live_publish() {
    let server = Server::start(&[]);
    let outcome = live(&server, &["-d", "hello", "-H", "Content-Type: text/plain"], &server.url("/c/demo"));
    holds(
        &outcome,
        &[
            "POST → gives content",
            "Content-Type: text/plain",
            "5 bytes of content → \"hello\"",
            "201 → something was created",
        ],
    );
}

#[test]
fn a_live_event_stream() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(&server, &["--messages", "1"], &server.url("/c/demo?feed=sse&since=earliest"));
    holds(
        &outcome,
        &[
            "Transfer-Encoding: chunked",
            "→ a chunk of",
            "retry: ",
            "data: hello → a line of data: \"hello\"",
            "dispatches \"message\" with 5 bytes of",
            "enough messages",
        ],
    );
}

#[test]
fn a_live_http_stream() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(
        &server,
        &["--messages", "2", "--width", "160"],
        &server.url("/c/demo?feed=stream&since=earliest"),
    );
    holds(
        &outcome,
        &["the stream begins after cursor", "a message: 5 bytes of text; the cursor after it is"],
    );
}

#[test]
fn a_live_stream_ends_after_the_seconds() {
    let server = Server::start(&[]);
    let outcome = live(&server, &["--seconds", "0.3"], &server.url("/c/demo?feed=sse"));
    holds(&outcome, &["enough seconds"]);
}

#[test]
fn the_longest_time_is_one_that_a_clock_can_hold() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let args = ["--seconds", "36500d", "--messages", "1"];
    let outcome = live(&server, &args, &server.url("/c/demo?feed=sse&since=earliest"));
    holds(&outcome, &["hello"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_live_websocket() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let url = format!("ws://{}/c/demo?since=earliest", server.address);
    let outcome = live(&server, &["--subprotocol", "tidewire.v1", "--messages", "2", "--width", "160"], &url);
    holds(
        &outcome,
        &[
            "101 → from the next byte on the connection speaks another protocol",
            "text frame",
            "0··· ···· MASK = 0 → a server never masks",
            "tidewire.v1 object → the stream begins after cursor",
            "tidewire.v1 object → a message: 5 bytes of text",
            "1··· ···· MASK = 1 → a client masks all it sends",
            "close code 1000",
        ],
    );
}

#[test]
fn a_live_websocket_with_compression() {
    let server = Server::start(&[]);
    publish(&server, &"hello ".repeat(400));
    let url = format!("ws://{}/c/demo?since=earliest", server.address);
    let outcome = live(&server, &["--deflate", "--messages", "1", "--width", "160"], &url);
    holds(
        &outcome,
        &[
            "Sec-WebSocket-Extensions: permessage-deflate",
            "RSV1: the message is compressed (permessage-deflate) [RFC 7692 §6]",
            "2,400 bytes inflated → \"hello hello",
        ],
    );
}

fn publish(server: &Server, payload: &str) {
    let outcome = run(command(&["pub", &server.url("/c/demo"), payload]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
