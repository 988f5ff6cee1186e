//! A publisher. It sends one message at a time over HTTP with an idempotency key, and retries until
//! the answer has come.

use tidewire_channel::Cursor;
use tidewire_http1 as http1;

use super::history::Violation;

pub(crate) struct Publisher {
    name: usize,
    sent: usize,
    /// The message that has no answer yet: its channel, key and text.
    pending: Option<(String, String, String)>,
    pub(crate) link: Option<u32>,
    http: http1::Connection<http1::Client>,
    input: Vec<u8>,
    body: Vec<u8>,
    pub(crate) retries: u64,
}

impl Publisher {
    pub(crate) fn new(name: usize) -> Self {
        Self {
            name,
            sent: 0,
            pending: None,
            link: None,
            http: http1::Connection::new(http1::Limits::DEFAULT),
            input: Vec::new(),
            body: Vec::new(),
            retries: 0,
        }
    }

    /// Returns whether every message has been acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_none()
    }

    /// Sends the next message, or the last one again, on a new connection.
    pub(crate) fn send(
        &mut self,
        link: u32,
        channel: &str,
        pad: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let again = self.pending.is_some();
        self.retries += u64::from(again);
        let (channel, key, text) = self.pending.get_or_insert_with(|| {
            self.sent += 1;
            let key = format!("{}-{}", self.name, self.sent);
            let text = format!("by {key} {}", "x".repeat(pad));
            (channel.into(), key, text)
        });
        self.link = Some(link);
        (self.input, self.body) = (Vec::new(), Vec::new());
        self.http = http1::Connection::new(http1::Limits::DEFAULT);
        let target = format!("/{channel}");
        let length = http1::BodyLength::Length(text.len() as u64);
        http1::FieldBlock::from_pairs([("Idempotency-Key", key.as_str())])
            .and_then(|fields| {
                let request = http1::Request::new("POST", &target, "sim");
                self.http.send_request(&request.with_fields(&[&fields]), length, out)
            })
            .and_then(|()| self.http.send_data(text.as_bytes(), out))
            .and_then(|()| self.http.send_end(out))
            .map_err(|error| format!("publisher: {error}"))
    }

    /// Takes bytes from the server. A complete answer is an acknowledgement.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.input.extend_from_slice(bytes);
        let mut fields = http1::Fields::new();
        loop {
            let (n, event) =
                self.http.decode(&self.input, &mut fields).map_err(|error| format!("publisher: {error}"))?;
            match event {
                None => {
                    self.input.drain(..n);
                    return Ok(());
                }
                Some(http1::Event::Response(head)) if head.status() != 201 => {
                    return Err(format!("publisher: status {}", head.status()));
                }
                Some(http1::Event::Data(data)) => self.body.extend_from_slice(data),
                Some(http1::Event::End) => {
                    Cursor::parse(&self.body).map_err(|error| format!("publisher: {error}"))?;
                    self.pending = None;
                    self.link = None;
                    return Ok(());
                }
                Some(_) => {}
            }
            self.input.drain(..n);
        }
    }
}
