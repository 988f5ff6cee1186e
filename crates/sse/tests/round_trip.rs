//! A decoder reads exactly the events that were written. Events that would not arrive are refused.

use proptest::prelude::*;
use tidewire_sse::{Decoder, EncodeErrorKind, Event, EventFields, HEARTBEAT, Limits, comment_to};

/// A message as it arrives: type, data, last id.
type Message = (String, String, String);

/// An [`Event`] that owns its strings.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Message(Message),
    Id(String),
    Retry(u64),
}

impl Owned {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Message((event_type, data, last_event_id)) => {
                Event::Message { event_type, data, last_event_id }
            }
            Self::Id(id) => Event::Id(id),
            Self::Retry(ms) => Event::Retry(*ms),
        }
    }
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message { event_type, data, last_event_id } => {
                Self::Message((event_type.into(), data.into(), last_event_id.into()))
            }
            Event::Id(id) => Self::Id(id.into()),
            Event::Retry(ms) => Self::Retry(ms),
            other => panic!("{other:?}"),
        }
    }
}

/// All events of a stream that comes in pieces, and the last id.
fn decode_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, String) {
    let mut decoder = Decoder::new(Limits::default());
    let mut events = Vec::new();
    for mut rest in pieces {
        while let (n, Some(event)) = decoder.decode(rest).expect("within the limits") {
            rest = &rest[n..];
            events.push(event.into());
        }
    }
    (events, decoder.last_event_id().into())
}

/// All messages of a stream, the last time to wait, and the last id.
fn decode(stream: &[u8], piece: usize) -> (Vec<Message>, Option<u64>, String) {
    let (events, last_id) = decode_all(stream.chunks(piece));
    let (mut messages, mut retry) = (Vec::new(), None);
    for event in events {
        match event {
            Owned::Message(message) => messages.push(message),
            Owned::Retry(ms) => retry = Some(ms),
            Owned::Id(_) => {}
        }
    }
    (messages, retry, last_id)
}

/// Text with bytes that have a meaning in the format.
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

/// [`EventFields`] that own their strings.
#[derive(Clone, Debug)]
struct Fields {
    id: Option<String>,
    event: Option<String>,
    retry: Option<u64>,
    data: Option<String>,
}

impl Fields {
    fn borrowed(&self) -> EventFields<'_> {
        EventFields {
            id: self.id.as_deref(),
            event: self.event.as_deref(),
            retry: self.retry,
            data: self.data.as_deref(),
        }
    }
}

/// Events that can be written.
fn event() -> impl Strategy<Value = Owned> {
    let event_type = name().prop_map(|name| if name.is_empty() { "message".into() } else { name });
    let data = text().prop_map(|text| text.replace('\r', "\n"));
    prop_oneof![
        3 => (event_type, data, name()).prop_map(Owned::Message),
        1 => name().prop_map(Owned::Id),
        1 => any::<u64>().prop_map(Owned::Retry),
    ]
}

prop_compose! {
    fn fields()(
        id in prop::option::of(name()),
        event in prop::option::of(name()),
        retry in prop::option::of(any::<u64>()),
        data in prop::option::of(text()),
    ) -> Fields {
        Fields { id, event, retry, data }
    }
}

proptest! {
    #[test]
    fn events_among_comments_are_read_as_they_were_written(
        events in prop::collection::vec((fields(), prop::option::of(text())), 0..6),
        piece in 1_usize..40,
    ) {
        let mut wire = Vec::new();
        let (mut messages, mut retry, mut last_id) = (Vec::new(), None, String::new());
        for (event, comment) in &events {
            if let Some(comment) = comment {
                comment_to(comment, &mut wire);
            }
            event.borrowed().encode_to(&mut wire).unwrap();
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
    fn encoded_events_decode_to_the_same_events(
        events in prop::collection::vec(event(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut wire = Vec::new();
        for event in &events {
            let before = wire.len();
            event.event().encode_to(&mut wire).unwrap();
            prop_assert_eq!(event.event().encoded_len(), wire.len() - before);
        }
        let (first, second) = wire.split_at(cut.index(wire.len() + 1));
        prop_assert_eq!(&decode_all([first, second]).0, &events);
        prop_assert_eq!(&decode_all(wire.chunks(1)).0, &events);
    }

    /// What a decoder yields can be forwarded.
    #[test]
    fn decoded_events_encode_to_the_same_events(stream in text()) {
        let (events, last_id) = decode_all([stream.as_bytes()]);
        let mut wire = Vec::new();
        for event in &events {
            event.event().encode_to(&mut wire).unwrap();
        }
        prop_assert_eq!(decode_all([&wire[..]]), (events, last_id));
    }

    #[test]
    fn an_event_that_would_arrive_changed_is_refused(
        event_type in text(), data in text(), last_event_id in text(),
    ) {
        let event = Event::Message { event_type: &event_type, data: &data, last_event_id: &last_event_id };
        let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
        let refused = event_type.is_empty()
            || event_type.contains(['\r', '\n'])
            || data.contains('\r')
            || breaks(&last_event_id);
        let mut wire = b"before".to_vec();
        prop_assert_eq!(event.encode_to(&mut wire).is_err(), refused);
        prop_assert_eq!(wire == b"before", refused);
        if !refused {
            let yielded = decode_all([&wire[6..]]).0;
            prop_assert_eq!(yielded, vec![Owned::from(event)]);
        }
        prop_assert_eq!(Event::Id(&last_event_id).encode_to(&mut wire).is_err(), breaks(&last_event_id));
    }

    #[test]
    fn all_forms_of_encode_write_the_same(fields in fields()) {
        let event = fields.borrowed();
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
    fn an_unfinished_event_is_not_dispatched(fields in fields()) {
        let mut wire = Vec::new();
        fields.borrowed().encode_to(&mut wire).unwrap();
        for cut in 0..wire.len() {
            let (messages, _, last_id) = decode(&wire[..cut], 1_000);
            prop_assert_eq!((messages, last_id), (vec![], String::new()));
        }
    }

    #[test]
    fn an_id_or_event_type_with_a_line_end_is_refused(name in text(), data in text()) {
        let bad = name.find(['\r', '\n', '\0']);
        let with_id = EventFields { id: Some(&name), data: Some(&data), ..EventFields::default() };
        let with_event = EventFields { event: Some(&name), data: Some(&data), ..EventFields::default() };
        for (event, kind) in [(with_id, EncodeErrorKind::Id), (with_event, EncodeErrorKind::EventType)] {
            let mut wire = b"before".to_vec();
            let result = event.encode_to(&mut wire).map_err(|error| (error.kind(), error.offset()));
            prop_assert_eq!(result, bad.map_or(Ok(()), |at| Err((kind, at))));
            prop_assert_eq!(bad.is_some(), wire == b"before");
        }
    }

    #[test]
    fn a_comment_yields_no_event(text in text()) {
        let mut wire = Vec::new();
        comment_to(&text, &mut wire);
        wire.extend_from_slice(b"\n");
        prop_assert_eq!(decode(&wire, 1_000), (vec![], None, String::new()));
    }
}

#[test]
fn a_carriage_return_in_data_starts_no_field() {
    let mut wire = Vec::new();
    let event = EventFields { data: Some("a\rid: evil\revent: evil\n\rretry: 1"), ..EventFields::default() };
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
        EventFields { retry: Some(retry), ..EventFields::default() }.encode_to(&mut wire).unwrap();
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

#[test]
fn a_refused_event_has_the_offset_of_the_error() {
    let message = |event_type, data| Event::Message { event_type, data, last_event_id: "7" };
    for (event, kind, offset) in [
        (message("", ""), EncodeErrorKind::EventType, 0),
        (message("tide\n", ""), EncodeErrorKind::EventType, 4),
        (message("tide", "a\r\nb"), EncodeErrorKind::Data, 1),
        (Event::Id("ab\0"), EncodeErrorKind::Id, 2),
    ] {
        let mut wire = Vec::new();
        let error = event.encode_to(&mut wire).unwrap_err();
        assert_eq!((error.kind(), error.offset(), wire.len()), (kind, offset, 0));
        assert_eq!(event.encode(&mut [0; 100]), Err(error));
    }
    let mut short = [7; 6];
    let error = Event::Id("7").encode(&mut short).unwrap_err();
    assert_eq!((error.kind(), error.offset(), short), (EncodeErrorKind::BufferTooSmall, 7, [7; 6]));
    let mut out = [0; 7];
    assert_eq!((Event::Id("7").encode(&mut out), &out), (Ok(7), b"id: 7\n\n"));
}
