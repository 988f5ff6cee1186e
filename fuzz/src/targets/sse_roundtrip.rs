//! Any text as an event: it decodes to itself or is refused, and no value can add a field.

use tidewire_sse::{Decoder, Event, EventFields, Limits, comment_to};

/// The input is a comment, an event type, an id and data, separated by bytes 0xff.
pub fn run(data: &[u8]) {
    let texts: Vec<String> =
        data.splitn(4, |byte| *byte == 0xff).map(|text| String::from_utf8_lossy(text).into()).collect();
    let part = |index: usize| texts.get(index).map(String::as_str);
    let event = EventFields { event: part(1), id: part(2), data: part(3), retry: Some(data.len() as u64) };

    let mut wire = Vec::new();
    comment_to(part(0).unwrap_or_default(), &mut wire);
    let start = wire.len();
    let breaks = |text: Option<&str>| text.is_some_and(|text| text.contains(['\r', '\n', '\0']));
    let written = event.encode_to(&mut wire);
    assert_eq!(written.is_err(), breaks(event.event) || breaks(event.id));
    assert_eq!(wire.len() - start, if written.is_ok() { event.encoded_len() } else { 0 });
    if written.is_err() {
        return;
    }

    let mut decoder = Decoder::new(Limits::default().with_max_name(usize::MAX));
    let (mut received, mut forwarded, mut log) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = &wire[..];
    while let (n, Some(one)) = decoder.decode(rest).expect("no limit is near") {
        one.encode_to(&mut forwarded).expect("what was written as fields can be written as an event");
        log.push(format!("{one:?}"));
        received.push(match one {
            Event::Message { event_type, data, last_event_id } => {
                assert_eq!(event_type, event.event.filter(|name| !name.is_empty()).unwrap_or("message"));
                assert_eq!(
                    Some(data),
                    event.data.map(|data| data.replace("\r\n", "\n").replace('\r', "\n")).as_deref()
                );
                assert_eq!(last_event_id, event.id.unwrap_or_default());
                "message"
            }
            Event::Id(id) => {
                assert_eq!((Some(id), None), (event.id, event.data));
                "id"
            }
            Event::Retry(ms) => {
                assert_eq!(Some(ms), event.retry);
                "retry"
            }
            other => panic!("{other:?}"),
        });
        rest = &rest[n..];
    }
    let mut decoder = Decoder::new(Limits::default().with_max_name(usize::MAX));
    let mut rest = &forwarded[..];
    for one in log {
        let (n, again) = decoder.decode(rest).expect("no limit is near");
        assert_eq!(again.map(|event| format!("{event:?}")), Some(one));
        rest = &rest[n..];
    }
    let last = event.data.map(|_| "message").or(event.id.map(|_| "id"));
    assert_eq!(received, ["retry"].into_iter().chain(last).collect::<Vec<_>>());
}
