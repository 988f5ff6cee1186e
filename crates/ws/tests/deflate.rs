//! permessage-deflate through connections: one end inflates what the other end compresses, with
//! every combination of parameters.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)] // a test

use tidewire_testkit::Rng;
use tidewire_testkit::heap::{CountingAllocator, measure};
use tidewire_ws::deflate::{self, Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Client, Connection, ErrorKind, Event, Kind, Limits, PreparedMessage, Role, Server};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SHARED: Params = Params {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};
const CONTEXT: Params =
    Params { server_no_context_takeover: false, client_no_context_takeover: false, ..SHARED };
const ALWAYS: Config = Config::DEFAULT.with_threshold(0);

fn connection<R: Role>(params: Params) -> Connection<R> {
    Connection::new(Limits::DEFAULT).with_deflate(params, &ALWAYS)
}

/// Decodes `wire`, which must be exactly one message.
fn receive<R: Role>(connection: &mut Connection<R>, mut wire: Vec<u8>) -> Vec<u8> {
    let len = wire.len();
    match connection.decode(&mut wire) {
        Ok((n, Some(Event::Binary(data)))) if n == len => data.to_vec(),
        Ok((n, Some(Event::Text(text)))) if n == len => text.into(),
        other => panic!("{other:?}"),
    }
}

fn words(rng: &mut Rng, len: usize) -> Vec<u8> {
    let words = ["tide ", "wire ", "cursor ", "\"id\":", "{}", "\n", "0123456789", "channel "];
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(rng.pick(&words).as_bytes());
    }
    text.truncate(len);
    text
}

#[test]
fn the_examples_of_rfc_7692() {
    // §7.2.3.1, §7.2.3.2: the same message twice. The second one refers to the first.
    let mut client = connection::<Client>(CONTEXT);
    for wire in [&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\xc1\x05\xf2\x00\x11\x00\x00"] {
        assert_eq!(receive(&mut client, wire.to_vec()), b"Hello");
    }
    // §7.2.3.1: in two fragments; §7.2.3.3: a stored block; §7.2.3.4: BFINAL; §7.2.3.5: two blocks.
    for wire in [
        &b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"[..],
        b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        let mut client = connection::<Client>(SHARED);
        assert_eq!(receive(&mut client, wire.to_vec()), b"Hello", "{}", wire.escape_ascii());
        // §7.2.3.6: an empty message is one byte.
        assert_eq!(receive(&mut client, b"\xc1\x01\x00".to_vec()), b"");
    }
}

#[test]
fn a_final_block_that_ends_the_payload_harms_no_later_message() {
    for params in [SHARED, CONTEXT] {
        let mut client = connection::<Client>(params);
        for _ in 0..3 {
            assert_eq!(receive(&mut client, b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec()), b"Hello");
            assert_eq!(receive(&mut client, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()), b"Hello");
        }
    }
}

/// The last frame of a message may be empty. After a final block, it must not begin a new block.
#[test]
fn a_final_block_and_then_an_empty_fragment_harm_no_later_message() {
    for params in [SHARED, CONTEXT] {
        let mut client = connection::<Client>(params);
        for _ in 0..3 {
            let mut wire = b"\x41\x07\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec();
            assert_eq!(client.decode(&mut wire), Ok((9, None)));
            assert_eq!(receive(&mut client, b"\x00\x00\x80\x00".to_vec()), b"Hello");
            assert_eq!(receive(&mut client, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()), b"Hello");
        }
    }
}

#[test]
fn one_incompressible_message_does_not_corrupt_later_ones() {
    let mut rng = Rng::new(7);
    for params in [SHARED, CONTEXT] {
        for bits in 9..=15 {
            let params = Params { server_max_window_bits: bits, client_max_window_bits: bits, ..params };
            let (mut server, mut client) = (connection::<Server>(params), connection::<Client>(params));
            for round in 0..60 {
                let len = rng.below(6000);
                let message = if rng.chance(50) { rng.bytes(len) } else { words(&mut rng, len) };
                let mut wire = Vec::new();
                server.send_binary(&message, &mut wire).unwrap();
                assert!(receive(&mut client, wire) == message, "server's, {bits} bits, round {round}");
                let mut wire = Vec::new();
                client.send_binary(&message, [1, 2, 3, round], &mut wire).unwrap();
                assert!(receive(&mut server, wire) == message, "client's, {bits} bits, round {round}");
            }
        }
    }
}

#[test]
fn a_window_is_never_exceeded() {
    // The inflater here has exactly the agreed window. So it fails if the compressor refers to data
    // beyond that window.
    let mut rng = Rng::new(8);
    for bits in 9..=15 {
        let params = Params { server_max_window_bits: bits, ..CONTEXT };
        let (mut server, mut client) = (connection::<Server>(params), connection::<Client>(params));
        let period = rng.bytes((1 << bits) - 200);
        for _ in 0..4 {
            let mut wire = Vec::new();
            server.send_binary(&period, &mut wire).unwrap();
            assert!(receive(&mut client, wire) == period, "{bits} bits");
        }
    }
}

#[test]
fn with_a_window_of_8_bits_messages_are_inflated_but_not_compressed() {
    let params = Params { server_max_window_bits: 8, client_max_window_bits: 8, ..CONTEXT };
    let mut client = connection::<Client>(params);
    let mut wire = Vec::new();
    client.send_text(&"a".repeat(300), [0; 4], &mut wire).unwrap();
    assert!(!Header::parse(&wire).unwrap().unwrap().0.rsv1);
    assert_eq!(receive(&mut client, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()), b"Hello");
}

#[test]
fn short_and_incompressible_messages_are_sent_uncompressed() {
    let mut server = Connection::<Server>::new(Limits::DEFAULT).with_deflate(SHARED, &Config::DEFAULT);
    let mut is_compressed = |data: &[u8]| {
        let mut wire = Vec::new();
        server.send_binary(data, &mut wire).unwrap();
        Header::parse(&wire).unwrap().unwrap().0.rsv1
    };
    assert!(!is_compressed(&[b'a'; 511]));
    assert!(is_compressed(&[b'a'; 512]));
    assert!(!is_compressed(&Rng::new(3).bytes(4096)), "noise is sent uncompressed");
}

/// One gibibyte of zeros in about one mebibyte of DEFLATE.
#[test]
fn a_decompression_bomb_is_refused_at_the_limit() {
    // The compressed mebibyte ends at a byte boundary and refers to nothing before it. So its bytes
    // can be repeated.
    let mut mebibyte = Vec::with_capacity(4096);
    flate2::Compress::new(flate2::Compression::best(), false)
        .compress_vec(&vec![0; 1 << 20], &mut mebibyte, flate2::FlushCompress::Sync)
        .unwrap();
    let bomb = mebibyte.repeat(1024);
    assert!(bomb.len() < 1_200_000, "{}", bomb.len());
    let limits = Limits::DEFAULT.with_max_frame(2 << 20);
    let mut client = Connection::<Client>::new(limits).with_deflate(SHARED, &ALWAYS);
    let mut wire = Vec::new();
    let header = Header { fin: true, rsv1: true, opcode: Opcode::Binary, masking_key: None, len: 1 << 20 };
    header.encode_to(&mut wire).unwrap();
    wire.extend_from_slice(&bomb);
    let mut fed = 0;
    let error = loop {
        match client.decode(&mut wire[fed..fed + 16]) {
            Ok((n, None)) => fed += n,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.close_code(), error.offset()), (ErrorKind::MessageTooLong, 1009, 0));
    assert!(fed < 2048, "refused after {fed} bytes, not after all of them");
}

#[test]
fn compressed_text_has_to_be_utf8_to_its_end() {
    for (text, good) in [(&b"\xce\xba"[..], true), (b"\xce", false), (b"a\xff", false)] {
        let mut sender = connection::<Server>(SHARED);
        let mut wire = Vec::new();
        sender.send_binary(&[text, &[b' '; 600]].concat(), &mut wire).unwrap();
        wire[0] = wire[0] & 0xf0 | 1;
        let mut client = connection::<Client>(SHARED);
        match client.decode(&mut wire) {
            Ok((_, Some(Event::Text(_)))) => assert!(good),
            Err(error) => {
                assert_eq!((error.kind(), error.offset(), good), (ErrorKind::InvalidUtf8, 0, false))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_is_compressed_once_for_every_connection() {
    let text = "all the same ".repeat(100);
    let message = PreparedMessage::text(&text);
    let mut servers: Vec<Connection<Server>> = (0..1000).map(|_| connection::<Server>(SHARED)).collect();
    // The first connection compresses the message and builds the frame.
    let first = servers[0].send_prepared(&message).unwrap();
    assert_eq!(receive(&mut connection::<Client>(SHARED), first.to_vec()), text.as_bytes());
    // The others get the same bytes and allocate nothing, so they did not compress again.
    let (used, same) = measure(|| {
        let mut frames = servers.iter_mut().map(|server| server.send_prepared(&message).unwrap());
        frames.all(|frame| frame.as_ptr() == first.as_ptr() && frame.len() == first.len())
    });
    assert!(same && used.allocations == 0, "{used:?}");
    // Connections with a smaller window or without compression get the uncompressed frame.
    let small = Params { server_max_window_bits: 14, ..SHARED };
    assert_eq!(*connection::<Server>(small).send_prepared(&message).unwrap(), *message.frame());
    let mut plain = Connection::<Server>::new(Limits::DEFAULT);
    assert_eq!(*plain.send_prepared(&message).unwrap(), *message.frame());
}

#[test]
fn prepared_messages_and_a_context_do_not_disturb_each_other() {
    let mut rng = Rng::new(11);
    let (mut server, mut client) = (connection::<Server>(CONTEXT), connection::<Client>(CONTEXT));
    for round in 0..100 {
        let len = 1 + rng.below(3000);
        let data = words(&mut rng, len);
        let mut wire = Vec::new();
        if rng.chance(50) {
            wire.extend_from_slice(server.send_prepared(&PreparedMessage::binary(&data)).unwrap());
        } else {
            server.send_binary(&data, &mut wire).unwrap();
        }
        assert!(receive(&mut client, wire) == data, "round {round}");
    }
}

#[test]
fn pieces_of_a_compressed_message_come_as_they_inflate() {
    let mut rng = Rng::new(12);
    let data = words(&mut rng, 200_000);
    let mut wire = Vec::new();
    connection::<Server>(SHARED).send_binary(&data, &mut wire).unwrap();
    let mut client = connection::<Client>(SHARED).in_pieces();
    let (mut got, mut pieces, mut ended, mut fed) = (Vec::new(), 0, false, 0);
    while fed < wire.len() {
        let end = wire.len().min(fed + 1000);
        let (n, event) = client.decode(&mut wire[fed..end]).unwrap();
        fed += n;
        if let Some(Event::Piece { kind: Kind::Binary, data, last }) = event {
            got.extend_from_slice(data);
            pieces += 1;
            ended = last;
        }
    }
    assert!(ended && pieces > 1 && got == data);
}

#[test]
fn a_shared_compressed_message_inflates_with_and_without_context_takeover() {
    let text = words(&mut Rng::new(7), 3_000);
    for kind in [Kind::Text, Kind::Binary] {
        let mut wire = Vec::new();
        assert!(deflate::encode_message(kind, &text, &Config::DEFAULT, &mut wire));
        assert!(wire.len() < text.len() / 2);
        // A client with context takeover inflates a shared message, too, between other messages.
        for params in [SHARED, CONTEXT] {
            let mut server = connection::<Server>(params);
            let mut client = connection::<Client>(params);
            for _ in 0..2 {
                assert_eq!(receive(&mut client, wire.clone()), text);
                let mut own = Vec::new();
                server.send_binary(&text, &mut own).unwrap();
                server = connection::<Server>(params);
                assert_eq!(receive(&mut client, own), text);
            }
        }
    }
    // A message that is too short, or that does not shrink, is sent uncompressed.
    let noise = Rng::new(7).bytes(600);
    for (payload, compressed) in [(&[b'a'; 511][..], false), (&noise, false), (&[b'a'; 512], true)] {
        let mut wire = Vec::new();
        assert_eq!(deflate::encode_message(Kind::Binary, payload, &Config::DEFAULT, &mut wire), compressed);
        assert_eq!(wire[0], if compressed { 0xc2 } else { 0x82 });
    }
    assert!(SHARED.takes_shared() && CONTEXT.takes_shared());
    assert!(!Params { server_max_window_bits: 14, ..SHARED }.takes_shared());
}

#[test]
fn is_inflating_is_right_after_every_byte() {
    let text = words(&mut Rng::new(9), 2_000);
    let mut client = connection::<Client>(SHARED);
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    client.send_binary(&text, [1, 2, 3, 4], &mut wire).unwrap();
    client.send_ping(b"ping", [0; 4], &mut wire).unwrap();
    client.send_binary_fragment(b"not compressed", false, [0; 4], &mut plain).unwrap();
    let ping = wire.len() - 10;
    let mut server = connection::<Server>(SHARED);
    assert!(!server.is_inflating());
    let mut head = wire[..4].to_vec();
    for (at, &byte) in wire.iter().enumerate().skip(4) {
        // The header is complete after 8 bytes. The ping after the message is not compressed.
        head.push(byte);
        let (used, _) = server.decode(&mut head).unwrap();
        head.drain(..used);
        assert_eq!(server.is_inflating(), (7..ping - 1).contains(&at), "{at}");
    }
    let mut server = connection::<Server>(SHARED);
    server.decode(&mut plain).unwrap();
    assert!(server.message_unfinished() && !server.is_inflating());
}
