//! Reads the cases of the wire document with `eventsource-stream`, the parser that most people use.
//! The number of differences is asserted, so that README.md stays true, and so that we notice if
//! our decoder differs from it in other cases.

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidewire_sse::{Decoder, Event, Limits};
use tidewire_testkit::vectors;

/// Type and data. The id is not compared: for an event without an id, the two report different ids.
type Message = (String, String);

fn ours(mut stream: &[u8]) -> Vec<Message> {
    let mut decoder = Decoder::new(Limits::default());
    let mut messages = Vec::new();
    while let (n, Some(event)) = decoder.decode(stream).expect("no limit is near") {
        if let Event::Message { event_type, data, .. } = event {
            messages.push((event_type.into(), data.into()));
        }
        stream = &stream[n..];
    }
    messages
}

/// The events of our stream, after all bytes have come one by one, with the connection still open.
#[cfg(feature = "stream")]
fn our_stream(stream: &[u8]) -> Vec<Message> {
    let bytes = stream::iter(stream.chunks(1)).map(Ok::<_, Infallible>);
    let mut events = tidewire_sse::EventStream::new(bytes.chain(stream::pending()));
    let mut messages = Vec::new();
    while let Some(Some(Ok(event))) = events.next().now_or_never() {
        messages.push((event.event_type.into(), event.data));
    }
    messages
}

/// As [`our_stream`], with the peer. `None` if the parser panics.
fn peer(stream: &[u8]) -> Option<Vec<Message>> {
    let bytes = stream::iter(stream.chunks(1)).map(Ok::<_, Infallible>);
    let mut events = bytes.chain(stream::pending()).eventsource();
    catch_unwind(AssertUnwindSafe(|| {
        let mut messages = Vec::new();
        while let Some(Some(Ok(event))) = events.next().now_or_never() {
            messages.push((event.event, event.data));
        }
        messages
    }))
    .ok()
}

#[test]
fn eventsource_stream_differs_where_the_readme_says_so() {
    let (mut same, mut panics) = (0, 0);
    let mut differs: Vec<String> = Vec::new();
    for case in vectors::of("sse").iter().filter(|case| case.options.is_empty()) {
        #[cfg(feature = "stream")]
        assert_eq!(our_stream(&case.input), ours(&case.input), "{}", case.slug());
        match peer(&case.input) {
            Some(messages) if messages == ours(&case.input) => same += 1,
            Some(_) => differs.push(case.slug()),
            None => panics += 1,
        }
    }
    let bad_utf8 = |slug: &String| case_is_bad_utf8(slug);
    let (utf8, rest): (Vec<_>, Vec<_>) = differs.into_iter().partition(bad_utf8);
    assert_eq!((same, panics, utf8.len(), rest.len()), (69, 4, 9, 2), "{utf8:?} {rest:?}");
    for slug in rest {
        let case = vectors::of("sse").into_iter().find(|case| case.slug() == slug).expect("it was there");
        assert!(case.input.ends_with(b"\r"), "{slug}: an event that ends in CR waits for a byte");
    }
}

fn case_is_bad_utf8(slug: &str) -> bool {
    let cases = vectors::of("sse");
    let case = cases.iter().find(|case| case.slug() == slug);
    case.is_some_and(|case| std::str::from_utf8(&case.input).is_err())
}
