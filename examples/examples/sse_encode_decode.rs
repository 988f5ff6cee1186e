//! `tidewire-sse` alone: encodes events as text, and decodes the text as a browser does.
//!
//! Run `cargo run -p tidewire-examples --example sse_encode_decode`. It writes a few events and
//! reads them back in pieces of ten bytes. Then it shows what the encoder refuses: an id with a
//! line end in it. With such an id, an attacker could write the next field.

use std::error::Error;

use tidewire_sse::{Decoder, Event, EventFields, HEARTBEAT, Limits, comment_to};

fn main() -> Result<(), Box<dyn Error>> {
    let mut wire = Vec::new();
    comment_to("lines that begin with a colon are comments", &mut wire);
    // An id without data is not an event, but a reader that reconnects sends it.
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
        // The decoder takes all bytes of the piece, one event at a time.
        while let (used, Some(received)) = decoder.decode(piece)? {
            piece = &piece[used..];
            match received {
                Event::Message { event_type, data, last_event_id } => {
                    println!("  {event_type} {data:?}, id {last_event_id:?}");
                }
                Event::Id(id) => println!("  id {id:?}, no event"),
                Event::Retry(ms) => println!("  reconnect after {ms} ms"),
                _ => {}
            }
        }
    }
    println!("a reader that reconnects now sends Last-Event-ID: {}", decoder.last_event_id());

    let evil = "43\ndata: forged\n\n";
    match (EventFields { id: Some(evil), ..EventFields::default() }).encode_to(&mut wire) {
        Ok(()) => println!("\nthe id {evil:?} was written"),
        Err(error) => println!("\nthe id {evil:?} is refused: {error}"),
    }
    Ok(())
}
