//! `tidewire pub` and `tidewire sub`.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::common::publish::delete;
use crate::common::server::{Outcome, command, run};
use crate::common::{Server, seq};

fn publish(url: &str, args: &[&str], input: &[u8]) -> Outcome {
    let mut command = command(&[&["pub", url][..], args].concat());
    let (from, mut to) = std::io::pipe().unwrap();
    to.write_all(input).unwrap();
    drop(to);
    command.stdin(Stdio::from(from));
    run(command)
}

#[test]
fn pub_publishes_and_sub_reads() {
    let server = Server::start(&[]);
    let url = server.url("/c/demo");
    let first = publish(&url, &["hello", "--event", "tide"], b"");
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    let binary = publish(&url, &["-", "--content-type", "a/b", "--idempotency-key", "k"], b"\xff\n");
    let again = publish(&url, &["-", "--content-type", "a/b", "--idempotency-key", "k"], b"\xff\n");
    assert_eq!(again.stdout, binary.stdout, "the same cursor");
    assert!(again.stderr.contains("already has the message"));
    let other = publish(&url, &["other", "--idempotency-key", "k"], b"");
    assert_eq!((other.code, other.stdout.as_str()), (Some(1), ""), "a key is bound to its message");
    assert!(other.stderr.contains("422") && other.stderr.contains("Idempotency-Key"), "{other:?}");

    for feed in ["auto", "ws", "sse", "stream", "longpoll", "poll"] {
        let args = ["sub", &url, "--feed", feed, "--since", "earliest", "--count", "2", "--json"];
        let outcome = run(command(&args));
        assert_eq!(outcome.code, Some(0), "{feed}: {outcome:?}");
        let lines: Vec<Value> =
            outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["data"], &lines[0]["event"]), (&"hello".into(), &"tide".into()), "{feed}");
        assert_eq!(
            (&lines[1]["data_b64"], &lines[1]["content_type"]),
            (&"/wo=".into(), &"a/b".into()),
            "{feed}"
        );
    }
    let plain = run(command(&["sub", &url, "--since", "earliest", "--count", "1"]));
    assert_eq!(plain.stdout, "hello\n");
}

#[test]
fn pub_closes_a_channel_and_sub_ends_with_it() {
    let server = Server::start(&[]);
    let url = server.url("/c/a/file");
    let lines = ["-", "--producer", "sensor:2", "--close"];
    let first = publish(&url, &lines, b"one\ntwo\n\nfour");
    assert_eq!((first.code, first.stdout.lines().count()), (Some(0), 4), "{first:?}");
    let end = first.stderr.strip_prefix("the channel is closed; its end is ").unwrap().trim_end();
    assert_eq!(seq(end), 5);
    let again = publish(&url, &lines, b"one\ntwo\n\nfour");
    assert_eq!((again.code, again.stdout.lines().count()), (Some(0), 4), "{again:?}");
    assert!(again.stderr.contains("already has the message") && again.stderr.contains(end), "{again:?}");
    let late = publish(&url, &["late"], b"");
    assert_eq!(late.code, Some(1));
    assert!(late.stderr.contains("the channel is closed"), "{late:?}");
    let old = publish(&url, &["-", "--producer", "sensor:1"], b"five\n");
    assert!(old.code == Some(1) && old.stderr.contains("a newer epoch of this producer"), "{old:?}");

    for feed in ["auto", "ws", "sse", "stream", "longpoll", "poll"] {
        let outcome = run(command(&["sub", &url, "--feed", feed, "--since", "earliest"]));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), "one\ntwo\n\nfour\n"), "{outcome:?}");
        assert!(outcome.stderr.ends_with("tidewire: the channel has ended\n"), "{feed}: {outcome:?}");
    }
    let json = run(command(&["sub", &url, "--since", "earliest", "--json"]));
    assert_eq!(json.stdout.lines().last(), Some(&*format!(r#"{{"type":"end","cursor":"{end}"}}"#)));
    let short = run(command(&["sub", &url, "--since", "earliest", "--count", "9"]));
    assert_eq!(short.code, Some(3), "{short:?}");

    let url = server.url("/c/b");
    let last = publish(&url, &["", "--close"], b"");
    assert_eq!((last.code, seq(last.stdout.trim_end())), (Some(0), 1), "an empty message is a message");
    let close = publish(&url, &["--close"], b"");
    assert_eq!((close.code, seq(close.stdout.trim_end())), (Some(0), 2), "{close:?}");
    assert!(close.stderr.starts_with("the channel was closed before\n"), "{close:?}");
    for of_message in [["--event", "x"], ["--content-type", "a/b"], ["--idempotency-key", "k"]] {
        let nothing = publish(&server.url("/c/c"), &[&["--close"], &of_message[..]].concat(), b"");
        assert_eq!(nothing.code, Some(2), "there is no message to have it: {nothing:?}");
    }
    let lines = publish(&server.url("/c/lines"), &["-", "--lines"], b"1\n2\n");
    assert_eq!((lines.code, lines.stdout.lines().count()), (Some(0), 2), "{lines:?}");
    assert_eq!(publish(&url, &[], b"").code, Some(2), "no message");
    assert_eq!(publish(&url, &["x", "--lines"], b"").code, Some(1));
}

#[test]
fn sub_says_that_its_channel_was_deleted() {
    let server = Server::start(&[]);
    let url = server.url("/c/gone");
    publish(&url, &["1"], b"");
    delete(&server.address, "gone");
    for feed in ["auto", "ws", "sse", "stream", "longpoll", "poll"] {
        let outcome = run(command(&["sub", &url, "--feed", feed, "--json"]));
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(1), "{\"type\":\"deleted\"}\n"),
            "{outcome:?}"
        );
        assert!(outcome.stderr.ends_with("error: the channel was deleted\n"), "{feed}: {outcome:?}");
    }
}

#[test]
fn sub_prints_one_line_for_each_message() {
    let server = Server::start(&[]);
    let url = server.url("/c/lines");
    let text = "NEL\u{85}LS\u{2028}PS\u{2029}CR\rLF\nend";
    publish(&url, &["-", "--event", "a\u{2028}b"], text.as_bytes());
    let outcome = run(command(&["sub", &url, "--since", "earliest", "--count", "1", "--json"]));
    // The line ends of Python's `splitlines` and others.
    let lines: Vec<&str> = outcome.stdout.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).collect();
    assert_eq!((lines.len(), lines[1]), (2, ""), "{lines:?}");
    let object: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((&object["data"], &object["event"]), (&text.into(), &"a\u{2028}b".into()));
}

#[test]
fn exit_codes_and_errors_say_how_a_command_ended() {
    let server = Server::start(&[]);
    let url = server.url("/c/demo");
    let cursor = publish(&url, &["1"], b"").stdout;
    let over = run(command(&["sub", &url, "--since", "earliest", "--count", "2", "--timeout", "5"]));
    assert_eq!((over.code, over.stdout.as_str()), (Some(3), "1\n"));
    let hint = format!("to continue: tidewire sub {url} --since {cursor}");
    assert!(over.stderr.ends_with(&hint), "{}", over.stderr);
    let over = run(command(&["sub", &url, "--timeout", "0.3"]));
    assert_eq!((over.code, over.stdout.as_str()), (Some(0), ""), "without --count, a time-out is no error");

    for (args, words) in [
        (&["sub", &url, "--since", "x"][..], "400 Bad Request: This text is not a cursor"),
        (&["sub", "https://localhost/c/x"], "TLS is not supported"),
        (&["sub", "localhost:8080/c/x"], "a URL starts with http://"),
        (&["pub", &server.url("/nothing/here"), "x"], "404 Not Found"),
        (&["pub", "http://127.0.0.1:1/c/x", "x"], "no connection to 127.0.0.1:1"),
        (&["pub", &url, "x", "--event", "gap"], "reserved"),
    ] {
        let outcome = run(command(args));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{args:?}");
        let last = outcome.stderr.lines().last().unwrap();
        assert!(last.starts_with("error: ") && last.contains(words), "{args:?}: {last}");
    }
    assert_eq!(run(command(&["sub", &url, "--since", "not a cursor"])).code, Some(2), "wrong usage");
}
