//! The time to parse a head, compared with other parsers in the same run.
//!
//! `cargo bench -p tidewire-http1 --all-features --bench heads [-- FILTER]`
//!
//! | column | what is timed |
//! |---|---|
//! | httparse | its parser, into uninitialised headers |
//! | thhp | a parser that works like picohttpparser: SSE4.2 range compare, 16 bytes a step |
//! | head | `RequestHead::parse` |
//! | connection | a new connection, and its `decode` |
//! | exchange | on one connection: the head, an empty 200, the next exchange |
//! | httparse, kept | httparse, and what a server does to keep a head: store offsets, and a reference to the bytes |
//! | owned | `RequestHead::parse`, and an `OwnedRequestHead` with a reference to the bytes |
//!
//! Each row shows the nanoseconds, and the throughput as a multiple of httparse's.
//!
//! Each round takes one sample of every contestant, so that a busy machine slows all of them alike.
//! The result is the best sample, because noise only adds time. Compare ratios within one run, and
//! never the times of two runs.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;
use tidewire_http1::{
    BodyLength, Connection, Event, Fields, Limits, Method, RequestHead, Response, ResponseHead, Server,
};

mod requests;

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for (name, bytes) in requests::all() {
        if name.contains(&filter) {
            request(name, &bytes);
        }
    }
    if "response".contains(&filter) {
        response(&requests::response());
    }
}

/// A name, and the code to measure.
type Contestant<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// One request, all contestants.
fn request(name: &str, request: &[u8]) {
    let limits = Limits::DEFAULT;
    let (mut fields_a, mut fields_b, mut fields_c) = (Fields::new(), Fields::new(), Fields::new());
    let (mut connection, mut out) = (Connection::<Server>::new(limits), Vec::new());
    #[cfg(feature = "bytes")]
    let (mut fields_d, shared) = (Fields::new(), bytes::Bytes::copy_from_slice(request));
    let mut thhp_fields = Vec::with_capacity(64);
    #[cfg_attr(not(feature = "bytes"), allow(unused_mut))]
    let mut contestants: Vec<Contestant<'_>> = vec![
        ("httparse", Box::new(|| httparse_request(request, |parsed| _ = black_box(parsed)))),
        (
            "thhp",
            Box::new(|| {
                thhp_fields.clear();
                let parsed = thhp::Request::parse(black_box(request), &mut thhp_fields);
                assert!(matches!(parsed, Ok(thhp::Complete(_))));
                black_box(&parsed);
            }),
        ),
        (
            "head",
            Box::new(|| {
                let parsed = RequestHead::parse(black_box(request), &limits, &mut fields_a);
                assert!(matches!(parsed, Ok(Some(_))));
                black_box(&parsed);
            }),
        ),
        (
            "connection",
            Box::new(|| {
                let mut connection = Connection::<Server>::new(limits);
                let event = connection.decode(black_box(request), &mut fields_b);
                assert!(matches!(event, Ok((_, Some(Event::Request(_))))));
                black_box(&event);
            }),
        ),
        (
            "exchange",
            Box::new(|| {
                let event = connection.decode(black_box(request), &mut fields_c);
                assert!(matches!(event, Ok((_, Some(Event::Request(_))))));
                black_box(&event);
                out.clear();
                let sent = connection.send_head(&Response::new(200), BodyLength::Empty, &mut out);
                assert!(sent.is_ok() && connection.next_exchange().is_ok());
                black_box(&out);
            }),
        ),
    ];
    #[cfg(feature = "bytes")]
    contestants.extend([
        (
            "httparse, kept",
            Box::new(|| {
                httparse_request(&shared, |parsed| {
                    let mut kept = [[(0_u16, 0_u16); 2]; 64];
                    let span = |part: &[u8]| {
                        let start = part.as_ptr() as usize - shared.as_ptr() as usize;
                        (start as u16, (start + part.len()) as u16)
                    };
                    for (place, field) in kept.iter_mut().zip(parsed.headers.iter()) {
                        *place = [span(field.name.as_bytes()), span(field.value)];
                    }
                    black_box(&kept);
                    black_box(&shared.clone());
                });
            }) as Box<dyn FnMut() + '_>,
        ),
        (
            "owned",
            Box::new(|| {
                let parsed = RequestHead::parse(black_box(&shared), &limits, &mut fields_d);
                let Ok(Some((_, head))) = parsed else { panic!("a bad request") };
                let owned = head.to_owned_head(shared.clone());
                black_box(&owned);
            }),
        ),
    ]);
    race(name, request.len(), contestants);
}

fn httparse_request(request: &[u8], then: impl FnOnce(&httparse::Request<'_, '_>)) {
    let mut headers = [MaybeUninit::<httparse::Header<'_>>::uninit(); 64];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(black_box(request), &mut headers);
    assert!(matches!(status, Ok(httparse::Status::Complete(_))));
    then(&parsed);
}

/// One response, to a GET.
fn response(bytes: &[u8]) {
    let (limits, mut fields) = (Limits::DEFAULT, Fields::new());
    let mut thhp_fields = Vec::with_capacity(64);
    let contestants: Vec<Contestant<'_>> = vec![
        (
            "httparse",
            Box::new(|| {
                let mut headers = [MaybeUninit::<httparse::Header<'_>>::uninit(); 64];
                let mut parsed = httparse::Response::new(&mut []);
                let config = httparse::ParserConfig::default();
                let status =
                    config.parse_response_with_uninit_headers(&mut parsed, black_box(bytes), &mut headers);
                assert!(matches!(status, Ok(httparse::Status::Complete(_))));
                black_box(&parsed);
            }),
        ),
        (
            "thhp",
            Box::new(|| {
                thhp_fields.clear();
                let parsed = thhp::Response::parse(black_box(bytes), &mut thhp_fields);
                assert!(matches!(parsed, Ok(thhp::Complete(_))));
                black_box(&parsed);
            }),
        ),
        (
            "head",
            Box::new(|| {
                let parsed = ResponseHead::parse(black_box(bytes), Method::Get, &limits, &mut fields);
                assert!(matches!(parsed, Ok(Some(_))));
                black_box(&parsed);
            }),
        ),
    ];
    race("response", bytes.len(), contestants);
}

/// Nanoseconds a call, the best of many interleaved samples, against the first contestant.
fn race(name: &str, bytes: usize, mut contestants: Vec<Contestant<'_>>) {
    const ROUNDS: usize = 200;
    const CALLS: u32 = 2000;
    let mut best = vec![f64::MAX; contestants.len()];
    for _ in 0..ROUNDS {
        for ((_, contestant), best) in contestants.iter_mut().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..CALLS {
                contestant();
            }
            *best = best.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
        }
    }
    println!("{name}, {bytes} bytes");
    for ((contestant, _), ns) in contestants.iter().zip(&best) {
        println!("  {contestant:<16} {ns:>7.1} ns  {:>5.2}x", best[0] / ns);
    }
}
