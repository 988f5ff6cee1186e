//! `tidewire-ws` alone: a client and a server exchange frames, without a socket.
//!
//! Run `cargo run -p tidewire-examples --example ws_frames`. `>` marks the client's bytes and `<`
//! the server's. The next lines show what the other side decodes from them: a text, a message in
//! fragments with a ping in between, and a broken frame.

use tidewire_ws::frame::Header;
use tidewire_ws::{Client, Connection, EncodeError, Event, Limits, Role, Server};

/// A real client takes a new key from a cryptographic random source for each frame. This key is
/// fixed, so that the bytes are the same each time.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn main() -> Result<(), EncodeError> {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let mut wire = Vec::new();

    println!("A text. The client masks it, the server does not:");
    client.send_text("Hello", KEY, &mut wire)?;
    deliver('>', &mut wire, &mut server);
    server.send_text("Hello", &mut wire)?;
    deliver('<', &mut wire, &mut client);

    println!("\nA message in fragments. A ping may come between them:");
    client.send_text_fragment("tide", false, KEY, &mut wire)?;
    deliver('>', &mut wire, &mut server);
    client.send_ping(b"?", KEY, &mut wire)?;
    deliver('>', &mut wire, &mut server);
    server.take_output(&mut wire);
    deliver('<', &mut wire, &mut client);
    client.send_text_fragment("wire", true, KEY, &mut wire)?;
    deliver('>', &mut wire, &mut server);

    println!("\nA frame that is not masked. The server closes and says why:");
    wire.extend_from_slice(b"\x81\x02no");
    deliver('>', &mut wire, &mut server);
    server.take_output(&mut wire);
    deliver('<', &mut wire, &mut client);
    client.take_output(|| KEY, &mut wire);
    println!("closed: client {}, server {}", client.is_closed(), server.is_closed());
    Ok(())
}

/// Prints the bytes on the wire and passes them to the other end.
fn deliver<R: Role>(direction: char, wire: &mut Vec<u8>, to: &mut Connection<R>) {
    let hex: Vec<String> = wire.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{direction} {}", hex.join(" "));
    if let Ok(Some((header, length))) = Header::parse(wire) {
        let masked = if header.masking_key.is_some() { "masked" } else { "not masked" };
        let last = if header.fin { "last" } else { "more to come" };
        println!("    header of {length}: {:?}, {last}, payload of {}, {masked}", header.opcode, header.len);
    }
    let mut used = 0;
    loop {
        match to.decode(&mut wire[used..]) {
            Ok((n, Some(event))) => {
                used += n;
                match event {
                    Event::Text(text) => println!("    a whole message: {text:?}"),
                    Event::Ping(_) => println!("    a ping: its pong is ready"),
                    event => println!("    {event:?}"),
                }
            }
            Ok((_, None)) => break,
            Err(error) => {
                println!("    refused: {error}; close code {}", error.close_code());
                break;
            }
        }
    }
    wire.clear();
}
