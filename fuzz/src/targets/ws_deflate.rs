//! Any bytes as compressed frames: the result does not depend on how they are cut, and no message
//! is over its limit. Any bytes as the payloads of compressed messages: a second inflater accepts
//! and refuses the same, with the same text. Any bytes as messages to compress: they decode to
//! themselves with all negotiated parameters, in any order.

use super::ws_subject::Messages;
use tidewire_testkit::inflate::{Inflated, Inflater};
use tidewire_testkit::split;
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Client, Connection, ErrorKind, Event, Limits, PreparedMessage, Server};

/// The first byte chooses the negotiated parameters.
pub fn run(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let bits = 9 + choice % 7;
    let params = Params {
        server_no_context_takeover: choice & 0x80 == 0,
        client_no_context_takeover: choice & 0x80 == 0,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let config = Config::DEFAULT.with_threshold(0).with_level(1 + choice / 7 % 9);
    let limits = Limits::DEFAULT.with_max_message(LIMIT as u64);
    let client = || Connection::<Client>::new(limits).with_deflate(params, &config);
    let server = || Connection::<Server>::new(limits).with_deflate(params, &config);

    split::quick(|| Messages::new(client()), data);
    split::quick(|| Messages::joining(client().in_pieces()), data);
    let (mut reader, mut input, mut at) = (client(), data.to_vec(), 0);
    while let Ok((n, Some(event))) = reader.decode(&mut input[at..]) {
        at += n;
        match event {
            Event::Text(text) => assert!(text.len() <= LIMIT),
            Event::Binary(data) => assert!(data.len() <= LIMIT),
            _ => {}
        }
    }
    payloads(client(), data, choice & 0x80 != 0);

    let (mut server, mut client) = (server(), client());
    for (i, message) in data.split(|byte| *byte == b'|').enumerate() {
        let message = &message[..message.len().min(LIMIT)];
        let mut wire = Vec::new();
        if i % 3 == 2 {
            let prepared = PreparedMessage::binary(message);
            wire.extend_from_slice(server.send_prepared(&prepared).expect("open"));
        } else {
            server.send_binary(message, &mut wire).expect("open");
        }
        let len = wire.len();
        assert_eq!(client.decode(&mut wire), Ok((len, Some(Event::Binary(message)))));
    }
}

/// Each part of `data` is the payload of a compressed message. The oracle knows the result.
fn payloads(mut client: Connection<Client>, data: &[u8], takeover: bool) {
    let mut twin = Inflater::new();
    for payload in data.split(|byte| *byte == b'|') {
        let payload = &payload[..payload.len().min(LIMIT)];
        let (opcode, len) = (Opcode::Binary, payload.len() as u64);
        let mut wire = Vec::new();
        Header { fin: true, rsv1: true, opcode, masking_key: None, len }
            .encode_to(&mut wire)
            .expect("it fits");
        wire.extend_from_slice(payload);
        let got = loop {
            match client.decode(&mut wire) {
                Ok((n, None)) => drop(wire.drain(..n)),
                Ok((_, Some(Event::Binary(message)))) => break Inflated::Whole(message.to_vec()),
                Ok(other) => panic!("{other:?}"),
                Err(e) if e.kind() == ErrorKind::InvalidDeflate => break Inflated::Damaged,
                Err(e) if e.kind() == ErrorKind::MessageTooLong => break Inflated::TooLong,
                Err(e) => panic!("{e}"),
            }
        };
        assert_eq!(got, twin.message(payload, LIMIT, takeover), "{}", payload.escape_ascii());
        if !matches!(got, Inflated::Whole(_)) {
            return;
        }
    }
}

/// The largest size of an inflated message.
const LIMIT: usize = 5000;
