//! Known failures of other WebSocket libraries. Each test shows that this crate does not have the
//! failure. The identifiers name the advisories and issues of the other libraries.
#![allow(clippy::unwrap_used)] // a test
#![cfg(feature = "deflate")]

mod peer;

use peer::*;
use tidewire_testkit::heap::{CountingAllocator, measure};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::handshake::Origins;
use tidewire_ws::handshake::client::{Request, VerifyError};
use tidewire_ws::handshake::server::{Options, RefusalKind};
use tidewire_ws::{Client, Connection, EncodeErrorKind, ErrorKind, Limits, Server, close};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

// Frames.

#[test]
fn an_unmasked_frame_of_a_client_closes_with_1002() {
    refused(b"\x81\x02Hi", ErrorKind::Unmasked, 1002);
    refused(b"\x89\x00", ErrorKind::Unmasked, 1002);
}

#[test]
fn a_masked_frame_of_a_server_closes_with_1002() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let error = client.decode(&mut [0x81, 0x80, 1, 2, 3, 4]).unwrap_err();
    assert_eq!((error.kind(), error.close_code()), (ErrorKind::Masked, 1002));
}

#[test]
fn a_ping_of_126_bytes_closes_with_1002() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let mut wire = frame(opcode, true, &[b'x'; 126]);
        // The length alone is refused: no byte of the payload has come.
        wire.truncate(2);
        refused(&wire, ErrorKind::ControlTooLong, 1002);
    }
}

#[test]
fn a_fragmented_control_frame_closes_with_1002() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        refused(&frame(opcode, false, b""), ErrorKind::ControlFragmented, 1002);
    }
}

/// On control frames too: some servers do not check them.
#[test]
fn reserved_bits_close_with_1002_on_every_opcode() {
    for opcode in [0x80, 0x81, 0x82, 0x88, 0x89, 0x8a] {
        for bit in [0x10, 0x20, 0x40] {
            refused(&[opcode | bit, 0x80, 0, 0, 0, 0], ErrorKind::ReservedBits, 1002);
        }
    }
}

/// With permessage-deflate, only the first frame of a message may have RSV1.
#[test]
fn the_compression_bit_on_a_continuation_or_a_control_frame_closes_with_1002() {
    for wire in [&b"\x41\x80\0\0\0\0\xc0\x80\0\0\0\0"[..], b"\xc9\x80\0\0\0\0", b"\xc8\x80\0\0\0\0"] {
        let error = feed(&mut deflating::<Server>(), wire).unwrap_err();
        assert_eq!((error.kind(), error.close_code()), (ErrorKind::ReservedBits, 1002));
    }
}

#[test]
fn reserved_opcodes_close_with_1002() {
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        refused(&[0x80 | opcode, 0x80, 0, 0, 0, 0], ErrorKind::ReservedOpcode, 1002);
    }
}

#[test]
fn a_length_that_is_not_minimal_closes_with_1002() {
    for wire in [
        &b"\x82\xfe\x00\x7d"[..],
        b"\x82\xfe\x00\x00",
        b"\x82\xff\0\0\0\0\0\0\xff\xff",
        b"\x82\xff\0\0\0\0\0\0\0\x01",
    ] {
        refused(wire, ErrorKind::LengthNotMinimal, 1002);
    }
}

/// CVE-2020-27813 (gorilla: the length overflowed), CVE-2020-13935 (Tomcat: an endless loop).
#[test]
fn a_length_of_2_to_the_63_closes_with_1002_and_the_one_below_with_1009() {
    refused(b"\x82\xff\x80\0\0\0\0\0\0\0", ErrorKind::LengthTopBit, 1002);
    refused(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", ErrorKind::LengthTopBit, 1002);
    refused(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", ErrorKind::FrameTooLong, 1009);
    // Without limits, the largest valid length is accepted, and no sum of lengths overflows.
    let limits = Limits::DEFAULT.with_max_frame(u64::MAX).with_max_message(u64::MAX);
    let mut server = Connection::<Server>::new(limits);
    assert!(feed(&mut server, b"\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0").is_ok());
}

/// RUSTSEC-2022-0035 (websocket allocated a buffer of the declared length).
#[test]
fn nothing_is_reserved_from_a_declared_length() {
    let limits = Limits::DEFAULT.with_max_frame(u64::MAX).with_max_message(u64::MAX);
    for first in [0x01, 0x02, 0x41, 0x81, 0x82, 0xc2] {
        let mut connection = deflating::<Server>();
        if first & 0x40 == 0 {
            connection = Connection::<Server>::new(limits);
        }
        let declared = if first & 0x40 == 0 { 1u64 << 62 } else { 1 << 20 };
        let wire = [&[first, 0xff][..], &declared.to_be_bytes(), &[0; 4], b"abc"].concat();
        let (used, fed) = measure(|| feed(&mut connection, &wire).map(drop));
        assert_eq!(fed, Ok(()));
        // An inflater has a fixed size, below 80 KiB. Without one, the few received bytes need
        // little.
        let most = if first & 0x40 == 0 { 64 } else { 80 << 10 };
        assert!(used.peak <= most, "{first:#x}: {used:?}");
    }
}

// Messages.

#[test]
fn the_sum_of_the_fragments_of_a_message_is_limited() {
    let limits = Limits::DEFAULT.with_max_message(1000);
    let mut server = Connection::<Server>::new(limits);
    let mut wire = frame(Opcode::Binary, false, &[0; 100]);
    for _ in 0..9 {
        wire.extend(frame(Opcode::Continuation, false, &[0; 100]));
    }
    assert!(feed(&mut server, &wire).unwrap().is_empty());
    let error = feed(&mut server, &frame(Opcode::Continuation, true, b"x")).unwrap_err();
    assert_eq!((error.kind(), error.close_code()), (ErrorKind::MessageTooLong, 1009));
}

/// CVE-2026-48779 (npm ws allocated an object for each fragment).
#[test]
fn fragments_of_one_byte_take_the_memory_of_one_message() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let (mut whole, mut pieces) = (fragments(opcode, 65_536, 65_536), fragments(opcode, 65_536, 1));
        let (whole, _) = measure(|| feed_slowly(&mut whole));
        let (pieces, message) = measure(|| feed_slowly(&mut pieces));
        assert_eq!(message, vec![b'a'; 65_536]);
        assert!(
            pieces.peak <= whole.peak && pieces.allocations <= 20,
            "{pieces:?} where one frame took {whole:?}"
        );
    }
}

/// The time grows with the number of bytes, not with its square.
#[test]
fn fragments_of_one_byte_take_linear_time() {
    let (small, large) = (fragments(Opcode::Text, 4096, 1), fragments(Opcode::Text, 65_536, 1));
    assert_linear(16.0, || drop(receive(&small)), || drop(receive(&large)));
}

#[test]
fn the_number_of_empty_fragments_is_limited() {
    let mut wire = frame(Opcode::Text, false, b"");
    for _ in 0..Limits::DEFAULT.max_empty_fragments {
        wire.extend(frame(Opcode::Continuation, false, b""));
    }
    refused(&wire, ErrorKind::TooManyEmptyFragments, 1008);
    // Slow fragments are left to a deadline of the caller, who asks `message_unfinished`.
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    feed(&mut server, &frame(Opcode::Text, false, b"")).unwrap();
    assert!(server.message_unfinished());
}

#[test]
fn text_that_is_not_utf8_closes_with_1007_at_its_first_impossible_byte() {
    for (text, at) in [
        (&b"ab\xff-"[..], 2),       // no UTF-8 at all
        (b"ab\xc0\xaf", 2),         // overlong
        (b"ab\xed\xa0\x80", 3),     // a surrogate
        (b"ab\xf4\x90\x80\x80", 3), // beyond U+10FFFF
        (b"ab\xf0\x9f\x8c", 5),     // cut off
    ] {
        let whole = frame(Opcode::Text, true, text);
        let split =
            [frame(Opcode::Text, false, &text[..3]), frame(Opcode::Continuation, true, &text[3..])].concat();
        for (wire, headers) in [(whole, 6), (split, if at < 3 { 6 } else { 12 })] {
            let mut server = Connection::<Server>::new(Limits::DEFAULT);
            let error = feed(&mut server, &wire).unwrap_err();
            assert_eq!((error.kind(), error.close_code()), (ErrorKind::InvalidUtf8, 1007));
            assert_eq!(error.offset(), headers + at, "{}", text.escape_ascii());
        }
    }
}

// Closing.

#[test]
fn reserved_close_codes_are_neither_accepted_nor_echoed() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        let error = feed(&mut server, &frame(Opcode::Close, true, &code.to_be_bytes())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CloseCode, "{code}");
        assert_eq!(&output(&mut server)[2..4], 1002u16.to_be_bytes(), "{code}");
    }
}

#[test]
fn codes_1005_1006_and_1015_never_go_to_the_wire() {
    for code in [close::NO_STATUS, close::ABNORMAL, close::TLS_HANDSHAKE, 1004, 0, 5000] {
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        let mut out = Vec::new();
        assert_eq!(
            server.send_close(Some(code), "", &mut out).unwrap_err().kind(),
            EncodeErrorKind::CloseCode
        );
        assert!(out.is_empty() && server.is_open());
    }
    // The reply to a close without a code has no code either. 1005 exists only in APIs.
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    feed(&mut server, &frame(Opcode::Close, true, b"")).unwrap();
    assert_eq!(output(&mut server), b"\x88\x00");
    // An end of the stream without a close frame is 1006 in the log. Nothing is sent.
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    assert_eq!(server.finish().unwrap_err().close_code(), close::ABNORMAL);
    assert!(output(&mut server).is_empty());
}

// permessage-deflate.

/// CVE-2018-1000518 (Python websockets), CVE-2026-1526 (undici): both inflated without a limit.
#[test]
fn one_gibibyte_in_one_mebibyte_of_deflate_stops_at_the_limit() {
    // The compressed mebibyte ends at a byte boundary, so its bytes can be repeated.
    let mut mebibyte = Vec::with_capacity(4096);
    flate2::Compress::new(flate2::Compression::best(), false)
        .compress_vec(&vec![0; 1 << 20], &mut mebibyte, flate2::FlushCompress::Sync)
        .unwrap();
    let bomb = mebibyte.repeat(1024);
    assert!(bomb.len() < 1_200_000);
    for fragment in [bomb.len(), 1000] {
        let limits = Limits::DEFAULT.with_max_frame(2 << 20).with_max_message(1 << 20);
        let mut server = Connection::<Server>::new(limits).with_deflate(SHARED, &Config::DEFAULT);
        let mut wire = Vec::new();
        for (i, piece) in bomb.chunks(fragment).enumerate() {
            let mut frame = frame(
                if i == 0 { Opcode::Binary } else { Opcode::Continuation },
                false,
                &piece[..piece.len().min(1 << 20)],
            );
            frame[0] |= if i == 0 { 0x40 } else { 0 };
            wire.extend(frame);
        }
        let (used, error) = measure(|| feed_in_place(&mut server, &mut wire).unwrap_err());
        assert_eq!((error.kind(), error.close_code()), (ErrorKind::MessageTooLong, 1009));
        // While the buffer of the message doubles, it takes up to 3 MiB. The rest is the inflater.
        assert!(used.peak <= (3 << 20) + (128 << 10), "{used:?}");
        assert!(used.kept <= 256, "the memory of the refused message is freed: {used:?}");
    }
}

/// The server skips a bad offer. It neither refuses the handshake nor crashes (CVE-2020-7662, NSP
/// advisory 550).
#[test]
fn offers_with_duplicate_or_unknown_parameters_are_declined_and_never_400() {
    let options = Options::DEFAULT.with_deflate(Config::DEFAULT);
    for offer in [
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; constructor",
        "constructor; x=1",
        "permessage-deflate; =",
        "permessage-deflate; a=\"",
        ";;;,,,===\"\"",
        "",
    ] {
        let accept = handshake(&with("Sec-WebSocket-Extensions", offer), &options).unwrap();
        assert_eq!(accept.deflate(), None, "{offer}");
        assert!(accept.response_fields().all(|(name, _)| name != "Sec-WebSocket-Extensions"), "{offer}");
        // The server reads the next offer.
        let list = format!("{offer}, permessage-deflate");
        if !offer.contains('"') {
            assert!(
                handshake(&with("Sec-WebSocket-Extensions", &list), &options).unwrap().deflate().is_some(),
                "{list}"
            );
        }
    }
}

/// undici crashed on a window outside 8 to 15 bits.
#[test]
fn an_answer_that_does_not_fit_the_offer_fails_the_handshake() {
    let request = Request::new(*b"the sample nonce", &[]).with_deflate(Config::DEFAULT);
    for answer in [
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=0",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate",
        "permessage-bzip2",
        "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
    ] {
        let fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("Sec-WebSocket-Extensions", answer),
        ];
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(request.verify(101, fields), Err(VerifyError::Extension), "{answer}");
    }
}

/// flate2 panics on a window of 256 bytes. The server declines it for its own messages and accepts
/// it for those of the client.
#[test]
fn a_window_of_8_bits_causes_no_panic() {
    let options = Options::DEFAULT.with_deflate(Config::DEFAULT.with_context_takeover(true));
    let offer = |text| handshake(&with("Sec-WebSocket-Extensions", text), &options).unwrap().deflate();
    assert_eq!(offer("permessage-deflate; server_max_window_bits=8"), None);
    let agreed = offer("permessage-deflate; client_max_window_bits=8").unwrap();
    assert_eq!(agreed.client_max_window_bits, 8);
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for takeover in [false, true] {
        let params = Params {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: 8,
            client_max_window_bits: 8,
        };
        let mut server = Connection::<Server>::new(Limits::DEFAULT).with_deflate(params, &ALWAYS);
        let mut client = Connection::<Client>::new(Limits::DEFAULT).with_deflate(params, &ALWAYS);
        let (mut down, mut up) = (Vec::new(), Vec::new());
        server.send_text(&"a".repeat(300), &mut down).unwrap();
        client.send_text(&"a".repeat(300), [0; 4], &mut up).unwrap();
        assert_eq!((down[0], up[0]), (0x81, 0x81), "not compressed");
        let wire = [&b"\xc1\x87\0\0\0\0"[..], hello].concat();
        assert_eq!(feed(&mut server, &wire).unwrap(), ["text Hello"]);
        let wire = [&b"\xc1\x07"[..], hello].concat();
        assert_eq!(feed(&mut client, &wire).unwrap(), ["text Hello"]);
    }
}

/// npm ws, issue 1202: idle connections held gigabytes of compression contexts.
#[test]
fn a_thousand_connections_that_have_talked_hold_no_compression_contexts() {
    let text = "all the same ".repeat(100);
    let mut wire = Vec::new();
    deflating::<Client>().send_text(&text, [0; 4], &mut wire).unwrap();
    let talk = |connection: &mut Connection<Server>| {
        assert_eq!(feed(connection, &wire).unwrap().len(), 1);
        let mut out = Vec::new();
        connection.send_text(&text, &mut out).unwrap();
        assert_eq!(out[0], 0xc1, "compressed");
    };
    // The first connection fills the pool of the thread.
    talk(&mut deflating::<Server>());
    let mut connections: Vec<Connection<Server>> = (0..1000).map(|_| deflating::<Server>()).collect();
    let (used, ()) = measure(|| connections.iter_mut().for_each(talk));
    assert_eq!(used.kept, 0, "{used:?}");
    assert!(used.peak < 64 << 10, "only one context at a time: {used:?}");
}

// The handshake.

/// CVE-2024-37890 (npm ws: many fields crashed it), CVE-2023-43669 (tungstenite: quadratic time).
#[test]
fn a_flood_of_fields_takes_no_memory_and_linear_time() {
    let flood = |n: usize| {
        let mut fields = request();
        fields.extend((0..n).map(|i| {
            (["X-Filler", "Sec-WebSocket-Protocol", "Connection", "Sec-WebSocket-Extensions"][i % 4], "a")
        }));
        fields
    };
    let options = Options::DEFAULT.with_deflate(Config::DEFAULT);
    let (small, large) = (flood(5000), flood(80_000));
    let (used, accepted) = measure(|| handshake(&large, &options).is_ok());
    assert!(accepted && used.allocations == 0, "{used:?}");
    assert_linear(16.0, || drop(handshake(&small, &options)), || drop(handshake(&large, &options)));
}

/// CVE-2021-32640 (npm ws: Sec-WebSocket-Protocol), CVE-2020-7662 (websocket-extensions): both used
/// regular expressions that backtrack.
#[test]
fn long_lists_take_linear_time() {
    let options = Options::DEFAULT.with_subprotocols(&["chat"]).with_deflate(Config::DEFAULT);
    for (name, part) in [
        ("Sec-WebSocket-Protocol", "a,"),
        ("Sec-WebSocket-Protocol", " \t"),
        ("Sec-WebSocket-Extensions", "a; b=\"c\\d\";"),
        ("Sec-WebSocket-Extensions", "\\\""),
        ("Sec-WebSocket-Extensions", "x; y="),
        ("Connection", " ,"),
        ("Upgrade", "a/b "),
    ] {
        let (small, large) = (part.repeat(2000), part.repeat(32_000));
        let (small, large) = (with(name, &small), with(name, &large));
        assert_linear(16.0, || drop(handshake(&small, &options)), || drop(handshake(&large, &options)));
    }
}

/// CVE-2020-7693 (SockJS), CVE-2022-41940 (engine.io): a malformed request ended the process. Other
/// servers accept any key.
#[test]
fn bad_versions_are_refused_with_426_and_bad_keys_with_400() {
    for version in ["12", "8", "0", "013", "13, 8", "+13", "13.0", "", "1e1", "99999999999999999999"] {
        let refusal = handshake(&with("Sec-WebSocket-Version", version), &Options::default()).unwrap_err();
        assert_eq!((refusal.kind(), refusal.status()), (RefusalKind::Version, 426), "{version}");
        assert!(refusal.fields().contains(&("Sec-WebSocket-Version", "13")));
    }
    for key in [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZWE=",
        "dGhlIHNhbXBsZSBub25jZR==",
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        let refusal = handshake(&with("Sec-WebSocket-Key", key), &Options::default()).unwrap_err();
        assert_eq!((refusal.kind(), refusal.status()), (RefusalKind::Key, 400), "{key}");
    }
}

/// CVE-2023-0957 (Gitpod), CVE-2024-26135 (MeshCentral): cross-site WebSocket hijacking.
#[test]
fn origins_that_look_alike_are_refused() {
    for origin in [
        "http://server.example.com.evil.example",
        "http://evil.example/server.example.com",
        "http://evil-server.example.com",
        "http://sub.server.example.com",
        "http://example.com",
        "http://server.example.com:8080",
        "http://server.example.com@evil.example",
        "http://server.example.com#",
        "http://server.example.com/",
        "file://server.example.com",
        "null",
        "",
    ] {
        for origins in [Origins::Same, Origins::Listed(&["http://server.example.com", "null"])] {
            let options = Options::DEFAULT.with_origins(origins);
            let refusal = handshake(&with("Origin", origin), &options).unwrap_err();
            assert_eq!((refusal.kind(), refusal.status()), (RefusalKind::Origin, 403), "{origin}");
        }
    }
    // Two `Origin` fields: a check of one of them could be bypassed with the other.
    let mut twice = request();
    twice.extend([("Origin", "http://server.example.com"), ("Origin", "http://evil.example")]);
    assert_eq!(handshake(&twice, &Options::default()).unwrap_err().kind(), RefusalKind::Origin);
}

/// CVE-2026-2833 (Pingora): an upgrade with a body can smuggle a request past a proxy.
#[test]
fn an_upgrade_that_carries_a_body_is_refused_and_the_connection_closed() {
    for (name, value) in [
        ("Content-Length", "5"),
        ("Content-Length", ""),
        ("Content-Length", "0, 5"),
        ("Transfer-Encoding", "chunked"),
        ("Transfer-Encoding", "identity"),
    ] {
        let refusal = handshake(&with(name, value), &Options::default()).unwrap_err();
        assert_eq!((refusal.kind(), refusal.status()), (RefusalKind::Body, 400), "{name}: {value}");
        assert!(refusal.fields().contains(&("Connection", "close")));
    }
}

// Output.

/// tungstenite, issue 490: it queued every pong.
#[test]
fn pings_from_a_peer_that_never_reads_queue_only_one_pong() {
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let wire = frame(Opcode::Ping, true, &[b'p'; 125]).repeat(10_000);
    let (used, events) = measure(|| feed(&mut server, &wire).unwrap().len());
    assert_eq!(events, 10_000);
    assert!(used.kept <= 256, "{used:?}");
    assert_eq!(output(&mut server).len(), 127);
}

/// RUSTSEC-2020-0043 (ws: its output buffer had no limit).
#[cfg(feature = "tokio")]
#[tokio::test]
async fn messages_for_a_peer_that_never_reads_are_bounded() {
    use tidewire_ws::Message;
    use tidewire_ws::tokio::{Error, WebSocket, WhenFull};
    let (server, _client) = tokio::io::duplex(1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(64 << 10, WhenFull::Refuse);
    let mut refused = 0;
    for _ in 0..1000 {
        refused += usize::from(matches!(
            server.queue(Message::Binary(vec![0; 1000].into())).await,
            Err(Error::Full)
        ));
        assert!(server.unwritten() <= (64 << 10) + 1004);
    }
    assert!(refused > 900, "{refused}");
}

/// Huang and others, 2011: a page that can predict the next masking key can write chosen bytes into
/// the cache of a proxy.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn masking_keys_are_fresh_and_unpredictable() {
    use tidewire_ws::Message;
    use tidewire_ws::tokio::WebSocket;
    use tokio::io::AsyncReadExt as _;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (client, mut server) = tokio::io::duplex(1 << 20);
        let mut client = WebSocket::client(client, Limits::DEFAULT);
        for _ in 0..2000 {
            client.send(Message::Binary("x".into())).await.unwrap();
        }
        let mut wire = vec![0; 7 * 2000];
        server.read_exact(&mut wire).await.unwrap();
        keys.extend(wire.chunks(7).map(|frame| u32::from_be_bytes(frame[2..6].try_into().unwrap())));
    }
    // A few of 4,000 keys out of 2^32 may be equal by chance. More than ten are equal in only one
    // of 10^20 runs.
    let distinct: std::collections::BTreeSet<u32> = keys.iter().copied().collect();
    assert!(distinct.len() > 3990, "{}", distinct.len());
    // The difference between two keys is not constant. Each bit is set in about half of the keys.
    let steps: std::collections::BTreeSet<u32> =
        keys.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.len() > 3980, "{}", steps.len());
    for bit in 0..32 {
        let set = keys.iter().filter(|key| *key >> bit & 1 == 1).count();
        assert!((1600..2400).contains(&set), "bit {bit} is set in {set} of 4,000");
    }
}

/// The answer contains only configured names and agreed parameters.
#[test]
fn nothing_of_the_request_is_copied_into_the_answer() {
    let options = Options::DEFAULT.with_subprotocols(&["chat"]).with_deflate(Config::DEFAULT);
    for value in ["chat\r\nX-Evil: 1", "chat\n", "chat\0", "evil chat"] {
        let refusal = handshake(&with("Sec-WebSocket-Protocol", value), &options).unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::Subprotocol, "{}", value.escape_default());
    }
    let accept =
        handshake(&with("Sec-WebSocket-Extensions", "permessage-deflate; x=\"\r\nX-Evil: 1\""), &options)
            .unwrap();
    assert!(accept.response_fields().all(|(_, value)| !value.contains(['\r', '\n'])));
}

#[test]
fn frames_built_by_these_tests_have_valid_headers() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let wire = frame(Opcode::Binary, true, &vec![0; len]);
        let (header, n) = Header::parse(&wire).unwrap().unwrap();
        assert_eq!((header.len, n + len), (len as u64, wire.len()));
    }
}
