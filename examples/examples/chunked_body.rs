//! `tidewire-chunked` alone: writes and reads a body whose length is not known in advance.
//!
//! Run `cargo run -p tidewire-examples --example chunked_body`. It writes a body of two chunks and
//! a trailer, and reads it back in pieces of seven bytes, as from a socket. Then it shows where the
//! decoder refuses bodies that were used to smuggle requests.

use std::error::Error;

use tidewire_chunked::{ChunkHead, Decoder, Event, Limits, encode_trailers};

fn main() -> Result<(), Box<dyn Error>> {
    let mut wire = Vec::new();
    for content in ["tide", "wire, and on it goes"] {
        // The crate writes only the framing. So a vectored write can send the head, your bytes and
        // CR LF without copying the content.
        if let Some(head) = ChunkHead::new(content.len() as u64) {
            head.encode_to(&mut wire);
            wire.extend_from_slice(content.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
    }
    encode_trailers([(&b"Digest"[..], &b"sha-256=abc"[..])], &mut wire)?;
    println!("written: {}", wire.escape_ascii());
    wire.extend_from_slice(b"GET /next");

    println!("\nread in pieces of seven bytes:");
    let mut decoder = Decoder::new(Limits::default());
    let mut unread = Vec::new();
    for piece in wire.chunks(7) {
        println!("  + {}", piece.escape_ascii());
        unread.extend_from_slice(piece);
        let mut used = 0;
        loop {
            let (n, event) = decoder.decode(&unread[used..])?;
            used += n;
            match event {
                Some(Event::Chunk { size: 0, .. }) => println!("      last chunk"),
                Some(Event::Chunk { size, .. }) => println!("      chunk of {size} bytes"),
                Some(Event::Data(data)) => println!("      data {}", data.escape_ascii()),
                Some(Event::Trailer { name, value }) => {
                    println!("      trailer {} = {}", name.escape_ascii(), value.escape_ascii());
                }
                Some(Event::End) => println!("      end of the body"),
                None => break,
            }
        }
        unread.drain(..used);
    }
    decoder.finish()?;
    println!("left for the next message: {}", unread.escape_ascii());

    println!("\nrefused:");
    for body in [
        "+5\r\nhello\r\n",            // a sign is not a digit
        "5;a\nhello\r\n",             // a line feed alone does not end a line
        "5\r\nhelloX0\r\n\r\n",       // content longer than the declared size
        "fffffffffffffffff\r\n",      // more than 64 bits
        "0\r\nContent-Length: 5\r\n", // a trailer that would change the framing
    ] {
        let verdict =
            check(body.as_bytes()).map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
        println!("  {:<32}{verdict}", body.escape_default().to_string());
    }
    Ok(())
}

/// Decodes a complete body and discards it.
fn check(mut body: &[u8]) -> Result<(), tidewire_chunked::Error> {
    let mut decoder = Decoder::new(Limits::default());
    while let (n, Some(_)) = decoder.decode(body)? {
        body = &body[n..];
    }
    decoder.finish().map(|_| ())
}
