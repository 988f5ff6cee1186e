//! A script of calls to a connected client and server: messages arrive whole and in order, a
//! refused call writes nothing, and after both closes both ends are closed.

use std::collections::VecDeque;
use tidewire_ws::{Connection, EncodeError, Event, Limits, Role};

struct End {
    connection: Connection,
    /// Bytes on the way to the other end.
    wire: Vec<u8>,
    /// Sent and not yet received: the messages, and the fragments of the unfinished message.
    sent: VecDeque<Vec<u8>>,
    unfinished: Option<Vec<u8>>,
}

pub fn run(data: &[u8]) {
    let end = |role| End {
        connection: Connection::new(role, Limits::DEFAULT),
        wire: Vec::new(),
        sent: VecDeque::new(),
        unfinished: None,
    };
    let mut ends = [end(Role::Client), end(Role::Server)];
    for step in data.chunks_exact(2) {
        let [op, arg] = [step[0], step[1]];
        let (from, to) = (usize::from(op >> 7), 1 - usize::from(op >> 7));
        match op & 0x7f {
            0..60 => ends[from].send(op, arg),
            _ => pass(&mut ends, from, to, usize::from(arg)),
        }
    }
    for end in &mut ends {
        if end.connection.is_open() {
            end.connection.send_close(Some(1000), "end", [9; 4], &mut end.wire).expect("it is open");
        }
    }
    for _ in 0..3 {
        pass(&mut ends, 0, 1, usize::MAX);
        pass(&mut ends, 1, 0, usize::MAX);
    }
    assert!(ends.iter().all(|end| end.connection.is_closed() && end.connection.error().is_none()));
}

impl End {
    fn send(&mut self, op: u8, arg: u8) {
        let before = self.wire.len();
        let key = [arg, op, 1, 2];
        let payload = vec![b'a' + arg % 26; usize::from(arg) * usize::from(op % 4)];
        let out = &mut self.wire;
        let result = match op & 7 {
            0 => self.connection.send_binary(&payload, key, out).map(|()| self.sent.push_back(payload)),
            1 => {
                let text = String::from_utf8(payload).expect("letters");
                self.connection.send_text(&text, key, out).map(|()| self.sent.push_back(text.into()))
            }
            2..=4 => {
                let last = arg.is_multiple_of(3);
                self.connection.send_binary_fragment(&payload, last, key, out).map(|()| {
                    let mut all = self.unfinished.take().unwrap_or_default();
                    all.extend(payload);
                    if last { self.sent.push_back(all) } else { self.unfinished = Some(all) }
                })
            }
            5 => self.connection.send_ping(&payload[..payload.len().min(125)], key, out),
            6 => self.connection.send_pong(&payload[..payload.len().min(125)], key, out),
            _ if arg < 4 => self.connection.send_close(Some(4000), "early", key, out),
            _ => self.connection.send_close(Some(u16::from(arg)), "", key, out),
        };
        match result {
            Ok(()) => assert!(self.wire.len() > before),
            Err(error) => {
                assert_eq!(self.wire.len(), before, "a refused call wrote something");
                if error == EncodeError::MessageUnfinished {
                    assert!(self.unfinished.is_some());
                }
            }
        }
    }
}

/// Passes bytes from one end to the other.
fn pass(ends: &mut [End; 2], from: usize, to: usize, most: usize) {
    let n = ends[from].wire.len().min(most);
    let mut input: Vec<u8> = ends[from].wire[..n].to_vec();
    let mut at = 0;
    loop {
        let (consumed, event) = ends[to].connection.decode(&mut input[at..]).expect("both keep the rules");
        at += consumed;
        let message = match event {
            None => break,
            Some(Event::Text(text)) => Some(text.as_bytes().to_vec()),
            Some(Event::Binary(data)) => Some(data.to_vec()),
            Some(_) => None,
        };
        if let Some(message) = message {
            assert_eq!(Some(message), ends[from].sent.pop_front());
        }
        let End { connection, wire, .. } = &mut ends[to];
        connection.take_output_masked(|| [3; 4], wire);
    }
    ends[from].wire.drain(..at);
}
