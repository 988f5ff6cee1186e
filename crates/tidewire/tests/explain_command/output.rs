//! When and how the output is written, and error messages.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::common::server::command;
use crate::common::{Deadline, Output};
use crate::{code_of, explain, holds, plain, wait_for};

#[test]
fn bytes_from_a_pipe_are_explained_at_once() {
    let mut command = command(&["explain"]);
    plain(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_for(&mut child, "the request has no body");
    stdin.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    drop(stdin);
    assert_eq!(code_of(&mut child), Some(0));
}

#[test]
fn a_closed_standard_output_ends_the_command_without_an_error() {
    let mut command = command(&["explain"]);
    plain(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    // As `| head` does.
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let deadline = Deadline::soon();
    while stdin.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100)).is_ok() {
        deadline.check("the end of a command whose output is closed", || "it reads on");
    }
    let code = code_of(&mut child);
    let stderr = Output::of(child.stderr.take().unwrap()).rest();
    assert_eq!((code, stderr.escape_ascii().to_string()), (Some(0), String::new()));
}

/// A terminal must show the bytes of a peer and not obey them.
#[test]
fn control_characters_of_a_peer_do_not_reach_the_terminal() {
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
            let is_obeyed = |c: char| {
                c.is_control() && c != '\n'
                    || matches!(c, '\u{2028}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            let both = outcome.stdout.clone() + &outcome.stderr;
            assert!(!both.contains(is_obeyed), "{text:?} {args:?}\n{}", both.escape_debug());
            assert!(outcome.stdout.len() > 20, "{outcome:?}");
        }
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../../../../README.md");
    let (_, block) = readme.split_once("explain --hex\n").unwrap();
    let (shown, _) = block.split_once("```").unwrap();
    assert_eq!(explain(&["--hex"], b"81 85 37fa213d 7f9f4d5158\n").stdout, shown);
}

#[test]
fn the_wire_documents_show_what_is_printed() {
    let readme = include_str!("../../../../docs/wire/README.md");
    let (_, command) = readme.split_once("$ printf '").unwrap();
    let (bytes, command) = command.split_once("' | cargo run -q --release -- explain\n").unwrap();
    let (shown, _) = command.split_once("```").unwrap();
    let bytes = bytes.replace("\\r", "\r").replace("\\n", "\n");
    assert_eq!(explain(&[], bytes.as_bytes()).stdout, shown);
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
fn colours_are_used_only_if_asked_for() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(!explain(&[], input).stdout.contains('\u{1b}'));
    assert!(!explain(&["--color", "never"], input).stdout.contains('\u{1b}'));
    let colored = explain(&["--colour", "always"], input).stdout;
    assert!(colored.contains("\u{1b}["));
    // Without the escape sequences, the output is the same.
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((text, escape)) = rest.split_once('\u{1b}') {
        plain += text;
        rest = escape.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, explain(&[], input).stdout);
}

#[test]
fn no_line_is_wider_than_the_output() {
    let input = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n\
        id: e-4\ndata: hello\n\n";
    for width in [50, 71, 80, 100, 120, 140] {
        let outcome = explain(&["--as", "response", "--width", &width.to_string()], input);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        for line in outcome.stdout.lines() {
            assert!(line.chars().count() <= width, "{width}: {line:?}");
        }
    }
}

/// A long word is cut where the line ends, but not within an escape.
#[test]
fn an_escape_stays_on_one_line() {
    for len in 30..90 {
        let content = "\n".to_owned() + &"x".repeat(len) + "\n\n\n";
        let input = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len());
        let outcome = explain(&["--limit", "1000"], input.as_bytes());
        assert!(outcome.stdout.contains("\\n"), "{}", outcome.stdout);
        assert!(!outcome.stdout.contains("\\\n"), "{}", outcome.stdout);
    }
}

#[test]
fn a_title_of_a_direction_is_directly_above_its_bytes() {
    let mut trace = String::new();
    for (title, text) in [
        ("=> Send header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("<= Recv header", "HTTP/1.1 204 A\r\n\r\n"),
        ("=> Send header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("=> Send header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("<= Recv header", "HTTP/1.1 204 A\r\n\r\nHTTP/1.1 204 A\r\n\r\n"),
    ] {
        trace += &format!("{title}, {} bytes\n", text.len());
        for row in text.as_bytes().chunks(16) {
            let digits: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            trace += &format!("0000: {}\n", digits.join(" "));
        }
    }
    let outcome = explain(&[], trace.as_bytes());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let is_title = |line: &str| line.contains("──►") || line.contains("◄──");
    let titles: Vec<_> = (0..lines.len()).filter(|&at| is_title(lines[at])).collect();
    assert_eq!(titles.len(), 4, "{}", outcome.stdout);
    for at in titles {
        assert_eq!((lines[at - 1], lines[at + 1].is_empty()), ("", false), "{}", outcome.stdout);
    }
    // Two requests in a row are separated.
    assert_eq!(outcome.stdout.matches("\n\n    27  47 45 54").count(), 0, "{}", outcome.stdout);
    assert_eq!(outcome.stdout.matches("\n\n    54  47 45 54").count(), 1, "{}", outcome.stdout);
}

#[test]
fn errors_say_what_to_do() {
    let cases: [(&[&str], &str); 8] = [
        (&["/no/such/file"], "there is no file /no/such/file; a URL must start with http:// or ws://"),
        (&["/"], "is a directory"),
        (&["https://example.org/"], "TLS is not supported"),
        (&["ftp://example.org/"], "a URL must start with http:// or ws://"),
        (&["http://127.0.0.1:1/"], "no server listens on 127.0.0.1:1"),
        (&["http://127.0.0.1:1/", "--hex"], "--as and --hex are only for files"),
        (&["file.bin", "--deflate"], "--deflate is only for URLs"),
        (&["http://127.0.0.1:1/", "--subprotocol", "x"], "are only for ws:// URLs"),
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
