//! The decoder agrees with the text of the standard.

// The fuzz targets include these two files.
#[allow(unreachable_pub)]
mod oracle;
#[allow(unreachable_pub)]
mod subject;

use oracle::decode_by_the_standard;
use proptest::prelude::*;
use subject::Sse;
use tidewire_sse::{Decoder, Event, Limits};
use tidewire_testkit::{linear, split};

/// Streams of pieces of fields, line ends of all kinds, and bytes that are not UTF-8.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["data", "event", "id", "retry", "Data", "dat", "datax"])
            .prop_map(Vec::from),
        4 => prop::sample::select(vec![":", ": ", ":  "]).prop_map(Vec::from),
        6 => prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n"]).prop_map(Vec::from),
        2 => prop::sample::select(vec![
            &b"\xef\xbb\xbf"[..], b"\xef\xbb", b"\xe2\x82", b"\xe2\x82\xac", b"\xff", b"\0",
        ])
        .prop_map(Vec::from),
        3 => "[0-9]{1,21}".prop_map(Vec::from),
        2 => "[a-z :]{0,40}".prop_map(Vec::from),
        1 => any::<Vec<u8>>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_decoder_yields_what_the_standard_says(stream in streams()) {
        let outcome = split::quick(|| Sse::new(Limits::default()), &stream);
        let log: Vec<String> = outcome.events.iter().map(|(_, event)| event.to_string()).collect();
        prop_assert_eq!(log, decode_by_the_standard(&stream));
        prop_assert_eq!((outcome.failure, outcome.left), (None, 0));
    }

    #[test]
    fn small_limits_hold_at_every_cut(stream in streams(), data in 0_usize..12, name in 0_usize..6) {
        let limits = Limits::default().with_max_data(data).with_max_name(name);
        let outcome = split::check(|| Sse::new(limits), &stream);
        // Before the error, the limits change nothing.
        let all = split::quick(|| Sse::new(Limits::default()), &stream).events;
        prop_assert_eq!(&outcome.events[..], &all[..outcome.events.len()]);
        let complete = outcome.events.len() == all.len() && fits(&stream, data, name);
        prop_assert_eq!(outcome.failure.is_none(), complete);
    }
}

/// Whether all values are within the limits. It does not use the decoder's state machine.
fn fits(stream: &[u8], max_data: usize, max_name: usize) -> bool {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut data = None::<usize>;
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| b"\r\n".contains(byte)) {
        lines.push((&rest[..end], true));
        rest = &rest[end + 1..];
        if rest.first() == Some(&b'\n') && stream[stream.len() - rest.len() - 1] == b'\r' {
            rest = &rest[1..];
        }
    }
    lines.push((rest, false));
    lines.iter().all(|&(line, ended)| {
        if line.is_empty() && ended {
            data = None;
            return true;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':').or(ended.then_some(line.len())) else {
            return true;
        };
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                let len = data.map_or(0, |len| len + 1) + value.len();
                data = Some(len);
                len <= max_data
            }
            b"event" | b"id" => value.len() <= max_name,
            _ => true,
        }
    })
}

#[test]
fn one_byte_reads_take_linear_time() {
    for line in ["data: wire", ": comment", "unknown", "id: 7", "data"] {
        let stream = |lines: usize| format!("{line}\n").repeat(lines).into_bytes();
        linear::check(|| Sse::new(Limits::default()), &stream(100), &stream(2_000));
    }
    let one_line = |len: usize| format!("data: {}\n\n", "x".repeat(len)).into_bytes();
    linear::check(|| Sse::new(Limits::default()), &one_line(1_000), &one_line(20_000));
}

#[test]
fn the_id_of_an_earlier_connection_is_kept() {
    let mut decoder = Decoder::new(Limits::default()).with_last_event_id("7");
    assert_eq!(decoder.last_event_id(), "7");
    let stream = b"data: a\n\nid\n\n";
    let (n, event) = decoder.decode(stream).unwrap();
    assert_eq!(event, Some(Event::Message { event_type: "message", data: "a", last_event_id: "7" }));
    assert_eq!(decoder.decode(&stream[n..]), Ok((4, Some(Event::Id("")))));
    assert_eq!(decoder.last_event_id(), "");
}

#[test]
fn skipped_lines_are_not_held() {
    let mut decoder = Decoder::new(Limits::default().with_max_data(1).with_max_name(1));
    for start in [":", "x", "data\0:", "retry:"] {
        assert_eq!(decoder.decode(start.as_bytes()), Ok((start.len(), None)));
        for _ in 0..1_000 {
            assert_eq!(decoder.decode(&[b'x'; 1_000]), Ok((1_000, None)));
        }
        assert_eq!(decoder.decode(b"\n"), Ok((1, None)));
    }
}

#[test]
fn the_oracle_agrees_with_the_wire_document() {
    let mut compared = 0;
    for case in tidewire_testkit::vectors::of("sse").iter().filter(|case| case.options.is_empty()) {
        let logged: Vec<_> = case.events.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        assert_eq!(decode_by_the_standard(&case.input), logged, "line {}", case.line);
        compared += 1;
    }
    assert!(compared >= 80);
}
