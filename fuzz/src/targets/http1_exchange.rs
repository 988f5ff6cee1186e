//! A script of calls to a connected client and server: each end can read what the other sends, in
//! order, and a refused call writes no bytes.

use tidewire_http1::{
    BodyLength, Client, Connection, Event, FieldBlock, Fields, Limits, Request, Response, Server,
};

/// Both ends, and the bytes on the way.
struct Wire {
    client: Connection<Client>,
    server: Connection<Server>,
    up: Vec<u8>,
    down: Vec<u8>,
    fields: Fields,
    /// Content sent and received, in either direction.
    sent: u64,
    received: u64,
}

pub fn run(data: &[u8]) {
    // A script may send more interim responses than a client accepts by default.
    let mut patient = Limits::DEFAULT;
    patient.max_interim_responses = u8::MAX;
    let mut wire = Wire {
        client: Connection::new(patient),
        server: Connection::new(Limits::DEFAULT),
        up: Vec::new(),
        down: Vec::new(),
        fields: Fields::new(),
        sent: 0,
        received: 0,
    };
    for step in data.chunks_exact(2).take(usize::from(u8::MAX)) {
        wire.step(step[0], step[1]);
    }
    wire.pump(usize::MAX);
    assert!(wire.received <= wire.sent, "{} of {} bytes of content", wire.received, wire.sent);
}

impl Wire {
    fn step(&mut self, op: u8, arg: u8) {
        let before = (self.up.len(), self.down.len());
        let refused = match op % 12 {
            0 => self.request(arg).is_err(),
            1 => self
                .client
                .send_data(&vec![arg; usize::from(arg % 40)], &mut self.up)
                .map(|()| self.sent += u64::from(arg % 40))
                .is_err(),
            2 => self.client.send_end(&mut self.up).is_err(),
            3 => self.respond(arg).is_err(),
            4 => self
                .server
                .send_data(&vec![arg; usize::from(arg % 40)], &mut self.down)
                .map(|()| self.sent += u64::from(arg % 40))
                .is_err(),
            5 => self.server.send_end(&mut self.down).is_err(),
            6 => self.server.send_interim(&Response::new(100 + u16::from(arg % 4)), &mut self.down).is_err(),
            7 => {
                self.server.send_continue(&mut self.down);
                return;
            }
            8 => return self.pump(usize::from(arg)),
            9 => return self.pump(usize::MAX),
            10 => {
                let _ = self.client.next_exchange();
                return;
            }
            _ => {
                let _ = self.server.next_exchange();
                return;
            }
        };
        if refused {
            assert_eq!(before, (self.up.len(), self.down.len()), "a refused call wrote something");
        }
    }

    fn request(&mut self, arg: u8) -> Result<(), tidewire_http1::EncodeError> {
        let (method, target) = [
            ("GET", "/"),
            ("HEAD", "/a?b"),
            ("POST", "/"),
            ("CONNECT", "h:1"),
            ("OPTIONS", "*"),
            ("X", "http://h/"),
        ][usize::from(arg % 6)];
        let mut block = FieldBlock::new();
        if arg & 0x40 != 0 {
            block.push("Upgrade", "x")?;
        }
        if arg & 0x80 != 0 {
            block.push("Expect", "100-continue")?;
        }
        self.client.send_request(
            &Request::new(method, target, "h").with_fields(&[&block]),
            body(arg >> 3),
            &mut self.up,
        )
    }

    fn respond(&mut self, arg: u8) -> Result<(), tidewire_http1::EncodeError> {
        let status = [200, 204, 304, 404, 101, 205, 500, 299][usize::from(arg % 8)];
        let mut block = FieldBlock::new();
        if arg & 0x40 != 0 {
            block.push("Upgrade", "x")?;
        }
        if arg & 0x80 != 0 {
            block.push("Connection", "close")?;
        }
        self.server.send_head(&Response::new(status).with_fields(&[&block]), body(arg >> 3), &mut self.down)
    }

    /// Lets each end read at most `bytes` more. If `bytes` is even, an end stops after a head
    /// without a body: it may go on to the next exchange without `Event::End`.
    fn pump(&mut self, bytes: usize) {
        let skips_end = bytes.is_multiple_of(2);
        let part = bytes.min(self.up.len());
        let mut at = 0;
        loop {
            let (used, event) = self
                .server
                .decode(&self.up[at..part], &mut self.fields)
                .expect("what a client sent can be read");
            at += used;
            match event {
                Some(Event::Data(data)) => self.received += data.len() as u64,
                Some(Event::Response(_)) => panic!("a server got a response"),
                Some(Event::Request(head)) if skips_end && head.body().is_empty() => break,
                Some(_) => {}
                None => break,
            }
        }
        self.up.drain(..at);

        let part = bytes.min(self.down.len());
        let mut at = 0;
        loop {
            let (used, event) = self
                .client
                .decode(&self.down[at..part], &mut self.fields)
                .expect("what a server sent can be read");
            at += used;
            match event {
                Some(Event::Data(data)) => self.received += data.len() as u64,
                Some(Event::Request(_)) => panic!("a client got a request"),
                Some(Event::Response(head)) if skips_end && head.body().is_empty() => break,
                Some(_) => {}
                None => break,
            }
        }
        self.down.drain(..at);
    }
}

fn body(kind: u8) -> BodyLength {
    match kind % 4 {
        0 => BodyLength::Empty,
        1 => BodyLength::Length(u64::from(kind >> 2)),
        2 => BodyLength::Chunked,
        _ => BodyLength::UntilClose,
    }
}
