//! *IP-literal* (RFC 3986 §3.2.2): an address in brackets, where a host may stand.
//!
//! ```text
//! [2001:db8::192.0.2.1]    IPv6address: eight groups of 16 bits; "::" stands for one zero group or more; the last two
//!                          may be written as an IPv4 address
//! [v1.anything:else]       IPvFuture
//! ```
//! A zone (`[fe80::1%25eth0]`, RFC 6874) is no part of it: it has a meaning on the sender's machine only.

use crate::class::{is_hexdig, is_reg_name};
use crate::{SyntaxError, SyntaxErrorKind};

/// An address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpLiteral<'a> {
    /// The eight groups of an IPv6 address, however it was spelled.
    V6([u16; 8]),
    /// *IPvFuture*, from its `v` on, without the brackets. Nobody has defined one yet.
    Future(&'a [u8]),
}

/// The *IP-literal* at the start of `input`, and its length with both brackets. What stands behind it is the caller's.
///
/// A host that begins with `[` is one of these or invalid.
///
/// ```
/// use tidewire_grammar::{IpLiteral, ip_literal};
/// assert_eq!(ip_literal(b"[::1]:8080"), Ok((IpLiteral::V6([0, 0, 0, 0, 0, 0, 0, 1]), 5)));
/// assert!(ip_literal(b"[fe80::1%25eth0]").is_err());
/// assert!(ip_literal(b"[:::::]").is_err());
/// ```
///
/// # Errors
/// The first byte that no IP literal has there.
pub fn ip_literal(input: &[u8]) -> Result<(IpLiteral<'_>, usize), SyntaxError> {
    if input.first() != Some(&b'[') {
        return Err(wrong(input, 0));
    }
    let close = input.iter().position(|&b| b == b']').unwrap_or(input.len());
    let inner = &input[1..close];
    let literal = match inner.first() {
        Some(b'v' | b'V') => ip_future(inner).map(|()| IpLiteral::Future(inner)),
        _ => ipv6_address(inner).map(IpLiteral::V6),
    };
    // What ends too early ends at the bracket, or with the input.
    let literal = literal.map_err(|e| wrong(input, 1 + e.offset()))?;
    if close == input.len() { Err(wrong(input, close)) } else { Ok((literal, close + 1)) }
}

/// The groups of an *IPv6address*, which has to be all of `input`.
///
/// # Errors
/// The first byte that does not belong to it.
pub fn ipv6_address(input: &[u8]) -> Result<[u16; 8], SyntaxError> {
    let mut groups = [0; 8];
    // How many groups were read, and how many of them stand before a "::".
    let (mut count, mut gap, mut at) = (0, None, 0);
    if input.first() == Some(&b':') {
        if input.get(1) != Some(&b':') {
            return Err(wrong(input, 1));
        }
        (gap, at) = (Some(0), 2);
    }
    while at < input.len() || gap != Some(count) {
        // A "::" stands for one group at least.
        let room = groups.len() - usize::from(gap.is_some()) - count;
        let digits = input[at..].iter().take(4).take_while(|&&b| is_hexdig(b)).count();
        if digits == 0 || room == 0 {
            return Err(wrong(input, at));
        }
        if input.get(at + digits) == Some(&b'.') {
            let end = at + digits;
            // It stands for the last two groups.
            if room < 2 || (gap.is_none() && room > 2) {
                return Err(wrong(input, end));
            }
            let [a, b, c, d] = ipv4_address(&input[at..])
                .map_err(|e| wrong(input, if e.offset() < digits { end } else { at + e.offset() }))?;
            groups[count..count + 2]
                .copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            count += 2;
            break;
        }
        groups[count] = input[at..at + digits].iter().fold(0, |value, &b| value << 4 | hex(b));
        count += 1;
        at += digits;
        match (input.get(at), input.get(at + 1)) {
            (None, _) => break,
            (Some(b':'), Some(b':')) if gap.is_some() => return Err(wrong(input, at + 1)),
            (Some(b':'), Some(b':')) if room > 1 => (gap, at) = (Some(count), at + 2),
            (Some(b':'), _) if room > 1 => at += 1,
            _ => return Err(wrong(input, at)),
        }
    }
    match gap {
        Some(before) => groups[before..].rotate_right(8 - count),
        None if count == groups.len() => {}
        None => return Err(wrong(input, input.len())),
    }
    Ok(groups)
}

/// The four octets of an *IPv4address*, which has to be all of `input`: decimal, without leading zeros.
///
/// # Errors
/// The first byte that does not belong to it.
pub fn ipv4_address(input: &[u8]) -> Result<[u8; 4], SyntaxError> {
    let (mut octets, mut at) = ([0_u8; 4], 0);
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            if input.get(at) != Some(&b'.') {
                return Err(wrong(input, at));
            }
            at += 1;
        }
        let start = at;
        while let Some(digit @ b'0'..=b'9') = input.get(at) {
            // After a 0 there is no other digit.
            let next = octet.checked_mul(10).and_then(|value| value.checked_add(digit - b'0'));
            *octet = next.filter(|_| at == start || *octet > 0).ok_or_else(|| wrong(input, at))?;
            at += 1;
        }
        if at == start {
            return Err(wrong(input, at));
        }
    }
    if at == input.len() { Ok(octets) } else { Err(wrong(input, at)) }
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn ip_future(input: &[u8]) -> Result<(), SyntaxError> {
    let dot = 1 + input[1..].iter().take_while(|&&b| is_hexdig(b)).count();
    if dot == 1 || input.get(dot) != Some(&b'.') {
        return Err(wrong(input, dot));
    }
    let rest = input[dot + 1..].iter().take_while(|&&b| is_future(b)).count();
    let end = dot + 1 + rest;
    if rest == 0 || end < input.len() { Err(wrong(input, end)) } else { Ok(()) }
}

const fn is_future(b: u8) -> bool {
    is_reg_name(b) || b == b':'
}

/// The value of a byte that is a *HEXDIG*.
const fn hex(b: u8) -> u16 {
    (match b {
        b'0'..=b'9' => b - b'0',
        _ => (b | 0x20) - b'a' + 10,
    }) as u16
}

fn wrong(input: &[u8], at: usize) -> SyntaxError {
    let kind =
        if at < input.len() { SyntaxErrorKind::UnexpectedByte } else { SyntaxErrorKind::UnexpectedEnd };
    SyntaxError::new(kind, at)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    fn offset(literal: &str) -> Option<usize> {
        ip_literal(literal.as_bytes()).err().map(|e| e.offset())
    }

    #[test]
    fn each_form_of_the_grammar() {
        for good in [
            "[::]",
            "[::1]",
            "[1::]",
            "[1:2:3:4:5:6:7:8]",
            "[::2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[1:2:3::7:8]",
            "[::192.0.2.1]",
            "[1:2:3:4:5:6:192.0.2.1]",
            "[1:2:3:4:5::1.2.3.4]",
            "[ABCD:ef01::0001]",
            "[v1.x]",
            "[VF.a:b]",
        ] {
            assert_eq!(ip_literal(good.as_bytes()).map(|(_, n)| n), Ok(good.len()), "{good}");
        }
        assert_eq!(ip_literal(b"[1::]x").unwrap(), (IpLiteral::V6([1, 0, 0, 0, 0, 0, 0, 0]), 5));
        assert_eq!(ip_literal(b"[v1.x]:80").unwrap(), (IpLiteral::Future(b"v1.x"), 6));
    }

    #[test]
    fn errors_are_told_at_their_byte() {
        for (bad, at) in [
            ("", 0),
            ("::1", 0),
            ("[", 1),
            ("[]", 1),
            ("[:::::]", 3),
            ("[zz]", 1),
            ("[1]", 2),
            ("[:1]", 2),
            ("[1:]", 3),
            ("[::1", 4),
            ("[::1 ]", 4),
            ("[1::2::3]", 6),
            ("[::12345]", 7),
            ("[1:2:3:4:5:6:7:8:9]", 16),
            ("[1:2:3:4:5:6:7::8]", 16),
            ("[1:2:3:4:5:6:7:1.2.3.4]", 16),
            ("[fe80::1%25eth0]", 8),
            ("[::256.0.0.1]", 6),
            ("[::1.256.0.1]", 7),
            ("[::1.2.3]", 8),
            ("[::1.2.3.4.5]", 10),
            ("[::1.02.3.4]", 6),
            ("[::1.2.3.4:5]", 10),
            ("[1.2.3.4]", 2),
            ("[v.x]", 2),
            ("[v1x]", 3),
            ("[v1.]", 4),
            ("[v1./]", 4),
        ] {
            assert_eq!(offset(bad), Some(at), "{bad}");
        }
    }

    /// Every text of up to six of these pieces, against the standard library, which reads the same grammar.
    #[test]
    fn the_standard_library_agrees_on_short_texts() {
        const PIECES: [&str; 8] = [":", "::", "0", "1", "ffff", "12345", "1.2.3.4", "g"];
        let (mut texts, mut good) = (Vec::from([String::new()]), 0);
        for _ in 0..6 {
            texts = texts.iter().flat_map(|text| PIECES.map(|piece| format!("{text}{piece}"))).collect();
            for text in &texts {
                let ours = ipv6_address(text.as_bytes()).ok();
                assert_eq!(ours, text.parse::<Ipv6Addr>().ok().map(|ip| ip.segments()), "{text}");
                good += usize::from(ours.is_some());
            }
        }
        assert!(good > 1000, "{good}");
    }

    proptest! {
        #[test]
        fn the_standard_library_agrees(text in "[0-9a-fA-F]{0,5}((:|::|:|\\.)[0-9a-f]{0,4}){0,9}") {
            prop_assert_eq!(
                ipv6_address(text.as_bytes()).ok(),
                text.parse::<Ipv6Addr>().ok().map(|ip| ip.segments())
            );
        }

        #[test]
        fn what_it_writes_is_read(segments: [u16; 8], zeros in 0_usize..9, from in 0_usize..8) {
            let mut segments = segments;
            segments[from..(from + zeros).min(8)].fill(0);
            let text = format!("[{}]", Ipv6Addr::from(segments));
            prop_assert_eq!(ip_literal(text.as_bytes()), Ok((IpLiteral::V6(segments), text.len())));
            // One byte more is refused or means something else.
            let longer = text.replacen(']', "0]", 1);
            let expected = longer.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok().map(|ip| ip.segments());
            prop_assert_eq!(ipv6_address(longer.trim_matches(['[', ']']).as_bytes()).ok(), expected);
        }

        #[test]
        fn octets_too(text in "[0-9]{0,4}(\\.[0-9]{0,4}){2,4}") {
            prop_assert_eq!(
                ipv4_address(text.as_bytes()).ok(),
                text.parse::<Ipv4Addr>().ok().map(|ip| ip.octets())
            );
        }

        #[test]
        fn errors_stay_within(text: Vec<u8>) {
            let literal = [b"[", &text[..]].concat();
            if let Err(e) = ip_literal(&literal) {
                prop_assert!(e.offset() <= literal.len());
            }
        }
    }
}
