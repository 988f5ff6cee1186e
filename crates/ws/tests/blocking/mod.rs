//! Blocking sockets: against tungstenite, over TLS, and over streams that are slow or not ready.

mod handshake;
mod stream;

use std::io::{self, ErrorKind as IoKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use stream::Slow;
use tidewire_testkit::deadline::Deadline;
use tidewire_ws::blocking::{self, Error, WebSocket};
use tidewire_ws::{Client, Connection, EncodeErrorKind, ErrorKind, Limits, Message, PreparedMessage, Server};
use tokio_tungstenite::tungstenite;

/// Two connected sockets. A read that waits for too long fails.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    Deadline::soon().limit(&client);
    (client, accepted(&listener))
}

/// The next connection. A read that waits for too long fails.
fn accepted(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    Deadline::soon().limit(&stream);
    stream
}

/// Repeats a call until it does not ask for that.
fn retry<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Deadline::soon();
    loop {
        match call() {
            Err(error) if error.can_retry() => deadline.check("progress", || format!("{error}")),
            done => return done,
        }
    }
}

fn next<R: tidewire_ws::Role>(socket: &mut WebSocket<Slow, R>) -> Result<Option<Message>, Error> {
    retry(|| socket.next().transpose())
}

const SIZES: [usize; 6] = [0, 10, 126, 5000, 70_000, 1 << 20];

#[test]
fn a_server_works_with_a_client_of_tungstenite() {
    let (client, server) = pair();
    let serve = std::thread::spawn(move || {
        let mut socket = blocking::accept(server).unwrap();
        while let Some(message) = socket.next() {
            let message = message.unwrap();
            if message.is_data() {
                socket.queue(message).unwrap();
            }
        }
        assert!(socket.connection().is_closed());
    });
    let (mut client, _) = tungstenite::client("ws://localhost/", client).unwrap();
    for len in SIZES {
        let message = tungstenite::Message::binary(vec![7; len]);
        client.send(message.clone()).unwrap();
        assert!(client.read().unwrap() == message, "{len}");
    }
    for text in ["héllo", ""] {
        client.send(tungstenite::Message::text(text)).unwrap();
        assert_eq!(client.read().unwrap(), tungstenite::Message::text(text));
    }
    client.send(tungstenite::Message::Ping("a".into())).unwrap();
    assert_eq!(client.read().unwrap(), tungstenite::Message::Pong("a".into()));
    client.close(None).unwrap();
    while client.read().is_ok() {}
    serve.join().unwrap();
}

#[test]
fn a_client_works_with_a_server_of_tungstenite() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serve = std::thread::spawn(move || {
        let mut server = tungstenite::accept(accepted(&listener)).unwrap();
        loop {
            match server.read() {
                Ok(message) if message.is_text() || message.is_binary() => server.send(message).unwrap(),
                Ok(_) => {}
                Err(error) => {
                    assert!(matches!(error, tungstenite::Error::ConnectionClosed), "{error}");
                    break;
                }
            }
        }
    });
    let mut socket = blocking::connect(&url).unwrap();
    for len in SIZES {
        let message = Message::binary(vec![7; len]);
        socket.send(message.clone()).unwrap();
        assert!(socket.next().unwrap().unwrap() == message, "{len}");
    }
    socket.send(Message::Ping("a".into())).unwrap();
    assert_eq!(socket.next().unwrap().unwrap(), Message::Pong("a".into()));
    socket.close(Some(1000), "done").unwrap();
    assert!(matches!(socket.next(), Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(socket.next().is_none() && socket.next().is_none());
    let closed = socket.send("late".into());
    assert!(matches!(closed, Err(Error::Encode(error)) if error.kind() == EncodeErrorKind::Closing));
    serve.join().unwrap();
}

/// What a client sends, and the messages in it: also a fragmented one, with a ping inside.
fn wire() -> (Vec<u8>, Vec<Message>) {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut wire = Vec::new();
    let key = [1, 2, 3, 4];
    client.send_text("Hello", key, &mut wire).unwrap();
    wire.extend_from_slice(b"\x01\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\x81\0\0\0\0c");
    client.send_binary(&[7; 300], key, &mut wire).unwrap();
    client.send_close(Some(1000), "", key, &mut wire).unwrap();
    let messages = vec![
        "Hello".into(),
        Message::Ping("p".into()),
        "abc".into(),
        Message::binary(vec![7; 300]),
        Message::Close { code: Some(1000), reason: "".into() },
    ];
    (wire, messages)
}

/// Reads and writes of one byte, and a stream that is not ready at every other call.
#[test]
fn nothing_is_lost_on_a_slow_stream() {
    let (wire, expected) = wire();
    for step in [1, 2, 7, usize::MAX] {
        for not_ready in [None, Some(IoKind::WouldBlock), Some(IoKind::TimedOut), Some(IoKind::Interrupted)] {
            let case = format!("{step} {not_ready:?}");
            let mut server = WebSocket::server(Slow::new(&wire, step, not_ready), Limits::DEFAULT);
            let mut got = Vec::new();
            while let Some(message) = next(&mut server).unwrap() {
                if message.is_data() {
                    match server.send(message.clone()) {
                        Err(error) if error.can_retry() => retry(|| server.flush()).unwrap(),
                        sent => sent.unwrap(),
                    }
                }
                got.push(message);
            }
            assert_eq!(got, expected, "{case}");
            let answers =
                [&b"\x81\x05Hello\x8a\x01p\x81\x03abc\x82\x7e\x01\x2c"[..], &[7; 300], b"\x88\x02\x03\xe8"];
            assert_eq!(server.get_ref().written, answers.concat(), "{case}");

            // A client drains the stream until its end.
            let mut client =
                WebSocket::client(Slow::new(b"\x81\x02Hi\x88\0junk", step, not_ready), Limits::DEFAULT);
            assert_eq!(next(&mut client).unwrap().unwrap(), "Hi".into(), "{case}");
            let close = Message::Close { code: None, reason: "".into() };
            assert_eq!(next(&mut client).unwrap().unwrap(), close, "{case}");
            assert_eq!(next(&mut client).unwrap(), None, "{case}");
            assert_eq!(client.get_ref().written.len(), 6, "{case}");
        }
    }
}

/// A large binary message is read straight into its memory.
#[test]
fn nothing_of_a_large_message_is_lost_on_a_slow_stream() {
    let key = [9, 8, 7, 6];
    let data: Vec<u8> = (0..100_000_u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut wire = Vec::new();
    client.send_binary(&data, key, &mut wire).unwrap();
    client.send_text("between", key, &mut wire).unwrap();
    client.send_binary(&data, key, &mut wire).unwrap();
    for step in [100, 9999, usize::MAX] {
        for not_ready in [None, Some(IoKind::WouldBlock), Some(IoKind::Interrupted)] {
            let mut server = WebSocket::server(Slow::new(&wire, step, not_ready), Limits::DEFAULT);
            for expected in [Message::binary(data.clone()), "between".into(), Message::binary(data.clone())] {
                assert!(next(&mut server).unwrap().unwrap() == expected, "{step} {not_ready:?}");
            }
            assert!(next(&mut server).is_err());
        }
    }
    // The end of the stream, and its failure, inside the payload.
    for (at, not_ready) in [(50_000, IoKind::WouldBlock), (50_000, IoKind::Interrupted)] {
        let mut server = WebSocket::server(Slow::new(&wire[..at], 999, Some(not_ready)), Limits::DEFAULT);
        let error = next(&mut server).unwrap_err();
        assert!(
            matches!(error, Error::Protocol(error) if error.kind() == ErrorKind::UnexpectedEnd),
            "{error:?}"
        );
    }
    let mut server = WebSocket::server(Slow::new(&wire, 999, Some(IoKind::WouldBlock)), Limits::DEFAULT);
    while server.connection().unfinished_len() < 30_000 {
        assert!(server.next().unwrap().unwrap_err().can_retry());
    }
    server.get_mut().not_ready = Some(IoKind::ConnectionReset);
    assert!(matches!(server.next(), Some(Err(Error::Io(_)))) && server.next().is_none());
}

#[test]
fn an_error_of_the_peer_is_answered_with_a_close() {
    for (wire, kind, code) in [
        (&b"\x81\x02Hi"[..], ErrorKind::Unmasked, 1002_u16),
        (b"\x81\xfe\xff\xff\0\0\0\0", ErrorKind::MessageTooLong, 1009),
        (b"\x81\x81\0\0\0\0\xff", ErrorKind::InvalidUtf8, 1007),
    ] {
        for not_ready in [None, Some(IoKind::WouldBlock)] {
            let wire = [b"\x89\x80\0\0\0\0", wire].concat();
            let limits = Limits::DEFAULT.with_max_message(1000);
            let mut server = WebSocket::server(Slow::new(&wire, 1, not_ready), limits);
            assert_eq!(next(&mut server).unwrap().unwrap(), Message::Ping("".into()));
            let error = next(&mut server).unwrap_err();
            assert!(matches!(error, Error::Protocol(error) if error.kind() == kind), "{error:?}");
            assert_eq!(next(&mut server).unwrap(), None);
            let written = &server.get_ref().written;
            assert_eq!((&written[..3], &written[4..6]), (&b"\x8a\0\x88"[..], &code.to_be_bytes()[..]));
        }
    }
    // A client reads on until its server has closed, so that the close is not lost.
    let mut client = WebSocket::client(Slow::new(b"\x81\x81\0\0\0\0ajunk", 1, None), Limits::DEFAULT);
    assert!(matches!(client.next(), Some(Err(Error::Protocol(_)))));
    assert!(client.next().is_none());
    assert_eq!(client.get_mut().read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn an_end_without_a_close_is_an_error() {
    for wire in [&b""[..], b"\x81", b"\x81\x82\0\0\0\0H"] {
        let mut server = WebSocket::server(Slow::new(wire, 1, None), Limits::DEFAULT);
        let error = next(&mut server).unwrap_err();
        let kind = if wire.len() > 1 { ErrorKind::UnexpectedEnd } else { ErrorKind::NoClose };
        assert!(matches!(error, Error::Protocol(error) if error.kind() == kind), "{error:?}");
        assert!(server.next().is_none());
    }
    let pieces = Connection::<Server>::new(Limits::DEFAULT).in_pieces();
    let mut server = WebSocket::new(Slow::new(b"\x81\x80\0\0\0\0", 100, None), pieces);
    assert!(matches!(server.next(), Some(Err(Error::InPieces))) && server.next().is_none());
}

/// After a part of a frame, nothing else may be written. A message that arrived is still returned.
#[test]
fn a_broken_stream_stays_broken() {
    let mut server = WebSocket::server(Slow::new(b"\x81\x81\0\0\0\0a", 100, None), Limits::DEFAULT);
    assert_eq!(server.next().unwrap().unwrap(), "a".into());
    server.get_mut().not_ready = Some(IoKind::BrokenPipe);
    for _ in 0..2 {
        let error = server.send("Hello".into()).unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == IoKind::BrokenPipe), "{error:?}");
        assert_eq!(server.unwritten(), 0);
    }
    assert!(server.queue("Hello".into()).is_err() && server.close(None, "").is_err());
    assert!(matches!(server.next(), Some(Err(Error::Io(_)))) && server.next().is_none());
    assert_eq!(server.get_ref().written, b"");
}

#[test]
fn a_time_out_inside_a_frame_loses_nothing() {
    let (mut client, server) = pair();
    server.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    for piece in [&b"\x81"[..], b"\x85\0\0", b"\0\0He", b"llo"] {
        assert!(server.next().unwrap().unwrap_err().can_retry());
        // Sending still works.
        server.send("tick".into()).unwrap();
        client.write_all(piece).unwrap();
    }
    assert!(server.connection().unfinished_len() < 5);
    assert_eq!(retry(|| server.next().unwrap()).unwrap(), "Hello".into());
    let mut ticks = [0; 4 * 6];
    client.read_exact(&mut ticks).unwrap();
    assert_eq!(ticks[..], b"\x81\x04tick".repeat(4));
    server.close(Some(1000), "").unwrap();
    assert!(server.next().unwrap().unwrap_err().can_retry() && server.connection().awaiting_close());
}

/// A peer that sends and does not read.
#[test]
fn what_waits_for_a_peer_that_does_not_read_is_bounded() {
    let (mut client, server) = pair();
    client.write_all(b"\x81\x82\0\0\0\0Hi").unwrap();
    server.set_nonblocking(true).unwrap();
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(100_000);
    let message = Message::binary(vec![7; 30_000]);
    let mut queued = 0;
    loop {
        match server.send(message.clone()) {
            Ok(()) => queued += 1,
            Err(error) if error.can_retry() => queued += 1,
            Err(Error::Full) => break,
            Err(error) => panic!("{error:?}"),
        }
        assert!(server.unwritten() < 131_000);
    }
    let reader = std::thread::spawn(move || {
        let mut client = WebSocket::client(client, Limits::DEFAULT);
        let got = client.by_ref().take_while(|message| message.as_ref().unwrap().len() == 30_000).count();
        client.close(None, "").unwrap();
        got
    });
    retry(|| server.flush()).unwrap();
    retry(|| server.send("end".into())).unwrap();
    assert_eq!(retry(|| server.next().unwrap()).unwrap(), "Hi".into());
    assert_eq!(retry(|| server.next().unwrap()).unwrap(), Message::Close { code: None, reason: "".into() });
    assert!(retry(|| server.next().transpose()).unwrap().is_none());
    assert_eq!(reader.join().unwrap(), queued);
}

#[test]
fn a_full_queue_stops_the_reading() {
    let wire = b"\x89\x80\0\0\0\0\x81\x82\0\0\0\0Hi";
    let mut server = WebSocket::server(Slow::new(wire, 8, None), Limits::DEFAULT).with_write_limit(1000);
    server.get_mut().room = 10;
    assert!(server.send(Message::binary(vec![7; 2000])).unwrap_err().can_retry());
    assert_eq!(server.unwritten(), 1994);
    assert!(matches!(server.queue("a".into()), Err(Error::Full)));
    assert!(matches!(server.send_prepared(&PreparedMessage::text("a")), Err(Error::Full)));
    assert!(server.next().unwrap().unwrap_err().can_retry());
    // Control frames have some room of their own.
    server.queue(Message::Ping("p".into())).unwrap();
    server.get_mut().room = 1500;
    assert_eq!(server.next().unwrap().unwrap(), Message::Ping("".into()));
    assert_eq!(server.next().unwrap().unwrap(), "Hi".into());
    server.queue("a".into()).unwrap();
    server.get_mut().room = usize::MAX;
    server.flush().unwrap();
    assert_eq!(server.get_ref().written[2004..], *b"\x89\x01p\x8a\0\x81\x01a");
}

#[test]
fn a_queue_is_written_before_the_wait_and_when_it_is_long() {
    let mut server = WebSocket::server(Slow::new(b"", usize::MAX, None), Limits::DEFAULT);
    server.queue("a".into()).unwrap();
    server.queue_prepared(&PreparedMessage::text("b")).unwrap();
    assert_eq!((server.unwritten(), server.get_ref().written.len()), (6, 0));
    assert!(server.next().unwrap().is_err());
    assert_eq!(server.get_ref().written, b"\x81\x01a\x81\x01b");
    let mut server = WebSocket::server(Slow::new(b"", usize::MAX, None), Limits::DEFAULT);
    server.queue(Message::binary(vec![0; 70_000])).unwrap();
    server.send_prepared(&PreparedMessage::binary(&[0; 70_000])).unwrap();
    assert_eq!((server.unwritten(), server.get_ref().written.len()), (0, 2 * 70_010));
    // A queue that cannot be written is kept.
    let mut server = WebSocket::server(Slow::new(b"", 1, Some(IoKind::WouldBlock)), Limits::DEFAULT);
    server.queue(Message::binary(vec![0; 70_000])).unwrap();
    assert_eq!(server.unwritten(), 70_010);
}

#[test]
fn the_parts_of_a_socket_continue_elsewhere() {
    let wire = b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b\x81\x82\0\0\0\0c";
    let mut server = WebSocket::server(Slow::new(wire, usize::MAX, None), Limits::DEFAULT);
    assert_eq!(server.next().unwrap().unwrap(), "a".into());
    let parts = server.into_inner();
    assert_eq!((parts.unread.len(), parts.unwritten.len()), (14, 0));
    let stream = Slow::new(b"d", 1, None);
    let mut server = WebSocket::new(stream, parts.connection).with_read_ahead(parts.unread);
    assert_eq!(server.next().unwrap().unwrap(), "b".into());
    assert_eq!(server.next().unwrap().unwrap(), "cd".into());
}

/// A reset after both close frames is how some peers leave.
#[test]
fn a_reset_is_an_error_only_before_both_closes() {
    struct Reset(&'static [u8]);
    impl io::Read for Reset {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(IoKind::ConnectionReset.into()) } else { self.0.read(buffer) }
        }
    }
    impl io::Write for Reset {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut client = WebSocket::client(Reset(b"\x88\0"), Limits::DEFAULT);
    assert!(matches!(client.next(), Some(Ok(Message::Close { .. }))) && client.next().is_none());
    let mut client = WebSocket::client(Reset(b"\x81\x01a"), Limits::DEFAULT);
    assert_eq!(client.next().unwrap().unwrap(), "a".into());
    assert!(matches!(client.next(), Some(Err(Error::Io(_)))) && client.next().is_none());
}
