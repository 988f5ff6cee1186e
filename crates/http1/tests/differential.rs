//! Comparison with httparse. It accepts all heads that we accept, with the same meaning.
//! `differences.md` lists the heads that only httparse accepts.

mod oracle;

use oracle::{check, compare, differences};
use proptest::prelude::*;

#[test]
fn each_row_of_the_list_is_correct() {
    let rows = differences();
    assert!(rows.len() >= 16, "{}", rows.len());
    for (input, error) in rows {
        assert_eq!(compare(&input), Some(error), "{}", input.escape_ascii());
    }
}

#[test]
fn the_wire_document_has_no_other_difference() {
    for case in tidewire_testkit::vectors::of("http1") {
        check(&case.input);
    }
}

/// Heads, and heads with some bytes replaced.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("Host: h"),
        Just("Host: a.example:80"),
        Just("Content-Length: 5"),
        Just("Transfer-Encoding: chunked"),
        Just("Connection: close"),
        Just("Accept: */*"),
        Just("X-Empty:"),
        Just("X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ];
    let line = ("(GET|POST|OPTIONS|CONNECT|get|X-Y)", "(/|/a\\?b=c|\\*|http://h/a|h:1|//|/%20)", "1.[01]");
    let bad = prop::sample::select(&b"\r\n\t :\0\x7F\x80,;\"aA0/"[..]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), bad, 0..3u8), 0..3);
    (line, prop::collection::vec(field, 0..6), changes).prop_map(
        |((method, target, version), fields, changes)| {
            let mut head = format!("{method} {target} HTTP/{version}\r\n");
            for field in fields {
                head += field;
                head += "\r\n";
            }
            let mut head = (head + "\r\n").into_bytes();
            for (at, byte, how) in changes {
                let at = at.index(head.len());
                match how {
                    0 => head[at] = byte,
                    1 => head.insert(at, byte),
                    _ => drop(head.remove(at)),
                }
            }
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_list_is_complete(input in heads()) {
        check(&input);
    }
}
