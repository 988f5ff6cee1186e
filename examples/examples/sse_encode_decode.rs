//! `tidewire-sse` alone: events to text, and text to events as a browser reads it.
//!
//! Run `cargo run -p tidewire-examples --example sse_encode_decode`. It writes a few events, reads them back in pieces of ten bytes, and
//! shows what the encoder refuses: an id with a line end in it, which would let whoever chose the id write the next field.

use std::error::Error;

use tidewire_sse::{Decoder, Event, EventFields, HEARTBEAT, Limits, comment_to};

fn main() -> Result<(), Box<dyn Error>> {
    let mut wire = Vec::new();
    comment_to("lines that begin with a colon are comments", &mut wire);
    // An id without data: no event, but a reader that is cut now comes back with it.
    EventFields { id: Some("tide-41"), retry: Some(2_000), ..EventFields::default() }.encode_to(&mut wire)?;
    EventFields {
        id: Some("tide-42"),
        event: Some("high"),
        data: Some("3.2 m\n14:05"),
        ..EventFields::default()
    }
    .encode_to(&mut wire)?;
    wire.extend_from_slice(HEARTBEAT);
    EventFields { data: Some("no id: the last one stays"), ..EventFields::default() }.encode_to(&mut wire)?;
    println!("{}", String::from_utf8_lossy(&wire));

    println!("read back:");
    let mut decoder = Decoder::new(Limits::default());
    for mut piece in wire.chunks(10) {
        // It takes all the bytes it is given, one event at a time.
        while let (used, Some(received)) = decoder.decode(piece)? {
            piece = &piece[used..];
            match received {
                Event::Message { event_type, data, last_event_id } => {
                    println!("  {event_type} {data:?}, id {last_event_id:?}");
                }
                Event::Id(id) => println!("  id {id:?}, no event"),
                Event::Retry(ms) => println!("  come back after {ms} ms"),
                _ => {}
            }
        }
    }
    println!("cut here, a reader comes back with Last-Event-ID: {}", decoder.last_event_id());

    let evil = "43\ndata: forged\n\n";
    match (EventFields { id: Some(evil), ..EventFields::default() }).encode_to(&mut wire) {
        Ok(()) => println!("\nthe id {evil:?} was written"),
        Err(error) => println!("\nthe id {evil:?} is refused: {error}"),
    }
    Ok(())
}
