//! The decoder as the test kit drives it. The fuzz targets use this file too.

use tidewire_sse::{Decoder, Error, Event, Limits};
use tidewire_testkit as kit;

/// A decoder. Its events are logged as in `docs/wire/sse.md`.
pub struct Sse(Decoder);

impl Sse {
    pub fn new(limits: Limits) -> Self {
        Self(Decoder::new(limits))
    }
}

impl kit::Subject for Sse {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        self.0.decode(input).map(|(n, event)| (n, event.map(line))).map_err(failure)
    }

    fn finish(&mut self) -> Result<Option<kit::Event>, kit::Failure> {
        self.0.finish().map(|event| event.map(line)).map_err(failure)
    }
}

fn line(event: Event<'_>) -> kit::Event {
    let show = |text: &str| kit::show(text.as_bytes());
    match event {
        Event::Message { event_type, data, last_event_id } => kit::Event::other(format_args!(
            "message type={} data={} id={}",
            show(event_type),
            show(data),
            show(last_event_id)
        )),
        Event::Id(id) => kit::Event::other(format_args!("id {}", show(id))),
        Event::Retry(ms) => kit::Event::other(format_args!("retry {ms}")),
        other => kit::Event::other(format_args!("{other:?}")),
    }
}

fn failure(error: Error) -> kit::Failure {
    kit::Failure::new(error.offset(), error.kind())
}
