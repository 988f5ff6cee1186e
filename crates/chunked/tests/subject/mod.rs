//! The decoder as the test kit drives it. The fuzz targets use this file too.

use tidewire_chunked::{Decoder, Error, Event, Limits};
use tidewire_testkit as kit;

/// A decoder. Its events are logged as in `docs/wire/chunked.md`.
pub struct Chunked(Decoder);

impl Chunked {
    pub fn new(limits: Limits) -> Self {
        Self(Decoder::new(limits))
    }
}

impl kit::Subject for Chunked {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        self.0.decode(input).map(|(n, event)| (n, event.map(line))).map_err(failure)
    }

    fn finish(&mut self) -> Result<Option<kit::Event>, kit::Failure> {
        self.0.finish().map(|event| event.map(line)).map_err(failure)
    }
}

fn line(event: Event<'_>) -> kit::Event {
    match event {
        Event::Chunk { size, extensions: b"" } => kit::Event::other(format_args!("chunk size={size}")),
        Event::Chunk { size, extensions } => {
            kit::Event::other(format_args!("chunk size={size} extensions={}", kit::show(extensions)))
        }
        Event::Data(data) => kit::Event::data(data),
        Event::Trailer { name, value } => {
            kit::Event::other(format_args!("trailer {}: {}", name.escape_ascii(), kit::show(value)))
        }
        Event::End => kit::Event::other("end"),
    }
}

fn failure(error: Error) -> kit::Failure {
    kit::Failure::new(error.offset(), error.kind())
}
