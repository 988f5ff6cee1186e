//! httparse as an oracle for heads.
#![allow(dead_code, clippy::unwrap_used)] // each user uses its part

use tidewire_http1::{Fields, Limits, RequestHead};

/// The parts of a head that both parsers return.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    method: String,
    target: String,
    minor: u8,
    fields: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted(Head),
    Incomplete,
    Refused(String),
}

fn ours(input: &[u8]) -> Verdict {
    let mut fields = Fields::new();
    match RequestHead::parse(input, &Limits::DEFAULT, &mut fields) {
        Ok(None) => Verdict::Incomplete,
        Err(error) => Verdict::Refused(format!("{:?}", error.kind())),
        Ok(Some((length, head))) => Verdict::Accepted(Head {
            length,
            method: head.method().as_str().into(),
            target: String::from_utf8(head.target().to_vec()).unwrap(),
            minor: u8::from(head.version() == tidewire_http1::Version::Http11),
            fields: head
                .fields()
                .map(|(n, v)| (String::from_utf8(n.to_vec()).unwrap(), v.to_vec()))
                .collect(),
        }),
    }
}

fn theirs(input: &[u8]) -> Verdict {
    // As many as we accept, so that the limit of fields makes no difference.
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Partial) => Verdict::Incomplete,
        Err(error) => Verdict::Refused(error.to_string()),
        Ok(httparse::Status::Complete(length)) => Verdict::Accepted(Head {
            length,
            method: request.method.unwrap().into(),
            target: request.path.unwrap().into(),
            minor: request.version.unwrap(),
            // httparse does not trim a value that is only whitespace.
            fields: request.headers.iter().map(|h| (h.name.into(), h.value.trim_ascii().to_vec())).collect(),
        }),
    }
}

/// The rows of `differences.md`: the bytes and our error.
pub(crate) fn differences() -> Vec<(Vec<u8>, String)> {
    let rows = include_str!("../differences.md").lines().filter(|line| line.starts_with("| request |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        (unescape(cells[2]), cells[3].into())
    })
    .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        (out, rest) = match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => ([out, b"\r".to_vec()].concat(), tail),
            (b'\\', [b'n', tail @ ..]) => ([out, b"\n".to_vec()].concat(), tail),
            (b'\\', [b'x', a, b, tail @ ..]) => {
                let hex = [*a, *b];
                let byte = u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap();
                ([out, vec![byte]].concat(), tail)
            }
            (byte, tail) => ([out, vec![*byte]].concat(), tail),
        };
    }
    out
}

/// Compares the two parsers. Returns our error if only httparse accepts the head.
pub(crate) fn compare(input: &[u8]) -> Option<String> {
    match (ours(input), theirs(input)) {
        (Verdict::Accepted(ours), theirs) => {
            assert_eq!(Verdict::Accepted(ours), theirs, "{}", input.escape_ascii());
            None
        }
        // httparse may refuse a head earlier: we check a line when it is complete.
        (Verdict::Incomplete, theirs) => {
            assert!(!matches!(theirs, Verdict::Accepted(_)), "{}: {theirs:?}", input.escape_ascii());
            None
        }
        (Verdict::Refused(error), Verdict::Accepted(_)) => Some(error),
        (Verdict::Refused(_), _) => None,
    }
}

/// Checks that each difference is in `differences.md`. A fuzz target uses it, too.
pub(crate) fn check(input: &[u8]) {
    if let Some(error) = compare(input) {
        let known = differences().into_iter().any(|(_, known)| known == error);
        assert!(known, "{}: {error} is not in differences.md", input.escape_ascii());
    }
}
