//! A compressed message must end with the last bit of a block. Everything else is refused with
//! 1007. The expected results come from the oracle: a second inflater that shares no code with
//! ours.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)]

use flate2::{Compress, Compression, FlushCompress};
use tidewire_testkit::Rng;
use tidewire_testkit::inflate::{Inflated, Inflater};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Client, Connection, ErrorKind, Event, Limits, Role, Server};

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// A compressed "Hello" that refers to the message before it.
const AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
const LIMIT: usize = 1000;

fn connection<R: Role>(takeover: bool, bits: u8) -> Connection<R> {
    let params = Params {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let limits = Limits::DEFAULT.with_max_message(LIMIT as u64);
    Connection::new(limits).with_deflate(params, &Config::DEFAULT)
}

/// A compressed binary message whose payload is cut into fragments at `cuts`.
fn message(masked: bool, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    let ends = cuts.iter().copied().chain([payload.len()]);
    let mut from = 0;
    for (i, to) in ends.enumerate() {
        let header = Header {
            fin: i == cuts.len(),
            rsv1: i == 0,
            opcode: if i == 0 { Opcode::Binary } else { Opcode::Continuation },
            masking_key: masked.then_some([0; 4]),
            len: (to - from) as u64,
        };
        header.encode_to(&mut wire).unwrap();
        wire.extend_from_slice(&payload[from..to]);
        from = to;
    }
    wire
}

/// Feeds `wire` in pieces of `step` bytes until one message has come.
fn feed<R: Role>(connection: &mut Connection<R>, wire: &mut [u8], step: usize) -> Result<Vec<u8>, ErrorKind> {
    let (mut from, mut to) = (0, 0);
    while to < wire.len() {
        to = wire.len().min(to + step);
        loop {
            match connection.decode(&mut wire[from..to]) {
                Ok((_, Some(Event::Binary(data)))) => return Ok(data.to_vec()),
                Ok((0, None)) => break,
                Ok((n, None)) => from += n,
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    let code = if error.kind() == ErrorKind::MessageTooLong { 1009 } else { 1007 };
                    assert_eq!(error.close_code(), code, "{error}");
                    return Err(error.kind());
                }
            }
        }
    }
    panic!("neither a message nor an error");
}

/// Returns the result of one message. It must be the same for both roles, with and without context
/// takeover, for all fragmentations and sizes of reads. Long messages are cut only at some places.
/// The messages after an accepted message must inflate too.
fn verdict(payload: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let mut verdict = None;
    let some = 1 + payload.len() / 16;
    let cuts = (0..=payload.len()).step_by(some).map(|at| vec![at]).chain([vec![], vec![0, payload.len()]]);
    for cuts in cuts {
        for (takeover, step) in [(true, 1), (true, 4096), (false, 1), (false, 4096)] {
            let client = verdict_as::<Client>(false, takeover, step, payload, &cuts);
            let server = verdict_as::<Server>(true, takeover, step, payload, &cuts);
            assert_eq!(*verdict.get_or_insert_with(|| client.clone()), client, "{takeover} {cuts:?}");
            assert_eq!(client, server, "{takeover} {cuts:?}");
        }
    }
    verdict.unwrap()
}

fn verdict_as<R: Role>(
    masked: bool,
    takeover: bool,
    step: usize,
    payload: &[u8],
    cuts: &[usize],
) -> Result<Vec<u8>, ErrorKind> {
    let mut peer = connection::<R>(takeover, 15);
    let got = feed(&mut peer, &mut message(masked, payload, cuts), step);
    if got.is_ok() {
        assert_eq!(feed(&mut peer, &mut message(masked, HELLO, &[]), step).unwrap(), b"Hello");
        let again = if takeover { AGAIN } else { HELLO };
        assert_eq!(feed(&mut peer, &mut message(masked, again, &[]), step).unwrap(), b"Hello");
    }
    got
}

fn oracle(payload: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    expected(Inflater::new().message(payload, LIMIT, false))
}

fn expected(inflated: Inflated) -> Result<Vec<u8>, ErrorKind> {
    match inflated {
        Inflated::Whole(data) => Ok(data),
        Inflated::TooLong => Err(ErrorKind::MessageTooLong),
        Inflated::Damaged => Err(ErrorKind::InvalidDeflate),
    }
}

/// One payload of every kind that RFC 7692 §7.2.1 allows.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    let mut dynamic = Vec::with_capacity(500);
    let text: Vec<u8> = (0..200_u32).flat_map(|i| (i * i).to_string().into_bytes()).take(400).collect();
    Compress::new(Compression::best(), false).compress_vec(&text, &mut dynamic, FlushCompress::Sync).unwrap();
    dynamic.truncate(dynamic.len() - 4);
    assert_eq!(dynamic[0] >> 1 & 3, 2, "a block with dynamic tables");
    let known: [(&str, &[u8]); 9] = [
        ("one block", HELLO),
        ("stored", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        ("BFINAL, padded", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("BFINAL, and nothing after it", b"\xf3\x48\xcd\xc9\xc9\x07\x00"),
        ("BFINAL, and another block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"),
        ("two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
        ("empty", b"\x00"),
        ("empty, with BFINAL", b"\x01"),
        ("an empty block with fixed codes, and the empty block", b"\x02\x00"),
    ];
    let mut good: Vec<_> = known.map(|(name, payload)| (name, payload.to_vec())).into();
    good.push(("dynamic tables", dynamic));
    good
}

#[test]
fn cut_data_is_refused() {
    // "Hello" without its last two octets, and a stored block that declares ten octets and holds
    // three.
    for payload in [&b"\xf2\x48\xcd\xc9\xc9"[..], b"\x00\x0a\x00\xf5\xff\x61\x62\x63"] {
        assert_eq!(verdict(payload), Err(ErrorKind::InvalidDeflate), "{}", payload.escape_ascii());
    }
}

#[test]
fn octets_after_a_final_block_must_be_whole_blocks() {
    let after = |rest: &[u8]| verdict(&[b"\xf3\x48\xcd\xc9\xc9\x07\x00", rest].concat());
    assert_eq!(after(b""), Ok(b"Hello".to_vec()));
    assert_eq!(after(b"\x00"), Ok(b"Hello".to_vec()));
    assert_eq!(after(HELLO), Ok(b"HelloHello".to_vec()));
    for rest in [&b"ab"[..], b"\x00\x00", b"\xff", b"\x02", b"\xf2\x48\xcd", b"\x00\x00\x00\xff\xff"] {
        assert_eq!(after(rest), Err(ErrorKind::InvalidDeflate), "{}", rest.escape_ascii());
    }
}

/// An empty message is one octet (RFC 7692 §7.2.3.6). Without it, the four octets that the receiver
/// appends are half a block header, and the inflater would stop in the middle of it.
#[test]
fn a_compressed_message_without_octets_is_refused() {
    assert_eq!(verdict(b""), Err(ErrorKind::InvalidDeflate));
    assert_eq!(verdict(b"\x00"), Ok(Vec::new()));
}

#[test]
fn every_cut_of_every_kind_of_block_is_judged_as_the_oracle_judges_it() {
    for (name, payload) in good() {
        let whole = verdict(&payload);
        assert!(whole.is_ok() && whole == oracle(&payload), "{name}: {whole:?}");
        for len in 0..payload.len() {
            let cut = &payload[..len];
            assert_eq!(verdict(cut), oracle(cut), "{name}, {len} octets: {}", cut.escape_ascii());
        }
        for more in [&b"\x00"[..], b"\x00\x00\xff\xff", b"\x01", b"\xff", b"\x03\x00"] {
            let more = [&payload, more].concat();
            assert_eq!(verdict(&more), oracle(&more), "{name}: {}", more.escape_ascii());
        }
    }
}

/// All payloads of one and two octets. They cover nearly every way to begin a block without ending
/// it.
#[test]
fn every_short_payload_is_judged_as_the_oracle_judges_it() {
    let mut taken = 0;
    let short = (0..=255).map(|byte| vec![byte]).chain((0..=u16::MAX).map(|two| two.to_be_bytes().to_vec()));
    for (i, payload) in short.enumerate() {
        // A context costs an allocation, so only some payloads get one of their own.
        let takeover = i < 256 || i % 7 == 0;
        let mut peer = connection::<Client>(takeover, 15);
        let got = feed(&mut peer, &mut message(false, &payload, &[]), 4096);
        assert_eq!(got, oracle(&payload), "{}, takeover {takeover}", payload.escape_ascii());
        if got.is_ok() {
            taken += 1;
            let next = feed(&mut peer, &mut message(false, HELLO, &[]), 4096);
            assert_eq!(next.unwrap(), b"Hello", "after {}", payload.escape_ascii());
        }
    }
    assert!(taken > 100, "{taken}");
}

/// The four octets that the receiver appends may complete a cut table and then end its block. If
/// they end it at their last bit, the message is whole. Left-over bits are refused, because they
/// would be read as the block header of the next message.
#[test]
fn bits_left_over_after_the_last_block_are_refused() {
    // The appended octets are sixteen zeros and sixteen ones. With two distance codes, they
    // complete the block exactly. With one distance code, two ones are left over.
    let cut = |last: usize, distances: usize| {
        let mut bits = Vec::new();
        let mut put = |value: usize, count| (0..count).for_each(|i| bits.push(value >> i & 1));
        // BFINAL, dynamic tables, 257 literal codes, the distance codes, 18 lengths of the code
        // length code.
        let fields = [(last, 1), (2, 2), (0, 5), (distances - 1, 5), (14, 4)];
        fields.into_iter().for_each(|(value, count)| put(value, count));
        // The code words: 18 is 0, a length of 0 is 10, a length of 1 is 11.
        let lengths = [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        lengths.into_iter().for_each(|length| put(length, 3));
        // 95 literals without a code word, and the first bit of a run of eleven more.
        put((95 - 11) << 1, 8);
        put(0, 1);
        assert_eq!(bits.len(), 80);
        let byte = |bits: &[usize]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8);
        bits.chunks(8).map(byte).collect::<Vec<u8>>()
    };
    assert_eq!(verdict(&cut(0, 2)), Ok(Vec::new()));
    assert_eq!(verdict(&cut(0, 1)), Err(ErrorKind::InvalidDeflate));
    // After a block with BFINAL, left-over bits are padding.
    assert_eq!(verdict(&cut(1, 2)), Ok(Vec::new()));
    assert_eq!(verdict(&cut(1, 1)), Ok(Vec::new()));
    for payload in [cut(0, 2), cut(0, 1), cut(1, 2), cut(1, 1)] {
        assert_eq!(verdict(&payload), oracle(&payload));
    }
}

/// Sequences of randomly damaged messages. Our inflater and the oracle agree on the result, its
/// length, and the window afterwards.
#[test]
fn damaged_messages_in_a_row_are_judged_as_the_oracle_judges_them() {
    let words = ["tide ", "wire ", "cursor ", "\"id\":", "{}", "\n", "0123456789"];
    let (mut whole, mut refused) = (0, 0);
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let (takeover, masked) = (rng.chance(50), rng.chance(50));
        let (mut server, mut client) =
            (connection::<Server>(takeover, 15), connection::<Client>(takeover, 15));
        let mut twin = Inflater::new();
        let level = Compression::new(rng.below(10) as u32);
        let mut compressor = Compress::new(level, false);
        for _ in 0..6 {
            let text: String = (0..rng.below(150)).map(|_| *rng.pick(&words)).collect();
            let mut payload = Vec::with_capacity(2 * text.len() + 100);
            let end = if rng.chance(20) { FlushCompress::Finish } else { FlushCompress::Sync };
            compressor.compress_vec(text.as_bytes(), &mut payload, end).unwrap();
            match end {
                FlushCompress::Sync if payload.len() > 4 => payload.truncate(payload.len() - 4),
                _ => payload.push(0),
            }
            if end == FlushCompress::Finish || !takeover {
                compressor.reset();
            }
            damage(&mut rng, &mut payload);
            let expected = expected(twin.message(&payload, LIMIT, takeover));
            let cuts = [rng.below(payload.len() + 1)];
            let step = 1 + rng.below(300);
            let mut wire = message(masked, &payload, &cuts);
            let got =
                if masked { feed(&mut server, &mut wire, step) } else { feed(&mut client, &mut wire, step) };
            assert_eq!(got, expected, "seed {seed}: {}", payload.escape_ascii());
            if got.is_err() {
                refused += 1;
                break;
            }
            whole += 1;
        }
    }
    assert!(whole > 1000 && refused > 500, "{whole} {refused}");
}

fn damage(rng: &mut Rng, payload: &mut Vec<u8>) {
    if rng.chance(70) || payload.is_empty() {
        return;
    }
    let at = rng.below(payload.len());
    match rng.below(4) {
        0 => payload.truncate(at),
        1 => payload[at] ^= 1 << rng.below(8),
        2 => payload.extend_from_slice(&rng.bytes(3)),
        _ => payload.insert(at, 0),
    }
}

/// The four appended octets are not part of the message. Their output counts neither as text nor
/// for the limit.
#[test]
fn output_of_the_appended_octets_is_not_part_of_the_message() {
    let mut stored = b"\x00\xf0\x03\x0f\xfc".to_vec();
    stored.extend_from_slice(&[b'a'; LIMIT]);
    // The block declares 1008 octets and holds 1000, which is the limit. The appended octets would
    // exceed it.
    assert_eq!(verdict_of(&stored), Err(ErrorKind::InvalidDeflate));
    let text = b"\xc1\x06\x00\x05\x00\xfa\xffa";
    let mut client = connection::<Client>(false, 15);
    assert_eq!(client.decode(&mut text.to_vec()).unwrap_err().kind(), ErrorKind::InvalidDeflate);
}

fn verdict_of(payload: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    feed(&mut connection::<Client>(true, 15), &mut message(false, payload, &[]), 4096)
}
