//! Dropping the future of a read at every await neither loses nor repeats a message.
#![cfg(all(feature = "tokio", feature = "deflate"))]
#![allow(clippy::unwrap_used)] // a test

use futures_util::FutureExt as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidewire_testkit::Rng;
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Client, Connection, Limits, Message, Role, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that is ready at every second call, and then transfers at most `step` bytes.
struct Stuttering {
    input: Vec<u8>,
    given: usize,
    output: Vec<u8>,
    step: usize,
    ready: bool,
}

impl Stuttering {
    fn is_ready(&mut self) -> bool {
        self.ready = !self.ready;
        self.ready
    }
}

impl AsyncRead for Stuttering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_ready() {
            return Poll::Pending;
        }
        let end = self.input.len().min(self.given + self.step.min(buf.remaining()));
        buf.put_slice(&self.input[self.given..end]);
        self.given = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stuttering {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_ready() {
            return Poll::Pending;
        }
        let n = data.len().min(self.step);
        self.output.extend_from_slice(&data[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls a fresh future once and drops it if it is pending, until one is ready.
macro_rules! dropped_at_every_await {
    ($pending:ident, $future:expr) => {
        loop {
            match $future.now_or_never() {
                Some(result) => break result,
                None => $pending += 1,
            }
        }
    };
}

#[test]
fn a_read_that_is_dropped_at_every_await_loses_nothing() {
    let params = Params {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let config = Config::DEFAULT.with_threshold(0).with_context_takeover(true);
    fn connection<R: Role>(deflate: Option<(Params, Config)>) -> Connection<R> {
        let connection = Connection::new(Limits::DEFAULT);
        match deflate {
            Some((params, config)) => connection.with_deflate(params, &config),
            None => connection,
        }
    }
    for deflate in [None, Some((params, config))] {
        for step in [1, 2, 7, 100, 5000] {
            let mut rng = Rng::new(step as u64);
            let (mut client, mut input, mut sent) = (connection::<Client>(deflate), Vec::new(), Vec::new());
            for i in 0..60u8 {
                let len = rng.below(700);
                let text = "tide ".repeat(len / 5);
                match i % 4 {
                    0 => client.send_text(&text, [i; 4], &mut input).unwrap(),
                    1 => client.send_ping(&[i; 20], [i; 4], &mut input).unwrap(),
                    2 => {
                        client.send_text_fragment(&text, false, [i; 4], &mut input).unwrap();
                        client.send_ping(&[i], [i; 4], &mut input).unwrap();
                        client.send_text_fragment(&text, true, [i; 4], &mut input).unwrap();
                    }
                    _ => client.send_binary(text.as_bytes(), [i; 4], &mut input).unwrap(),
                }
                match i % 4 {
                    0 => sent.push(Message::text(text)),
                    1 => sent.push(Message::Ping(vec![i; 20].into())),
                    2 => sent.extend([Message::Ping(vec![i].into()), Message::text(text.repeat(2))]),
                    _ => sent.push(Message::Binary(text.into())),
                }
            }
            client.send_close(Some(1000), "", [9; 4], &mut input).unwrap();
            sent.push(Message::Close { code: Some(1000), reason: "".into() });

            let io = Stuttering { input, given: 0, output: Vec::new(), step, ready: true };
            let mut server = WebSocket::new(io, connection::<Server>(deflate));
            let (mut got, mut pending) = (Vec::new(), 0);
            while let Some(message) = dropped_at_every_await!(pending, server.next()) {
                let message = message.unwrap();
                if message.is_data() {
                    // A message is taken by one future or by none. The queue is not full, so the
                    // first poll takes it.
                    server.queue(message.clone()).now_or_never().unwrap().unwrap();
                    dropped_at_every_await!(pending, server.flush()).unwrap();
                }
                got.push(message);
            }
            assert!(got == sent, "steps of {step}");
            assert!(pending >= 2, "{pending} futures were dropped");

            // The server has sent all its replies in order: an echo of each message, and pongs. It
            // may answer only the latest of several pings that came together (RFC 6455 §5.5.3).
            let mut output = server.get_ref().output.clone();
            let (mut back, mut at) = (Vec::new(), 0);
            while let (n, Some(message)) = client.decode_owned(&mut output[at..]).unwrap() {
                at += n;
                back.push(message);
            }
            let (pongs, echoes): (Vec<_>, Vec<_>) =
                back.into_iter().partition(|m| matches!(m, Message::Pong(_)));
            let (pings, sent): (Vec<_>, Vec<_>) =
                sent.into_iter().partition(|m| matches!(m, Message::Ping(_)));
            assert!(echoes == sent, "steps of {step}");
            let mut pings =
                pings.iter().map(|ping| if let Message::Ping(data) = ping { data } else { unreachable!() });
            let in_order =
                |pong: &Message| matches!(pong, Message::Pong(data) if pings.any(|ping| ping == data));
            assert!(pongs.iter().all(in_order) && pings.next().is_none(), "steps of {step}");
        }
    }
}
