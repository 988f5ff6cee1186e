//! Bytes per second of the encoder and the decoder. They are compared with `write!` and with
//! `eventsource-stream`, the parser that most people use.
//!
//! `cargo bench -p tidewire-sse --all-features --bench events [-- FILTER]`
//!
//! Rounds are interleaved: each round takes one sample of every contestant, so that a busy machine
//! slows all of them alike. The figure is the best sample, since noise only adds time. Compare
//! ratios within one run, never times of two runs.
#![allow(clippy::print_stdout)]

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use std::convert::Infallible;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use tidewire_sse::{Decoder, Event, EventFields, Limits};

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let line = |len: usize| "tidewire ".chars().cycle().take(len).collect::<String>();
    let lines = |count: usize, len: usize| vec![line(len); count].join("\n");
    println!("{:<22} {:>6}  {:>21} {:>21}", "encode", "bytes", "write!", "encode_to");
    for (name, data) in cases(&line, &lines) {
        if name.contains(&filter) {
            encode(name, &data);
        }
    }
    println!("{:<22} {:>6}  {:>21} {:>21}", "decode", "bytes", "eventsource-stream", "Decoder");
    for (name, data) in cases(&line, &lines) {
        if name.contains(&filter) {
            decode(name, &data);
        }
    }
    #[cfg(feature = "stream")]
    streams(&filter);
}

/// Reads a thousand events from a stream of chunks. The time is that of one event. Both crates make
/// events that own their text.
#[cfg(feature = "stream")]
fn streams(filter: &str) {
    const EVENTS: usize = 1000;
    println!("{:<22} {:>6}  {:>21} {:>21}", "stream", "bytes", "eventsource-stream", "EventStream");
    let token = r#"{"id":"c-1","object":"chunk","choices":[{"index":0,"delta":{"content":" wave"}}]}"#;
    let with_id = |data| EventFields { event: None, ..event(data) };
    let plain = |data| EventFields { id: None, ..with_id(data) };
    for (name, event, size) in [
        ("token, one a chunk", plain(token), 0),
        ("token, chunks of 1 KiB", plain(token), 1 << 10),
        ("token, chunks of 16 KiB", plain(token), 16 << 10),
        ("token, chunks of 5 B", plain(token), 5),
        ("id and type, one", event(token), 0),
        ("id and type, 16 KiB", event(token), 16 << 10),
    ] {
        if !name.contains(filter) {
            continue;
        }
        let mut wire = Vec::new();
        for _ in 0..EVENTS {
            assert_eq!(event.encode_to(&mut wire), Ok(()));
        }
        let size = if size == 0 { event.encoded_len() } else { size };
        let chunks = || stream::iter(wire.chunks(size)).map(Ok::<_, Infallible>);
        let mut contestants: [Box<dyn FnMut() + '_>; 2] = [
            Box::new(|| {
                let count = chunks().eventsource().fold(0, async |count, event| {
                    black_box(event.is_ok_and(|event| !event.data.is_empty()));
                    count + 1
                });
                assert_eq!(count.now_or_never(), Some(EVENTS));
            }),
            Box::new(|| {
                let count = tidewire_sse::EventStream::new(chunks()).fold(0, async |count, event| {
                    black_box(event.is_ok_and(|event| !event.data.is_empty()));
                    count + 1
                });
                assert_eq!(count.now_or_never(), Some(EVENTS));
            }),
        ];
        let best = race_of(&mut contestants, 2).map(|ns| ns / EVENTS as f64);
        print(name, event.encoded_len(), &best);
    }
}

fn cases(
    line: &dyn Fn(usize) -> String,
    lines: &dyn Fn(usize, usize) -> String,
) -> [(&'static str, String); 5] {
    [
        ("one line of 16 B", line(16)),
        ("one line of 128 B", line(128)),
        ("one line of 1 KiB", line(1 << 10)),
        ("one line of 64 KiB", line(1 << 16)),
        ("32 lines of 32 B", lines(32, 32)),
    ]
}

fn event(data: &str) -> EventFields<'_> {
    EventFields {
        id: Some("1kq9f3hx2vz0c-4711"),
        event: Some("tide"),
        data: Some(data),
        ..EventFields::default()
    }
}

/// Writes one event into a buffer that is large enough, so nothing is allocated.
fn encode(name: &str, data: &str) {
    let mut naive = String::with_capacity(1 << 18);
    let mut wire = Vec::with_capacity(1 << 18);
    let mut contestants: [Box<dyn FnMut() + '_>; 2] = [
        Box::new(|| {
            naive.clear();
            let event = black_box(event(data));
            if let (Some(id), Some(name), Some(data)) = (event.id, event.event, event.data) {
                let written = write!(naive, "id: {id}\nevent: {name}\n");
                assert!(
                    written.is_ok() && !id.contains(['\r', '\n', '\0']) && !name.contains(['\r', '\n', '\0'])
                );
                for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
                    assert!(writeln!(naive, "data: {line}").is_ok());
                }
                naive.push('\n');
            }
            black_box(&naive);
        }),
        Box::new(|| {
            wire.clear();
            assert_eq!(black_box(event(data)).encode_to(&mut wire), Ok(()));
            black_box(&wire);
        }),
    ];
    print(name, event(data).encoded_len(), &race(&mut contestants));
}

/// Reads one event in one piece.
fn decode(name: &str, data: &str) {
    let mut wire = Vec::new();
    assert_eq!(event(data).encode_to(&mut wire), Ok(()));
    let mut decoder = Decoder::new(Limits::default());
    let mut pieces = futures_stream(&wire);
    let mut contestants: [Box<dyn FnMut() + '_>; 2] = [
        Box::new(|| assert!(matches!(black_box(&mut pieces)(), Some(len) if len == data.len()))),
        Box::new(|| match decoder.decode(black_box(&wire)) {
            Ok((n, Some(Event::Message { data: got, .. }))) => {
                assert_eq!((n, got.len()), (wire.len(), data.len()));
            }
            other => panic!("{other:?}"),
        }),
    ];
    print(name, wire.len(), &race(&mut contestants));
}

/// Reads the same piece repeatedly through one stream.
fn futures_stream(wire: &[u8]) -> impl FnMut() -> Option<usize> + '_ {
    let mut events = stream::repeat_with(move || Ok::<_, Infallible>(wire)).eventsource();
    move || events.next().now_or_never()??.ok().map(|event| event.data.len())
}

fn print(name: &str, bytes: usize, best: &[f64]) {
    print!("{name:<23} {bytes:>5} ");
    for ns in best {
        print!(" {ns:>9.1} ns {:>5.2} GB/s", bytes as f64 / ns);
    }
    println!("  {:>5.1}x", best[0] / best[1]);
}

/// Returns the nanoseconds of one call: the best of many interleaved samples of 200 calls.
fn race(contestants: &mut [Box<dyn FnMut() + '_>; 2]) -> [f64; 2] {
    race_of(contestants, 200)
}

fn race_of(contestants: &mut [Box<dyn FnMut() + '_>; 2], calls: u32) -> [f64; 2] {
    const ROUNDS: usize = 100;
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (contestant, best) in contestants.iter_mut().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..calls {
                contestant();
            }
            *best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
        }
    }
    best
}
