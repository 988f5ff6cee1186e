//! What is encoded comes back, nothing else comes back, and what could not come back is refused.

use proptest::prelude::*;
use tidewire_sse::{Decoder, EncodeErrorKind, Event, HEARTBEAT, Limits, Received, comment_to};

/// An event as it arrives: type, data, last id.
type Message = (String, String, String);

/// All messages of a stream, the last time to wait, and the last id.
fn decode(stream: &[u8], piece: usize) -> (Vec<Message>, Option<u64>, String) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut messages, mut retry) = (Vec::new(), None);
    for mut rest in stream.chunks(piece) {
        loop {
            let (n, received) = decoder.decode(rest).expect("within the limits");
            rest = &rest[n..];
            match received {
                None => break,
                Some(Received::Message { event_type, data, last_event_id }) => {
                    messages.push((event_type.into(), data.into(), last_event_id.into()));
                }
                Some(Received::Retry(ms)) => retry = Some(ms),
                Some(_) => {}
            }
        }
    }
    (messages, retry, decoder.last_event_id().into())
}

/// Text with what matters to the format in it.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\n", "\r", "\r\n", " ", ":", "data: ", "id: evil", "\0", "\u{feff}", "é", "\u{2028}", "\u{85}",
            "🌊", "a"
        ])
        .prop_map(String::from),
        "[a-z]{0,50}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Text that an id or an event type can hold.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(['\r', '\n', '\0'], "-"))
}

#[derive(Clone, Debug)]
struct Owned {
    id: Option<String>,
    event: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
}

impl Owned {
    fn event(&self) -> Event<'_> {
        Event {
            id: self.id.as_deref(),
            event: self.event.as_deref(),
            retry: self.retry,
            data: self.data.as_deref(),
        }
    }
}

prop_compose! {
    fn event()(
        id in prop::option::of(name()),
        event in prop::option::of(name()),
        retry in prop::option::of(any::<u64>()),
        data in prop::option::of(text()),
    ) -> Owned {
        Owned { id, event, retry, data }
    }
}

proptest! {
    #[test]
    fn a_stream_of_events_and_comments_comes_back(
        events in prop::collection::vec((event(), prop::option::of(text())), 0..6),
        piece in 1_usize..40,
    ) {
        let mut wire = Vec::new();
        let (mut messages, mut retry, mut last_id) = (Vec::new(), None, String::new());
        for (event, comment) in &events {
            if let Some(comment) = comment {
                comment_to(comment, &mut wire);
            }
            event.event().encode_to(&mut wire).unwrap();
            wire.extend_from_slice(HEARTBEAT);

            retry = event.retry.or(retry);
            last_id = event.id.clone().unwrap_or(last_id);
            if let Some(data) = &event.data {
                let name = event.event.clone().filter(|name| !name.is_empty()).unwrap_or("message".into());
                messages.push((name, data.replace("\r\n", "\n").replace('\r', "\n"), last_id.clone()));
            }
        }
        prop_assert!(std::str::from_utf8(&wire).is_ok());
        prop_assert_eq!(decode(&wire, piece), (messages, retry, last_id));
    }

    #[test]
    fn all_three_ways_to_write_agree(event in event()) {
        let event = event.event();
        let mut appended = b"before".to_vec();
        event.encode_to(&mut appended).unwrap();
        let written = &appended[6..];
        prop_assert_eq!(event.encoded_len(), written.len());

        let mut exact = vec![0; written.len()];
        prop_assert_eq!(event.encode(&mut exact), Ok(written.len()));
        prop_assert_eq!(&exact, written);

        let mut short = vec![7; written.len() - 1];
        let error = event.encode(&mut short).unwrap_err();
        prop_assert_eq!((error.kind(), error.offset()), (EncodeErrorKind::BufferTooSmall, written.len()));
        prop_assert!(short.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn an_event_cut_short_is_no_event(event in event()) {
        let mut wire = Vec::new();
        event.event().encode_to(&mut wire).unwrap();
        for cut in 0..wire.len() {
            let (messages, _, last_id) = decode(&wire[..cut], 1_000);
            prop_assert_eq!((messages, last_id), (vec![], String::new()));
        }
    }

    #[test]
    fn a_field_cannot_be_broken_out_of(name in text(), data in text()) {
        let bad = name.find(['\r', '\n', '\0']);
        let with_id = Event { id: Some(&name), data: Some(&data), ..Event::default() };
        let with_event = Event { event: Some(&name), data: Some(&data), ..Event::default() };
        for (event, kind) in [(with_id, EncodeErrorKind::Id), (with_event, EncodeErrorKind::Event)] {
            let mut wire = b"before".to_vec();
            let result = event.encode_to(&mut wire).map_err(|error| (error.kind(), error.offset()));
            prop_assert_eq!(result, bad.map_or(Ok(()), |at| Err((kind, at))));
            prop_assert_eq!(bad.is_some(), wire == b"before");
        }
    }

    #[test]
    fn a_comment_says_nothing(text in text()) {
        let mut wire = Vec::new();
        comment_to(&text, &mut wire);
        wire.extend_from_slice(b"\n");
        prop_assert_eq!(decode(&wire, 1_000), (vec![], None, String::new()));
    }
}

#[test]
fn a_carriage_return_in_data_starts_no_field() {
    let mut wire = Vec::new();
    let event = Event { data: Some("a\rid: evil\revent: evil\n\rretry: 1"), ..Event::default() };
    event.encode_to(&mut wire).unwrap();
    assert_eq!(
        wire.escape_ascii().to_string(),
        r"data: a\ndata: id: evil\ndata: event: evil\ndata: \ndata: retry: 1\n\n"
    );
}

#[test]
fn the_smallest_and_the_longest_times() {
    for (retry, line) in [(0, "retry: 0\n\n"), (u64::MAX, "retry: 18446744073709551615\n\n")] {
        let mut wire = Vec::new();
        Event { retry: Some(retry), ..Event::default() }.encode_to(&mut wire).unwrap();
        assert_eq!(wire, line.as_bytes());
    }
}

#[test]
fn an_empty_comment_is_a_heartbeat() {
    let mut wire = Vec::new();
    comment_to("", &mut wire);
    assert_eq!(wire, b": \n");
    assert_eq!(decode(HEARTBEAT, 1).0, []);
}
