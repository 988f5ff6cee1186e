//! What a peer sends, how to decode it, and how long that takes.

use std::time::Duration;

use tidewire_testkit::linear::busy_time;
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::Opcode;
use tidewire_ws::handshake::server::{self, Accept, Options, Refusal};
use tidewire_ws::{Connection, Error, ErrorKind, Event, Limits, Role, Server};

pub(crate) const SHARED: Params = Params {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};
pub(crate) const ALWAYS: Config = Config::DEFAULT.with_threshold(0);

pub(crate) fn deflating<R: Role>() -> Connection<R> {
    Connection::new(Limits::DEFAULT).with_deflate(SHARED, &ALWAYS)
}

/// Asserts that a server refuses `wire` with this error and closes with this code.
pub(crate) fn refused(wire: &[u8], kind: ErrorKind, code: u16) {
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let error = feed(&mut server, wire).unwrap_err();
    assert_eq!(
        (error.kind(), error.close_code()),
        (kind, code),
        "{}",
        wire[..wire.len().min(20)].escape_ascii()
    );
    let out = output(&mut server);
    assert_eq!((out[0], &out[2..4]), (0x88, &code.to_be_bytes()[..]));
    assert!(server.is_closed());
}

/// Decodes a copy of `wire` and returns its events. Only the events of text messages have content.
pub(crate) fn feed<R: Role>(connection: &mut Connection<R>, wire: &[u8]) -> Result<Vec<String>, Error> {
    let mut wire = wire.to_vec();
    let mut events = Vec::new();
    let mut at = 0;
    loop {
        let (n, event) = connection.decode(&mut wire[at..])?;
        at += n;
        match event {
            None => return Ok(events),
            Some(Event::Text(text)) => events.push(format!("text {text}")),
            // Without content: tests that count memory have many of these.
            Some(_) => events.push(String::new()),
        }
    }
}

pub(crate) fn feed_in_place<R: Role>(connection: &mut Connection<R>, wire: &mut [u8]) -> Result<(), Error> {
    let mut at = 0;
    while at < wire.len() {
        let (n, _) = connection.decode(&mut wire[at..])?;
        at += n;
    }
    Ok(())
}

/// Decodes the one client's message in `wire`, in reads of a kilobyte.
pub(crate) fn feed_slowly(wire: &mut [u8]) -> Vec<u8> {
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let mut at = 0;
    loop {
        let end = wire.len().min(at + 1000);
        let (n, event) = server.decode(&mut wire[at..end]).unwrap();
        at += n;
        match event {
            Some(Event::Binary(data)) => return data.to_vec(),
            Some(Event::Text(text)) => return text.into(),
            other => assert_eq!((other, n > 0), (None, true)),
        }
    }
}

/// Decodes the one client's message in `wire`.
pub(crate) fn receive(wire: &[u8]) -> Vec<u8> {
    let mut wire = wire.to_vec();
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let len = wire.len();
    match server.decode(&mut wire) {
        Ok((n, Some(Event::Binary(data)))) if n == len => data.to_vec(),
        Ok((n, Some(Event::Text(text)))) if n == len => text.into(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn output(server: &mut Connection<Server>) -> Vec<u8> {
    let mut out = Vec::new();
    server.take_output(&mut out);
    out
}

/// A frame of a client, masked with zeros.
pub(crate) fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode as u8 | if fin { 0x80 } else { 0 }];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0xfe);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A message of `len` bytes in fragments of `each`.
pub(crate) fn fragments(opcode: Opcode, len: usize, each: usize) -> Vec<u8> {
    let mut wire = Vec::with_capacity(len / each * (each + 14));
    for at in (0..len).step_by(each) {
        let opcode = if at == 0 { opcode } else { Opcode::Continuation };
        wire.extend(frame(opcode, at + each >= len, &vec![b'a'; each]));
    }
    wire
}

pub(crate) type Field<'a> = (&'a str, &'a str);

pub(crate) fn request() -> Vec<Field<'static>> {
    vec![
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ]
}

/// A valid request in which this field replaces the one of the same name.
pub(crate) fn with<'a>(name: &'a str, value: &'a str) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'_>> = request().into_iter().filter(|(n, _)| *n != name).collect();
    fields.push((name, value));
    fields
}

pub(crate) fn handshake<'o>(fields: &[Field<'_>], options: &Options<'o>) -> Result<Accept<'o>, Refusal> {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    server::accept(b"GET", (1, 1), fields, options)
}

/// Asserts that `large`, which is `times` as much work as `small`, takes linear time. Quadratic
/// time would give a ratio of `times`. The best of ten rounds must stay below half of that. A busy
/// machine and its caches only add time.
pub(crate) fn assert_linear(times: f64, mut small: impl FnMut(), mut large: impl FnMut()) {
    let mut ratio = f64::INFINITY;
    for _ in 0..10 {
        ratio = ratio.min(best(&mut large) / best(&mut small) / times);
        if ratio < times / 2.0 {
            return;
        }
    }
    panic!("{ratio:.1} times as long as linear");
}

/// Returns the seconds of one run on this thread: the best of three samples of at least 2 ms.
pub(crate) fn best(run: &mut impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let (start, mut runs) = (busy_time(), 0);
        while busy_time() - start < Duration::from_millis(2) {
            run();
            runs += 1;
        }
        best = best.min((busy_time() - start).as_secs_f64() / f64::from(runs));
    }
    best
}
