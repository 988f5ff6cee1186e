//! The cost of the parts of the protocol: unmasking, headers, UTF-8, compression, and one message
//! for a thousand connections.
//!
//! `cargo bench -p tidewire-ws --all-features --bench codec [-- PART]`, where PART is `unmask`,
//! `header`, `utf8`, `deflate` or `broadcast`.
//!
//! Each round takes one sample of every contestant in turn, so a busy machine slows all of them
//! equally. The figure is the best sample, because noise only adds time. Compare ratios within one
//! run, never times of two runs.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::Header;
use tidewire_ws::{Client, Connection, Event, Limits, PreparedMessage, Server, mask};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

fn main() {
    let part = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let parts: [(&str, fn()); 5] = [
        ("unmask", unmask),
        ("header", header),
        ("utf8", utf8),
        ("deflate", deflate),
        ("broadcast", broadcast),
    ];
    for (name, run) in parts {
        if name.contains(&part) {
            run();
            println!();
        }
    }
}

/// Unmasking in place, next to the loop of RFC 6455 §5.3 and to a copy of as many bytes.
fn unmask() {
    println!("{:<10} {:>12} {:>12} {:>12}   GB/s", "unmask", "byte loop", "mask::apply", "memcpy");
    for (name, len) in [
        ("20 B", 20),
        ("125 B", 125),
        ("1 KiB", 1 << 10),
        ("16 KiB", 16 << 10),
        ("1 MiB", 1 << 20),
        ("32 MiB", 32 << 20),
    ] {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let (mut a, mut b, source, mut target) = (vec![7; len], vec![7; len], vec![7u8; len], vec![0; len]);
        let best = race(&mut [
            &mut || {
                for (i, byte) in black_box(&mut a[..]).iter_mut().enumerate() {
                    // `black_box` keeps the compiler from making this loop as fast as
                    // `mask::apply`.
                    *byte ^= black_box(key)[i % 4];
                }
            },
            &mut || {
                black_box(mask::apply(black_box(key), black_box(&mut b)));
            },
            &mut || black_box(&mut target[..]).copy_from_slice(black_box(&source)),
        ]);
        print!("{name:<10}");
        best.iter().for_each(|ns| print!(" {:>12.1}", len as f64 / ns));
        println!();
    }
}

const MANY: u32 = 64;

/// Parsing the header of a client, for payloads of three sizes.
fn header() {
    println!("{:<10} {:>12} {:>12}   ns", "header", "tungstenite", "Header::parse");
    for (name, wire) in [
        ("20 B", &b"\x82\x94\x01\x02\x03\x04aaaaaaaaaaaaaaaaaaaa"[..]),
        ("1 KiB", b"\x82\xfe\x04\x00\x01\x02\x03\x04aaaaaaaaaaaaaa"),
        ("1 MiB", b"\x82\xff\0\0\0\0\0\x10\0\0\x01\x02\x03\x04aaaaaaaa"),
    ] {
        // Many headers in one call, because the call itself takes as long as one header.
        let best = race(&mut [
            &mut || {
                for _ in 0..MANY {
                    let (header, len) =
                        FrameHeader::parse(&mut Cursor::new(black_box(wire))).unwrap().unwrap();
                    black_box((header.is_final, header.opcode, header.mask, len));
                }
            },
            &mut || {
                for _ in 0..MANY {
                    let (header, _) = Header::parse(black_box(wire)).unwrap().unwrap();
                    black_box((header.fin, header.opcode, header.masking_key, header.len));
                }
            },
        ]);
        let best: Vec<f64> = best.iter().map(|ns| ns / f64::from(MANY)).collect();
        println!("{name:<10} {:>12.1} {:>12.1}", best[0], best[1]);
    }
}

/// Receiving a text in one and in two frames, masked with zeros. Header, unmasking and UTF-8 check,
/// next to the check alone.
fn utf8() {
    println!("{:<18} {:>12} {:>12} {:>12}   GB/s", "text", "from_utf8", "one frame", "two frames");
    for (kind, sample) in [("ASCII", "The tide comes in, the tide goes out. "), ("mixed", "κόσμε 🌊 tide ")]
    {
        for (size, len) in
            [("20 B", 20), ("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)]
        {
            let mut text = sample.repeat(len / sample.len() + 1);
            while text.len() > len || !text.is_char_boundary(text.len()) {
                text.pop();
            }
            let bytes = text.as_bytes();
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let mut client = Connection::<Client>::new(Limits::DEFAULT);
            client.send_text(&text, [0; 4], &mut one).unwrap();
            let half = (0..=bytes.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            client.send_text_fragment(&text[..half], false, [0; 4], &mut two).unwrap();
            client.send_text_fragment(&text[half..], true, [0; 4], &mut two).unwrap();
            let mut servers =
                [Connection::<Server>::new(Limits::DEFAULT), Connection::<Server>::new(Limits::DEFAULT)];
            let [first, second] = &mut servers;
            let read = |server: &mut Connection<Server>, wire: &mut [u8]| match server.decode(wire) {
                Ok((_, Some(Event::Text(got)))) => assert_eq!(got.len(), bytes.len()),
                other => panic!("{other:?}"),
            };
            let best = race(&mut [
                &mut || {
                    black_box(std::str::from_utf8(black_box(bytes)).unwrap());
                },
                &mut || read(first, black_box(&mut one)),
                &mut || {
                    read(second, black_box(&mut two));
                    // An empty input, as after the last byte of a read: the connection returns its
                    // buffer.
                    assert!(second.decode(&mut []).is_ok());
                },
            ]);
            print!("{:<18}", format!("{kind}, {size}"));
            best.iter().for_each(|ns| print!(" {:>12.2}", bytes.len() as f64 / ns));
            println!();
        }
    }
}

/// Compressing messages that are similar but not equal, at several levels of zlib, with and without
/// context takeover.
fn deflate() {
    println!("MB/s of plain text; the part of it that is sent");
    println!(
        "{:<18} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8}",
        "", "deflate", "inflate", "sent", "deflate", "inflate", "sent"
    );
    println!("{:<18} {:>30} {:>30}", "size, level", "no context", "context takeover");
    for (name, len) in [("128 B", 128), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10)] {
        for level in [1, 2, 3, 6, 9] {
            print!("{:<18}", format!("{name}, {level}"));
            for takeover in [false, true] {
                let (deflate, inflate, part) = compression(len, level, takeover);
                print!(" {deflate:>10.0} {inflate:>10.0} {:>7.0}%", part * 100.0);
            }
            println!();
        }
    }
}

fn compression(len: usize, level: u8, takeover: bool) -> (f64, f64, f64) {
    let params = Params {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let config = Config::DEFAULT.with_context_takeover(takeover).with_threshold(0).with_level(level);
    let server = || Connection::<Server>::new(Limits::DEFAULT).with_deflate(params, &config);
    let client = || Connection::<Client>::new(Limits::DEFAULT).with_deflate(params, &config);
    let messages: Vec<String> = (0..64).map(|seed| json(len, seed)).collect();
    let (mut deflate_time, mut inflate_time, mut sent) = (f64::MAX, f64::MAX, 0);
    for _ in 0..12 {
        let (mut server, mut client) = (server(), client());
        let mut wires = vec![Vec::with_capacity(2 * len); messages.len()];
        let start = Instant::now();
        for (message, wire) in messages.iter().zip(&mut wires) {
            server.send_text(message, wire).unwrap();
        }
        deflate_time = deflate_time.min(start.elapsed().as_secs_f64());
        sent = wires.iter().map(Vec::len).sum();
        let start = Instant::now();
        for wire in &mut wires {
            assert!(matches!(client.decode(black_box(wire)), Ok((_, Some(Event::Text(_))))));
        }
        inflate_time = inflate_time.min(start.elapsed().as_secs_f64());
    }
    let plain = messages.iter().map(String::len).sum::<usize>() as f64;
    (plain / deflate_time / 1e6, plain / inflate_time / 1e6, sent as f64 / plain)
}

/// Readings of sensors, as an API might send them.
fn json(len: usize, seed: u64) -> String {
    let mut state = seed * 2 + 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut text = String::from("[");
    while text.len() < len {
        let (id, value, time) = (random() % 100_000, random() % 10_000, 1_700_000_000 + random() % 1_000_000);
        text.push_str(&format!(
            "{{\"id\":{id},\"sensor\":\"tide-{}\",\"value\":{}.{:02},\"time\":{time},\"ok\":{}}},",
            random() % 50,
            value / 100,
            value % 100,
            value % 7 != 0
        ));
    }
    text.truncate(len);
    text
}

/// Encoding one message, compressed, for each of 1,000 connections.
fn broadcast() {
    println!(
        "{:<10} {:>20} {:>20} {:>20}   µs for 1,000 connections",
        "broadcast", "one compression", "prepared, deflated", "each by itself"
    );
    let params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let connection = || Connection::<Server>::new(Limits::DEFAULT).with_deflate(params, &Config::DEFAULT);
    for (name, len) in [("1 KiB", 1 << 10), ("16 KiB", 16 << 10)] {
        let text = json(len, 1);
        let mut connections: Vec<Connection<Server>> = (0..1000).map(|_| connection()).collect();
        let mut single = connection();
        let mut out = Vec::with_capacity(2 * len);
        let mut by_itself: Vec<Connection<Server>> = (0..1000).map(|_| connection()).collect();
        let mut outs = Vec::with_capacity(2 * len);
        let best = race(&mut [
            &mut || {
                out.clear();
                single.send_text(black_box(&text), &mut out).unwrap();
            },
            &mut || {
                let message = PreparedMessage::text(black_box(&text));
                for connection in &mut connections {
                    black_box(connection.send_prepared(&message).unwrap());
                }
            },
            &mut || {
                for connection in &mut by_itself {
                    outs.clear();
                    connection.send_text(black_box(&text), &mut outs).unwrap();
                }
            },
        ]);
        print!("{name:<10}");
        best.iter().for_each(|ns| print!(" {:>20.1}", ns / 1000.0));
        println!();
    }
}

/// Returns nanoseconds for each call: the best of many interleaved samples.
fn race(contestants: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut best = vec![f64::MAX; contestants.len()];
    let start = Instant::now();
    // At least twelve rounds, and more while there is time.
    let mut round = 0;
    while round < 12 || (round < 60 && start.elapsed() < Duration::from_secs(2)) {
        round += 1;
        for (contestant, best) in contestants.iter_mut().zip(&mut best) {
            let (start, mut calls) = (Instant::now(), 0u32);
            while calls == 0 || start.elapsed() < Duration::from_micros(500) {
                // Calls of a few nanoseconds run in batches, so that the clock is read less often.
                let batch = if calls == 0 { 1 } else { calls.min(1 << 14) };
                (0..batch).for_each(|_| contestant());
                calls += batch;
            }
            *best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
        }
    }
    best
}
