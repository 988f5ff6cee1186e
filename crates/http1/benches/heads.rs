//! Heads per second, beside `httparse` in the same run.
//!
//! `cargo bench -p tidewire-http1 --all-features --bench heads [-- FILTER]`
//!
//! `head` is `RequestHead::parse`, `connection` a new connection and its `decode`, `owned` a head that keeps its bytes. Each column says
//! nanoseconds, bytes per nanosecond, and how many times httparse's throughput that is.
//!
//! Rounds are interleaved: each takes one sample of every contestant in turn, so that a busy machine slows all of them
//! alike. The figure is the best sample: noise only ever adds. Compare ratios within one run, never times of two runs.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;
use tidewire_http1::{Connection, Event, Fields, Limits, Method, RequestHead, ResponseHead, Server};

mod requests;

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    println!(
        "{:<22} {:>6}  {:>22} {:>22} {:>22} {:>22}",
        "request", "bytes", "httparse", "head", "connection", "owned"
    );
    for (name, bytes) in requests::all() {
        if name.contains(&filter) {
            row(name, &bytes);
        }
    }
    if "response".contains(&filter) {
        response(&requests::response());
    }
}

/// One request, all contestants.
fn row(name: &str, request: &[u8]) {
    let (limits, mut fields) = (Limits::new(), Fields::new());
    let mut fields_b = Fields::new();
    #[cfg(feature = "bytes")]
    let (mut fields_c, shared) = (Fields::new(), bytes::Bytes::copy_from_slice(request));
    let mut contestants: Vec<Box<dyn FnMut() + '_>> = vec![
        Box::new(|| {
            let mut headers = [MaybeUninit::<httparse::Header<'_>>::uninit(); 64];
            let mut parsed = httparse::Request::new(&mut []);
            let status = parsed.parse_with_uninit_headers(black_box(request), &mut headers);
            assert!(matches!(status, Ok(httparse::Status::Complete(_))));
            black_box(&parsed);
        }),
        Box::new(|| {
            let parsed = RequestHead::parse(black_box(request), &limits, &mut fields);
            assert!(matches!(parsed, Ok(Some(_))));
            black_box(&parsed);
        }),
        Box::new(|| {
            let mut connection = Connection::<Server>::new(limits);
            let event = connection.decode(black_box(request), &mut fields_b);
            assert!(matches!(event, Ok((_, Some(Event::Request(_))))));
            black_box(&event);
        }),
        #[cfg(feature = "bytes")]
        Box::new(|| {
            let parsed = RequestHead::parse(black_box(&shared), &limits, &mut fields_c);
            let Ok(Some((_, head))) = parsed else { panic!("a bad request") };
            black_box(head.to_owned_head(shared.clone()));
        }),
    ];
    print(name, request.len(), &race(&mut contestants));
}

/// One response; the last two columns are of requests alone.
fn response(bytes: &[u8]) {
    let (limits, mut fields) = (Limits::new(), Fields::new());
    let mut contestants: Vec<Box<dyn FnMut() + '_>> = vec![
        Box::new(|| {
            let mut headers = [MaybeUninit::<httparse::Header<'_>>::uninit(); 64];
            let mut parsed = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            let status =
                config.parse_response_with_uninit_headers(&mut parsed, black_box(bytes), &mut headers);
            assert!(matches!(status, Ok(httparse::Status::Complete(_))));
            black_box(&parsed);
        }),
        Box::new(|| {
            let parsed = ResponseHead::parse(black_box(bytes), Method::Get, &limits, &mut fields);
            assert!(matches!(parsed, Ok(Some(_))));
            black_box(&parsed);
        }),
    ];
    print("response", bytes.len(), &race(&mut contestants));
}

fn print(name: &str, bytes: usize, best: &[f64]) {
    print!("{name:<22} {bytes:>6} ");
    for ns in best {
        print!(" {ns:>7.1} ns {:>5.2} {:>4.2}x", bytes as f64 / ns, best[0] / ns);
    }
    println!();
}

/// Nanoseconds a call, the best of many interleaved samples.
fn race(contestants: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    const ROUNDS: usize = 120;
    const CALLS: u32 = 2000;
    let mut best = vec![f64::MAX; contestants.len()];
    for _ in 0..ROUNDS {
        for (contestant, best) in contestants.iter_mut().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..CALLS {
                contestant();
            }
            *best = best.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
        }
    }
    best
}
