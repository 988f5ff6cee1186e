//! Finds the messages in what a subscriber received, with any frames, chunks or JSON around them.
//!
//! Framing never cuts a message (each server writes it whole), but a read may cut it anywhere.

use super::message::MESSAGE;

/// What one subscriber has received, and the start of a message that a read cut.
#[derive(Default)]
pub(super) struct Scan {
    head: Vec<u8>,
    skip: usize,
    pub(super) last: u64,
}

/// What all subscribers have received.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) delivered: u64,
    pub(super) lost: u64,
    /// Duplicate, or out of order.
    pub(super) disorder: u64,
    /// Microseconds from publishing to receiving, if they are measured.
    pub(super) latency: Option<Vec<u32>>,
}

/// `#`, ten digits, `T`, sixteen digits, `#`.
const HEAD: usize = 29;

impl Scan {
    /// `now` is in nanoseconds of the clock that stamps the messages.
    pub(super) fn feed(&mut self, mut bytes: &[u8], now: u128, tally: &mut Tally) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.head.is_empty() {
                let Some(start) = bytes.iter().position(|&byte| byte == b'#') else { return };
                bytes = &bytes[start..];
            }
            let taken = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.head.len() < HEAD {
                return;
            }
            self.message(now, tally);
            self.head.clear();
            self.skip = MESSAGE - HEAD;
        }
    }

    fn message(&mut self, now: u128, tally: &mut Tally) {
        let number = decimal(&self.head[1..11]);
        tally.delivered += 1;
        if number <= self.last {
            tally.disorder += 1;
            return;
        }
        tally.lost += number - self.last - 1;
        self.last = number;
        if let Some(latency) = &mut tally.latency {
            let taken = now.saturating_sub(u128::from(decimal(&self.head[12..28])));
            latency.push(u32::try_from(taken / 1000).unwrap_or(u32::MAX));
        }
    }
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit.wrapping_sub(b'0') % 10))
}

#[cfg(test)]
mod tests {
    use super::super::message::message;
    use super::*;
    use std::time::Duration;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let text: String = [1, 2, 4, 4].map(|n| format!("5f\r\n{{{}}}", message(n, Duration::ZERO))).concat();
        for size in 1..text.len() {
            let (mut scan, mut tally) = (Scan::default(), Tally::default());
            text.as_bytes().chunks(size).for_each(|piece| scan.feed(piece, 0, &mut tally));
            assert_eq!((tally.delivered, tally.lost, tally.disorder), (4, 1, 1));
        }
    }
}
