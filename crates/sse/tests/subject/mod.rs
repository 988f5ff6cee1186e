//! The decoder as the test kit drives it. The fuzz targets use this file too.

use tidewire_sse::{Decoder, Error, Limits, Received};
use tidewire_testkit as kit;

/// A decoder, what it says written as `docs/wire/sse.md` writes it.
pub struct Sse(Decoder);

impl Sse {
    pub fn new(limits: Limits) -> Self {
        Self(Decoder::new(limits))
    }
}

impl kit::Subject for Sse {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        self.0.decode(input).map(|(n, received)| (n, received.map(line))).map_err(failure)
    }

    fn finish(&mut self) -> Result<Option<kit::Event>, kit::Failure> {
        self.0.finish().map(|received| received.map(line)).map_err(failure)
    }
}

fn line(received: Received<'_>) -> kit::Event {
    let show = |text: &str| kit::show(text.as_bytes());
    match received {
        Received::Message { event_type, data, last_event_id } => kit::Event::other(format_args!(
            "message type={} data={} id={}",
            show(event_type),
            show(data),
            show(last_event_id)
        )),
        Received::Id(id) => kit::Event::other(format_args!("id {}", show(id))),
        Received::Retry(ms) => kit::Event::other(format_args!("retry {ms}")),
        other => kit::Event::other(format_args!("{other:?}")),
    }
}

fn failure(error: Error) -> kit::Failure {
    kit::Failure::new(error.offset(), error.kind())
}
