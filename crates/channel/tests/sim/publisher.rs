//! A publisher. It sends one batch at a time over HTTP, with an idempotency key or as a producer,
//! and retries until its fate is known.

use std::collections::BTreeMap;

use tidewire_channel::Cursor;
use tidewire_http1 as http1;

use super::history::Violation;
use super::rng::Rng;

pub(crate) struct Publisher {
    name: usize,
    sent: usize,
    /// The batch whose fate is not known.
    pending: Option<Pending>,
    /// For a producer: its epoch and its next number in each channel.
    producer: Option<BTreeMap<String, (u64, u64)>>,
    pub(crate) link: Option<u32>,
    http: http1::Connection<http1::Client>,
    input: Vec<u8>,
    status: u16,
    body: Vec<u8>,
    pub(crate) counts: PublisherCounts,
}

struct Pending {
    channel: String,
    key: String,
    text: String,
    close: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PublisherCounts {
    pub(crate) retries: u64,
    /// A producer whose numbers were lost began a new epoch.
    pub(crate) restarts: u64,
    /// The log was closed by somebody else.
    pub(crate) refused: u64,
}

impl Publisher {
    pub(crate) fn new(name: usize) -> Self {
        Self {
            name,
            sent: 0,
            pending: None,
            producer: (name % 2 == 1).then(BTreeMap::new),
            link: None,
            http: http1::Connection::new(http1::Limits::DEFAULT),
            input: Vec::new(),
            status: 0,
            body: Vec::new(),
            counts: PublisherCounts::default(),
        }
    }

    /// Returns whether the fate of every batch is known.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_none()
    }

    /// Sends the next batch, or the last one again, on a new connection.
    pub(crate) fn send(
        &mut self,
        link: u32,
        channel: &str,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let again = self.pending.is_some();
        self.counts.retries += u64::from(again);
        let pending = self.pending.get_or_insert_with(|| {
            self.sent += 1;
            let key = format!("{}-{}", self.name, self.sent);
            let lines = (0..[1, 1, 1, 2, 3][rng.below(5)])
                .map(|line| format!("by {key} line {line} {}", "x".repeat(rng.below(40))));
            let text = lines.collect::<Vec<_>>().join("\n");
            Pending { channel: channel.into(), key, text, close: rng.below(40) == 0 }
        });
        self.link = Some(link);
        (self.input, self.body) = (Vec::new(), Vec::new());
        self.http = http1::Connection::new(http1::Limits::DEFAULT);
        let target = format!("/{}{}", pending.channel, if pending.close { "?close=1" } else { "" });
        let length = http1::BodyLength::Length(pending.text.len() as u64);
        let fields = match &mut self.producer {
            None => vec![("Idempotency-Key", pending.key.clone())],
            Some(channels) => {
                let (epoch, seq) = channels.entry(pending.channel.clone()).or_default();
                vec![
                    ("Producer-Id", format!("producer {}", self.name)),
                    ("Producer-Epoch", epoch.to_string()),
                    ("Producer-Seq", seq.to_string()),
                ]
            }
        };
        http1::FieldBlock::from_pairs(fields.iter().map(|(name, value)| (*name, value.as_str())))
            .and_then(|fields| {
                let request = http1::Request::new("POST", &target, "sim");
                self.http.send_request(&request.with_fields(&[&fields]), length, out)
            })
            .and_then(|()| self.http.send_data(pending.text.as_bytes(), out))
            .and_then(|()| self.http.send_end(out))
            .map_err(|error| format!("publisher: {error}"))
    }

    /// Takes bytes from the server. Returns what was acknowledged, once the answer is complete: the
    /// channel, and the position.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Option<(String, Cursor)>, Violation> {
        self.input.extend_from_slice(bytes);
        let mut fields = http1::Fields::new();
        loop {
            let (n, event) =
                self.http.decode(&self.input, &mut fields).map_err(|error| format!("publisher: {error}"))?;
            match event {
                None => {
                    self.input.drain(..n);
                    return Ok(None);
                }
                Some(http1::Event::Response(head)) => self.status = head.status(),
                Some(http1::Event::Data(data)) => self.body.extend_from_slice(data),
                Some(http1::Event::End) => {
                    self.link = None;
                    return self.answered();
                }
                Some(_) => {}
            }
            self.input.drain(..n);
        }
    }

    fn answered(&mut self) -> Result<Option<(String, Cursor)>, Violation> {
        let Some(pending) = self.pending.take() else { return Ok(None) };
        let place = self.producer.as_mut().and_then(|channels| channels.get_mut(&pending.channel));
        match (self.status, &self.body[..]) {
            (200 | 201, body) => {
                let cursor = Cursor::parse(body).map_err(|error| format!("publisher: {error}"))?;
                if let Some((_, seq)) = place {
                    *seq += 1;
                }
                return Ok(Some((pending.channel, cursor)));
            }
            (409, b"closed") => {
                self.counts.refused += 1;
                return Ok(None);
            }
            // The log, or the tail that had its numbers, is lost. It begins again.
            (400 | 409, b"start" | b"gap") if place.is_some() => {
                self.counts.restarts += 1;
                place.into_iter().for_each(|place| *place = (place.0 + 1, 0));
            }
            // Whether it failed or nobody knows, it can be repeated.
            (503, b"failed" | b"unknown") => {}
            (status, body) => return Err(format!("publisher: {status} {}", body.escape_ascii())),
        }
        self.pending = Some(pending);
        Ok(None)
    }
}

impl std::ops::AddAssign for PublisherCounts {
    fn add_assign(&mut self, other: Self) {
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.refused += other.refused;
    }
}
