//! A second inflater, as an oracle for tests: short, slow and bit by bit, so that it is easy to
//! check. It shares no code with the inflater under test. It refuses data that is not DEFLATE data
//! from the first bit to the last.
//!
//! ```text
//! payload ─┐
//!          ├─► block, block, …, block      every block is complete; the last one ends at the last bit
//! 00 00 ff ff ─┘
//! ```

use std::sync::LazyLock;

/// The result of inflating a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inflated {
    /// The whole message.
    Whole(Vec<u8>),
    /// The message is longer than the limit. The data after the limit was not read.
    TooLong,
    /// The payload is not a result of RFC 7692 §7.2.1: it is damaged or cut, or has extra bytes.
    Damaged,
}

/// Inflates the messages of one direction of a connection (RFC 7692 §7.2.2).
#[derive(Debug, Default)]
pub struct Inflater {
    /// The data that the next message may refer to.
    window: Vec<u8>,
}

impl Inflater {
    /// An inflater with an empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Inflates one message to at most `limit` bytes. With `takeover` the next message may refer to
    /// this message.
    pub fn message(&mut self, payload: &[u8], limit: usize, takeover: bool) -> Inflated {
        let bytes = [payload, &TAIL].concat();
        let mut reader = Reader { bytes: &bytes, at: 0, payload: payload.len() * 8, limit };
        let mut out = Output { window: std::mem::take(&mut self.window), message: Vec::new() };
        let verdict = reader.blocks(&mut out);
        if takeover {
            self.window = out.window;
        }
        match verdict {
            Ok(()) => Inflated::Whole(out.message),
            Err(Stop::TooLong) => Inflated::TooLong,
            Err(Stop::Damaged) => Inflated::Damaged,
        }
    }
}

enum Stop {
    TooLong,
    Damaged,
}

struct Output {
    /// The data that a block may refer to. A distance is at most 32 KiB.
    window: Vec<u8>,
    message: Vec<u8>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
    /// The number of bits in the payload. The bytes that the sender left out follow them.
    payload: usize,
    limit: usize,
}

impl Reader<'_> {
    fn blocks(&mut self, out: &mut Output) -> Result<(), Stop> {
        while self.at < self.bytes.len() * 8 {
            let last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored(out)?,
                1 => self.compressed(out, &FIXED)?,
                2 => {
                    let tables = self.tables()?;
                    self.compressed(out, &tables)?;
                }
                _ => return Err(Stop::Damaged),
            }
            if last {
                // RFC 7692 §7.2.1: padded to a byte. The window begins anew, as in zlib.
                self.at = self.at.next_multiple_of(8);
                out.window.clear();
                // The message may end here, without the empty block.
                if self.at == self.payload {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// RFC 1951 §3.2.4.
    fn stored(&mut self, out: &mut Output) -> Result<(), Stop> {
        self.at = self.at.next_multiple_of(8);
        let (length, complement) = (self.bits(16)?, self.bits(16)?);
        if length != complement ^ 0xffff {
            return Err(Stop::Damaged);
        }
        for _ in 0..length {
            let byte = self.bits(8)? as u8;
            self.put(out, byte)?;
        }
        Ok(())
    }

    /// RFC 1951 §3.2.3.
    fn compressed(&mut self, out: &mut Output, (literals, distances): &(Code, Code)) -> Result<(), Stop> {
        loop {
            match self.symbol(literals)? {
                byte @ 0..=255 => self.put(out, byte as u8)?,
                256 => return Ok(()),
                symbol => {
                    let (base, extra) = *LENGTHS.get(symbol - 257).ok_or(Stop::Damaged)?;
                    let length = base + self.bits(extra)?;
                    let symbol = self.symbol(distances)?;
                    let (base, extra) = *DISTANCES.get(symbol).ok_or(Stop::Damaged)?;
                    let distance = base + self.bits(extra)?;
                    for _ in 0..length {
                        let at = out.window.len().checked_sub(distance).ok_or(Stop::Damaged)?;
                        let byte = out.window[at];
                        self.put(out, byte)?;
                    }
                }
            }
        }
    }

    /// RFC 1951 §3.2.7.
    fn tables(&mut self) -> Result<(Code, Code), Stop> {
        let (literals, distances) = (self.bits(5)? + 257, self.bits(5)? + 1);
        let count = self.bits(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(Stop::Damaged);
        }
        let mut lengths = [0; 19];
        for &place in &ORDER[..count] {
            lengths[place] = self.bits(3)?;
        }
        let code = Code::new(&lengths, false)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match self.symbol(&code)? {
                16 => (*lengths.last().ok_or(Stop::Damaged)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        // A run may reach from the first table into the second, but not beyond it. The code needs a
        // word for the end of the block.
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return Err(Stop::Damaged);
        }
        let (literals, distances) = lengths.split_at(literals);
        Ok((Code::new(literals, true)?, Code::new(distances, true)?))
    }

    /// Reads a symbol. The bits of a code word come with the highest first (RFC 1951 §3.1.1).
    fn symbol(&mut self, code: &Code) -> Result<usize, Stop> {
        // `first` is the first word of this length, and `index` the index of its symbol.
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in code.counts {
            word = word << 1 | self.bits(1)?;
            first <<= 1;
            if word < first + count {
                return Ok(code.symbols[index + word - first]);
            }
            index += count;
            first += count;
        }
        Err(Stop::Damaged)
    }

    fn bits(&mut self, count: usize) -> Result<usize, Stop> {
        let mut value = 0;
        for i in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Stop::Damaged)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Ok(value)
    }

    fn put(&self, out: &mut Output, byte: u8) -> Result<(), Stop> {
        // The four bytes that the sender left out must not produce a byte of the message.
        if self.at > self.payload {
            return Err(Stop::Damaged);
        }
        if out.message.len() == self.limit {
            return Err(Stop::TooLong);
        }
        out.message.push(byte);
        out.window.push(byte);
        Ok(())
    }
}

/// A Huffman code: the number of code words of each length from 1 on, and the symbols in the order
/// of their words.
struct Code {
    counts: [usize; 15],
    symbols: Vec<usize>,
}

impl Code {
    /// RFC 1951 §3.2.2. A code must use all words. With `may_be_single`, it may also have a single
    /// word of one bit, or no word.
    fn new(lengths: &[usize], may_be_single: bool) -> Result<Self, Stop> {
        let (mut counts, mut symbols) = ([0; 15], Vec::new());
        for (i, count) in counts.iter_mut().enumerate() {
            symbols.extend((0..lengths.len()).filter(|symbol| lengths[*symbol] == i + 1));
            *count = lengths.iter().filter(|length| **length == i + 1).count();
        }
        // How many of the 2^15 words of 15 bits the code uses.
        let taken: usize = counts.iter().zip((0..15).rev()).map(|(count, shift)| count << shift).sum();
        let single = may_be_single && counts[1..].iter().all(|count| *count == 0) && counts[0] <= 1;
        if taken == 1 << 15 || single { Ok(Self { counts, symbols }) } else { Err(Stop::Damaged) }
    }
}

/// RFC 1951 §3.2.6.
static FIXED: LazyLock<(Code, Code)> = LazyLock::new(|| {
    let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
    let code =
        |lengths: &[usize]| Code::new(lengths, true).unwrap_or_else(|_| unreachable!("it is complete"));
    (code(&lengths), code(&[5; 32]))
});

/// The bytes that a sender leaves out at the end of a message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The order of the lengths in the code for code lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The base and the extra bits of each length (RFC 1951 §3.2.5).
#[rustfmt::skip]
const LENGTHS: [(usize, usize); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1),
    (17, 1), (19, 2), (23, 2), (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4),
    (83, 4), (99, 4), (115, 4), (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
];
/// The base and the extra bits of each distance.
#[rustfmt::skip]
const DISTANCES: [(usize, usize); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4),
    (49, 4), (65, 5), (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8),
    (1025, 9), (1537, 9), (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12),
    (16385, 13), (24577, 13),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(payload: &[u8]) -> Inflated {
        Inflater::new().message(payload, 1000, false)
    }

    #[test]
    fn the_examples_of_rfc_7692_are_inflated_and_cut_ones_are_refused() {
        let hello = Inflated::Whole(b"Hello".to_vec());
        for payload in [
            &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ] {
            assert_eq!(inflate(payload), hello);
            assert_eq!(Inflater::new().message(payload, 5, false), hello);
            assert_eq!(Inflater::new().message(payload, 4, false), Inflated::TooLong);
        }
        assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07"), Inflated::Damaged);
        assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9"), Inflated::Damaged);
        assert_eq!(inflate(b""), Inflated::Damaged);
        assert_eq!(inflate(b"\x00"), Inflated::Whole(Vec::new()));
    }

    #[test]
    fn a_window_is_kept_only_with_takeover() {
        let (first, second) = (&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], &b"\xf2\x00\x11\x00\x00"[..]);
        let mut inflater = Inflater::new();
        for payload in [first, second] {
            assert_eq!(inflater.message(payload, 1000, true), Inflated::Whole(b"Hello".to_vec()));
        }
        inflater.message(first, 1000, false);
        assert_eq!(inflater.message(second, 1000, false), Inflated::Damaged);
    }
}
