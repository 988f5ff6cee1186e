//! A script of calls to a connected client and server: messages arrive whole and in order, a
//! refused call writes nothing, and after both closes both ends are closed.

use std::collections::VecDeque;
use tidewire_ws::{Client, Connection, EncodeError, EncodeErrorKind, Event, Limits, Role, Server};

struct End<R> {
    connection: Connection<R>,
    /// Bytes on the way to the other end.
    wire: Vec<u8>,
    /// Sent and not yet received: the messages, and the fragments of the unfinished message.
    sent: VecDeque<Vec<u8>>,
    unfinished: Option<Vec<u8>>,
}

pub fn run(data: &[u8]) {
    let (mut client, mut server) = (End::<Client>::new(), End::<Server>::new());
    for step in data.chunks_exact(2) {
        let [op, arg] = [step[0], step[1]];
        match (op & 0x7f, op >> 7) {
            (0..60, 0) => client.send(op, arg),
            (0..60, _) => server.send(op, arg),
            (_, 0) => pass(&mut client, &mut server, usize::from(arg)),
            (_, _) => pass(&mut server, &mut client, usize::from(arg)),
        }
    }
    client.end();
    server.end();
    for _ in 0..3 {
        pass(&mut client, &mut server, usize::MAX);
        pass(&mut server, &mut client, usize::MAX);
    }
    assert!(client.is_closed() && server.is_closed());
}

/// What one end sends, with one signature for both roles.
trait Send {
    fn send(&mut self, what: Sent<'_>, key: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError>;
    fn replies(&mut self, out: &mut Vec<u8>);
}

enum Sent<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Fragment(&'a [u8], bool),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(Option<u16>, &'a str),
}

impl Send for Connection<Server> {
    fn send(&mut self, what: Sent<'_>, _: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match what {
            Sent::Text(text) => self.send_text(text, out),
            Sent::Binary(data) => self.send_binary(data, out),
            Sent::Fragment(data, last) => self.send_binary_fragment(data, last, out),
            Sent::Ping(payload) => self.send_ping(payload, out),
            Sent::Pong(payload) => self.send_pong(payload, out),
            Sent::Close(code, reason) => self.send_close(code, reason, out),
        }
    }

    fn replies(&mut self, out: &mut Vec<u8>) {
        self.take_output(out);
    }
}

impl Send for Connection<Client> {
    fn send(&mut self, what: Sent<'_>, key: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match what {
            Sent::Text(text) => self.send_text(text, key, out),
            Sent::Binary(data) => self.send_binary(data, key, out),
            Sent::Fragment(data, last) => self.send_binary_fragment(data, last, key, out),
            Sent::Ping(payload) => self.send_ping(payload, key, out),
            Sent::Pong(payload) => self.send_pong(payload, key, out),
            Sent::Close(code, reason) => self.send_close(code, reason, key, out),
        }
    }

    fn replies(&mut self, out: &mut Vec<u8>) {
        self.take_output(|| [3; 4], out);
    }
}

impl<R: Role> End<R>
where
    Connection<R>: Send,
{
    fn new() -> Self {
        let connection = Connection::new(Limits::DEFAULT);
        Self { connection, wire: Vec::new(), sent: VecDeque::new(), unfinished: None }
    }

    fn send(&mut self, op: u8, arg: u8) {
        let before = self.wire.len();
        let key = [arg, op, 1, 2];
        let payload = vec![b'a' + arg % 26; usize::from(arg) * usize::from(op % 4)];
        let short = &payload[..payload.len().min(125)];
        let last = arg.is_multiple_of(3);
        let what = match op & 7 {
            0 => Sent::Binary(&payload),
            1 => Sent::Text(core::str::from_utf8(&payload).expect("letters")),
            2..=4 => Sent::Fragment(&payload, last),
            5 => Sent::Ping(short),
            6 => Sent::Pong(short),
            _ if arg < 4 => Sent::Close(Some(4000), "early"),
            _ => Sent::Close(Some(u16::from(arg)), ""),
        };
        match self.connection.send(what, key, &mut self.wire) {
            Ok(()) => {
                assert!(self.wire.len() > before);
                match op & 7 {
                    0 | 1 => self.sent.push_back(payload),
                    2..=4 => {
                        let mut all = self.unfinished.take().unwrap_or_default();
                        all.extend(payload);
                        if last { self.sent.push_back(all) } else { self.unfinished = Some(all) }
                    }
                    _ => {}
                }
            }
            Err(error) => {
                assert_eq!(self.wire.len(), before, "a refused call wrote something");
                if error.kind() == EncodeErrorKind::MessageUnfinished {
                    assert!(self.unfinished.is_some());
                }
            }
        }
    }

    /// Closes, if nobody has.
    fn end(&mut self) {
        if self.connection.is_open() {
            let close = Sent::Close(Some(1000), "end");
            self.connection.send(close, [9; 4], &mut self.wire).expect("it is open");
        }
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed() && self.connection.error().is_none()
    }
}

/// Passes bytes from one end to the other.
fn pass<F, T: Role>(from: &mut End<F>, to: &mut End<T>, most: usize)
where
    Connection<T>: Send,
{
    let n = from.wire.len().min(most);
    let mut input: Vec<u8> = from.wire[..n].to_vec();
    let mut at = 0;
    loop {
        let (consumed, event) = to.connection.decode(&mut input[at..]).expect("both keep the rules");
        at += consumed;
        let message = match event {
            None => break,
            Some(Event::Text(text)) => Some(text.as_bytes().to_vec()),
            Some(Event::Binary(data)) => Some(data.to_vec()),
            Some(_) => None,
        };
        if let Some(message) = message {
            assert_eq!(Some(message), from.sent.pop_front());
        }
        to.connection.replies(&mut to.wire);
    }
    from.wire.drain(..at);
}
