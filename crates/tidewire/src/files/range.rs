//! The `Range` field (RFC 9110 §14.1, §14.2): the bytes that a client requests.

use tidewire_grammar::{dec_u64, eq_ignore_case, trim_ows};

/// `len` bytes from `start` on; at least one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteRange {
    pub(super) start: u64,
    pub(super) len: u64,
}

impl ByteRange {
    /// The value of `Content-Range` for a file of `total` bytes.
    pub(super) fn content_range(&self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.start + self.len - 1)
    }
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// The whole file: there is no range, or it is malformed or not reasonable.
    All,
    One(ByteRange),
    Several(Vec<ByteRange>),
    /// The file has no byte of the ranges.
    Unsatisfiable,
}

/// The most ranges of one request. RFC 9110 §14.2 lets a server ignore a request for many ranges.
/// Players request one, PDF readers a few.
const MAX_RANGES: usize = 16;

impl Ranges {
    /// Parses the field for a file of `total` bytes. A malformed field is ignored
    /// (RFC 9110 §14.2). Ranges that overlap are ignored too: no honest client requests a byte
    /// twice, and an attacker could get many copies of the file with one small request.
    pub(super) fn parse(field: &[u8], total: u64) -> Self {
        // Any range of an empty file gets the whole file. Players and downloaders that request
        // `bytes=0-` treat a 416 as an error.
        if total == 0 {
            return Ranges::All;
        }
        let Some(set) = field.iter().position(|&b| b == b'=').and_then(|at| {
            let (unit, set) = field.split_at(at);
            eq_ignore_case(unit, b"bytes").then_some(&set[1..])
        }) else {
            return Ranges::All;
        };
        let mut ranges = Vec::new();
        let mut specs = 0;
        for spec in set.split(|&b| b == b',').map(trim_ows).filter(|spec| !spec.is_empty()) {
            specs += 1;
            match RangeSpec::parse(spec) {
                Some(spec) if specs <= MAX_RANGES => ranges.extend(spec.within(total)),
                _ => return Ranges::All,
            }
        }
        match *ranges {
            _ if specs == 0 || overlap(&ranges) => Ranges::All,
            [] => Ranges::Unsatisfiable,
            [one] => Ranges::One(one),
            _ => Ranges::Several(ranges),
        }
    }
}

/// One range of a request: `range-spec` of RFC 9110 §14.1.1.
#[derive(Clone, Copy, Debug)]
enum RangeSpec {
    /// `int-range`: `5-9`, or `5-` with the last byte at infinity.
    Int { first: u64, last: u64 },
    /// `suffix-range`: `-5` is the last five bytes.
    Suffix(u64),
}

impl RangeSpec {
    fn parse(spec: &[u8]) -> Option<Self> {
        let (first, last) = spec.split_at(spec.iter().position(|&b| b == b'-')?);
        let last = &last[1..];
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => number(last).map(RangeSpec::Suffix),
            (false, true) => number(first).map(|first| RangeSpec::Int { first, last: u64::MAX }),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(RangeSpec::Int { first, last })
            }
        }
    }

    /// Returns the part of a file that the range names; `None` if the file has no byte of it.
    fn within(self, total: u64) -> Option<ByteRange> {
        let (start, end) = match self {
            RangeSpec::Int { first, last } => (first, last.saturating_add(1).min(total)),
            RangeSpec::Suffix(n) => (total.saturating_sub(n), total),
        };
        (start < end).then(|| ByteRange { start, len: end - start })
    }
}

/// Parses digits. A number that no file can reach counts as infinity.
fn number(digits: &[u8]) -> Option<u64> {
    match dec_u64(digits) {
        Ok(number) => Some(number),
        Err(_) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => Some(u64::MAX),
        Err(_) => None,
    }
}

fn overlap(ranges: &[ByteRange]) -> bool {
    let mut sorted: Vec<_> = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    sorted.windows(2).any(|pair| pair[0].start + pair[0].len > pair[1].start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(start: u64, len: u64) -> Ranges {
        Ranges::One(ByteRange { start, len })
    }

    fn several(ranges: &[(u64, u64)]) -> Ranges {
        Ranges::Several(ranges.iter().map(|&(start, len)| ByteRange { start, len }).collect())
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let cases: &[(&str, Ranges)] = &[
            ("bytes=0-0", one(0, 1)),
            ("bytes=0-", one(0, 10)),
            ("bytes=2-4", one(2, 3)),
            ("Bytes=2-4", one(2, 3)),
            ("bytes=2-400", one(2, 8)),
            ("bytes=-3", one(7, 3)),
            ("bytes=-300", one(0, 10)),
            ("bytes=2-99999999999999999999999", one(2, 8)),
            ("bytes=-99999999999999999999999", one(0, 10)),
            ("bytes= 2-4 ", one(2, 3)),
            ("bytes=2-4,", one(2, 3)),
            ("bytes=0-1, 4-5\t,9-", several(&[(0, 2), (4, 2), (9, 1)])),
            ("bytes=4-5,0-1", several(&[(4, 2), (0, 2)])),
            ("bytes=0-1,2-3", several(&[(0, 2), (2, 2)])),
            ("bytes=0-1,10-20", one(0, 2)),
            ("bytes=10-", Ranges::Unsatisfiable),
            ("bytes=10-,30-40", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=99999999999999999999999-", Ranges::Unsatisfiable),
        ];
        for (field, want) in cases {
            assert_eq!(Ranges::parse(field.as_bytes(), 10), *want, "{field}");
        }
    }

    #[test]
    fn malformed_and_excessive_ranges_are_ignored() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=4-2",
            "bytes=+1-2",
            "bytes=1-2x",
            "bytes=1",
            "bytes=0x1-2",
            "items=0-1",
            "bytes =0-1",
            "bytes=0-1,x",
            "bytes=0-5,5-9",
            "bytes=0-,-1",
            "bytes=1 - 2",
        ] {
            assert_eq!(Ranges::parse(field.as_bytes(), 10), Ranges::All, "{field}");
        }
        let many = |n: usize| {
            let specs: Vec<String> = (0..n).map(|i| format!("{0}-{0}", 2 * i)).collect();
            Ranges::parse(format!("bytes={}", specs.join(",")).as_bytes(), 1000)
        };
        assert!(matches!(many(16), Ranges::Several(ranges) if ranges.len() == 16));
        assert_eq!(many(17), Ranges::All);
    }

    #[test]
    fn every_range_of_an_empty_file_is_the_whole_file() {
        for field in ["bytes=0-", "bytes=-5", "bytes=-0", "bytes=7-9", "bytes=0-1,5-"] {
            assert_eq!(Ranges::parse(field.as_bytes(), 0), Ranges::All, "{field}");
        }
    }

    #[test]
    fn content_range_counts_from_zero() {
        assert_eq!(ByteRange { start: 2, len: 3 }.content_range(10), "bytes 2-4/10");
    }
}
