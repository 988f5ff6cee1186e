//! The encoder allocates only when the buffer grows. The decoder allocates nothing once it has read
//! its largest event.

#![allow(clippy::unwrap_used)]

use tidewire_sse::{Decoder, Event, EventFields, Limits, comment_to};
use tidewire_testkit::heap::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn writing_allocates_nothing_in_a_buffer_that_is_large_enough() {
    let data = "a line\r\nanother\rand one more\n".repeat(50);
    let event = EventFields { id: Some("a-1"), event: Some("tide"), retry: Some(5), data: Some(&data) };
    let mut wire = Vec::with_capacity(16 << 10);
    let mut slice = [0; 16 << 10];
    let count = allocations(|| {
        event.encode_to(&mut wire).unwrap();
        comment_to(&data, &mut wire);
        let len = event.encode(&mut slice).unwrap();
        assert_eq!(len, event.encoded_len());
    });
    assert_eq!(count, 0);
    assert!(wire.starts_with(&slice[..event.encoded_len()]));
}

#[test]
fn one_line_of_data_grows_the_buffer_once() {
    let data = "x".repeat(10_000);
    let event = EventFields { id: Some("a-1"), event: Some("tide"), retry: Some(5), data: Some(&data) };
    let mut wire = Vec::new();
    assert_eq!(allocations(|| event.encode_to(&mut wire).unwrap()), 1);
}

#[test]
fn reading_allocates_nothing_after_the_first_event() {
    let mut wire = Vec::new();
    let event =
        EventFields { id: Some("a-1"), event: Some("tide"), retry: Some(5), data: Some("high\nwater") };
    event.encode_to(&mut wire).unwrap();
    comment_to("a comment, which is longer than anything that is held", &mut wire);
    let mut decoder = Decoder::new(Limits::default());
    let mut read = |step: usize| {
        let mut messages = 0;
        for mut piece in wire.chunks(step) {
            loop {
                let (n, event) = decoder.decode(piece).unwrap();
                piece = &piece[n..];
                match event {
                    None => break,
                    Some(Event::Message { .. }) => messages += 1,
                    Some(_) => {}
                }
            }
        }
        assert_eq!(messages, 1);
    };
    // Two runs, since the id has two buffers that are swapped.
    read(7);
    read(7);
    for step in [1, 7, 1_000] {
        assert_eq!(allocations(|| read(step)), 0, "{step} bytes a read");
    }
}

#[test]
fn an_idle_decoder_holds_no_heap() {
    let count = allocations(|| {
        let mut decoder = Decoder::new(Limits::default());
        let stream = b": heartbeat\n\n:\nunknown: field\n\n";
        assert_eq!(decoder.decode(stream), Ok((stream.len(), None)));
    });
    assert_eq!(count, 0);
}
