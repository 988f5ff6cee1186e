//! Any bytes as an event stream: the events are those of the standard, they do not depend on how
//! the bytes are cut, and small limits hold. The same messages come from a stream of chunks.

use super::sse_oracle::decode_by_the_standard;
use super::sse_subject::Sse;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tidewire_sse::{EventStream, Limits};
use tidewire_testkit::{show, split};

pub fn run(data: &[u8]) {
    let outcome = split::quick(|| Sse::new(Limits::default().with_max_name(usize::MAX)), data);
    let said: Vec<String> = outcome.events.iter().map(|(_, event)| event.to_string()).collect();
    assert_eq!(said, decode_by_the_standard(data));
    assert_eq!((outcome.failure, outcome.left), (None, 0));

    let messages = said.iter().filter(|line| line.starts_with("message ")).cloned();
    let step = data.first().map_or(1, |byte| usize::from(*byte % 16) + 1);
    assert_eq!(by_stream(data, step), messages.collect::<Vec<_>>());

    let small = Limits::default().with_max_data(8).with_max_name(4);
    let bounded = split::quick(|| Sse::new(small), data);
    assert_eq!(bounded.events[..], outcome.events[..bounded.events.len()]);
}

/// The messages of a stream whose chunks have `step` bytes.
fn by_stream(data: &[u8], step: usize) -> Vec<String> {
    let limits = Limits::default().with_max_name(usize::MAX);
    let mut events = EventStream::new(Chunks(data.chunks(step))).with_limits(limits);
    let mut context = Context::from_waker(Waker::noop());
    let mut said = Vec::new();
    while let Poll::Ready(Some(message)) = Pin::new(&mut events).poll_next(&mut context) {
        let message = message.expect("no limit is near");
        let [name, data, id] =
            [&*message.event_type, &message.data, &message.last_event_id].map(|text| show(text.as_bytes()));
        said.push(format!("message type={name} data={data} id={id}"));
    }
    said
}

struct Chunks<'a>(std::slice::Chunks<'a, u8>);

impl<'a> Stream for Chunks<'a> {
    type Item = Result<&'a [u8], Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
