//! Every kind of `--as`: whole, byte by byte through a slow pipe, in hexadecimal, and empty.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use rustix::io::ioctl_fionread;

use crate::common::PATIENCE;
use crate::common::server::{Outcome, command};
use crate::{explain, holds, plain};

/// A kind, an input of it, and a text that the explanation of the input contains.
const KINDS: &[(&str, &[u8], &str)] = &[
    ("request", b"POST /c/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "→ \"hello\""),
    ("response", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "status line"),
    ("chunked", b"5\r\nhello\r\n0\r\n\r\n", "a chunk of 5 bytes follows"),
    ("ws-client", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "unmasked: \"Hello\""),
    ("ws-server", b"\x81\x05Hello\x88\x02\x03\xe8", "close code 1000"),
    ("sse", b"id: 7\ndata: hello\n\n", "a line of data: \"hello\""),
    (
        "curl-trace",
        b"=> Send header, 27 bytes (0x1b)\n\
        0000: 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a GET / HTTP/1.1..\n\
        0010: 48 6f 73 74 3a 20 61 0d 0a 0d 0a                Host: a....\n\
        <= Recv header, 27 bytes (0x1b)\n\
        0000: 48 54 54 50 2f 31 2e 31 20 32 30 34 20 4e 6f 20 HTTP/1.1 204 No \n\
        0010: 43 6f 6e 74 65 6e 74 0d 0a 0d 0a                Content....\n",
        "27 bytes sent, 27 received",
    ),
];

/// Says that the input is empty.
const EMPTY: &str = "# the input is empty";

#[test]
fn the_table_has_every_kind() {
    // The command names the kinds when it refuses one.
    let refused = explain(&["--as", "no-such-kind"], b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let (_, list) = refused.stderr.split_once("[possible values: ").expect("a list of kinds");
    let kinds: BTreeSet<_> = list.split_once(']').unwrap().0.split(", ").collect();
    assert_eq!(kinds, KINDS.iter().map(|row| row.0).collect());
}

#[test]
fn a_named_kind_is_explained_like_a_detected_one() {
    for (kind, input, text) in KINDS {
        let named = explain(&["--as", kind], input);
        assert_eq!((named.code, named.stderr.as_str()), (Some(0), ""), "{kind}: {named:?}");
        assert!(!named.stdout.contains("# "), "{kind}: no remark is needed\n{}", named.stdout);
        holds(&named, &[text, "accepted"]);
        let detected = explain(&[], input);
        let (remark, rest) = detected.stdout.split_once('\n').unwrap();
        assert!(remark.starts_with("# read as "), "{kind}: {remark}");
        assert_eq!(rest, named.stdout, "{kind}");
    }
}

#[test]
fn a_slow_pipe_is_explained_to_its_end() {
    for (kind, input, text) in KINDS {
        for args in [&["--as", kind][..], &[]] {
            let outcome = byte_by_byte(args, input);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{kind}: {outcome:?}");
            assert!(!outcome.stdout.contains(EMPTY), "{kind} {args:?}:\n{}", outcome.stdout);
            assert_eq!(outcome.stdout, explain(args, input).stdout, "{kind} {args:?}");
            holds(&outcome, &[text]);
        }
    }
}

#[test]
fn a_kind_in_hexadecimal_is_explained_like_its_bytes() {
    for (kind, input, _) in KINDS {
        let digits: String = input.iter().map(|byte| format!("{byte:02x} ")).collect();
        let bytes = explain(&["--as", kind], input);
        let whole = explain(&["--as", kind, "--hex"], digits.as_bytes());
        assert_eq!((whole.code, &whole.stdout), (bytes.code, &bytes.stdout), "{kind}");
        // The first read gives a blank, the second one a digit: neither is a byte.
        let slow = byte_by_byte(&["--as", kind, "--hex"], format!("\n{digits}").as_bytes());
        assert_eq!((slow.code, slow.stdout.contains(EMPTY)), (Some(0), false), "{kind}: {slow:?}");
    }
}

#[test]
fn an_empty_input_says_so_for_every_kind() {
    for (kind, ..) in KINDS {
        for (args, input) in [(&["--as", kind][..], ""), (&["--as", kind, "--hex"], " \n\n")] {
            for outcome in [explain(args, input.as_bytes()), byte_by_byte(args, input.as_bytes())] {
                assert!(outcome.stdout.starts_with(EMPTY), "{args:?}: {outcome:?}");
                assert_eq!(outcome.stderr, "", "{args:?}");
                // Of a chunked body, at least the last chunk is missing.
                let expected = if *kind == "chunked" { 1 } else { 0 };
                assert_eq!(outcome.code, Some(expected), "{args:?}: {outcome:?}");
                assert!(!outcome.stdout.contains("cut off"), "{args:?}: {outcome:?}");
            }
        }
    }
    assert!(explain(&[], b"").stdout.starts_with(EMPTY));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_for_every_kind() {
    for (kind, ..) in KINDS {
        // The first file cannot be opened. The second one can, but reading it fails.
        for (file, sentence) in [
            ("/no/such/file", "there is no file /no/such/file"),
            ("/proc/self/mem", "/proc/self/mem cannot be read: "),
        ] {
            let outcome = explain(&["--as", kind, file], b"");
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{kind} {file}: {outcome:?}");
            assert!(outcome.stderr.contains(sentence), "{kind} {file}: {outcome:?}");
        }
    }
}

/// Runs `tidewire explain` with a pipe. Each byte is written when the command has read the byte
/// before it.
fn byte_by_byte(args: &[&str], input: &[u8]) -> Outcome {
    let mut all = vec!["explain"];
    all.extend(args);
    let mut command = command(&all);
    plain(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let start = Instant::now();
    for byte in input {
        pipe.write_all(&[*byte]).unwrap();
        while ioctl_fionread(&pipe).unwrap() > 0 {
            assert!(start.elapsed() < PATIENCE, "{args:?}: the command does not read its input");
            std::thread::yield_now();
        }
    }
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("the command writes UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
