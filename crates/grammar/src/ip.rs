//! *IP-literal* (RFC 3986 §3.2.2): an address in brackets, as a host.
//!
//! ```text
//! [2001:db8::192.0.2.1]    IPv6address: eight groups of 16 bits. "::" is one zero group or more.
//!                          The last two groups may be written as an IPv4 address.
//! [v1.anything:else]       IPvFuture
//! ```
//! A zone (`[fe80::1%25eth0]`, RFC 6874) is refused: it has a meaning only on the sender's machine.

use crate::class::{is_hexdig, is_reg_name};
use crate::{SyntaxError, SyntaxErrorKind};

/// An address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpLiteral<'a> {
    /// The eight groups of an IPv6 address.
    V6([u16; 8]),
    /// *IPvFuture*, without the brackets. No such address is defined yet.
    Future(&'a [u8]),
}

/// The *IP-literal* at the start of `input`, and its length with both brackets. The caller checks
/// the bytes after it.
///
/// A host that begins with `[` must be an *IP-literal*.
///
/// ```
/// use tidewire_grammar::{IpLiteral, ip_literal};
/// assert_eq!(ip_literal(b"[::1]:8080"), Ok((IpLiteral::V6([0, 0, 0, 0, 0, 0, 0, 1]), 5)));
/// assert!(ip_literal(b"[fe80::1%25eth0]").is_err());
/// assert!(ip_literal(b"[:::::]").is_err());
/// ```
///
/// # Errors
/// The first byte that breaks the grammar.
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
    // If the address ends too early, the error is at the bracket, or at the end of the input.
    let literal = literal.map_err(|e| wrong(input, e.offset().saturating_add(1)))?;
    if close == input.len() { Err(wrong(input, close)) } else { Ok((literal, close.saturating_add(1))) }
}

/// Reads all of `input` as an *IPv6address*. Returns its groups.
///
/// ```
/// let address = tidewire_grammar::ipv6_address(b"2001:db8::1");
/// assert_eq!(address, Ok([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
/// ```
///
/// # Errors
/// The first byte that breaks the grammar.
pub fn ipv6_address(input: &[u8]) -> Result<[u16; 8], SyntaxError> {
    let mut groups = [0; 8];
    // The number of groups read, and the number of groups before a "::".
    let (mut count, mut gap, mut at) = (0_usize, None, 0_usize);
    if input.first() == Some(&b':') {
        if input.get(1) != Some(&b':') {
            return Err(wrong(input, 1));
        }
        (gap, at) = (Some(0), 2);
    }
    while at < input.len() || gap != Some(count) {
        // A "::" is one group or more.
        let room = if gap.is_some() { 7_usize } else { 8 }.saturating_sub(count);
        let digits = input[at..].iter().take(4).take_while(|&&b| is_hexdig(b)).count();
        if digits == 0 || room == 0 {
            return Err(wrong(input, at));
        }
        let end = at.saturating_add(digits);
        if input.get(end) == Some(&b'.') {
            // The IPv4 address is the last two groups.
            if room < 2 || (gap.is_none() && room > 2) {
                return Err(wrong(input, end));
            }
            let [a, b, c, d] = ipv4_address(&input[at..])
                .map_err(|e| wrong(input, at.saturating_add(e.offset()).max(end)))?;
            groups[count..][..2].copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            count = count.saturating_add(2);
            break;
        }
        groups[count] = input[at..end].iter().fold(0, |value, &b| value << 4 | hex(b));
        count = count.saturating_add(1);
        at = match &input[end..] {
            [] => break,
            [b':', b':', ..] if gap.is_some() => return Err(wrong(input, end.saturating_add(1))),
            [b':', b':', ..] if room > 1 => {
                gap = Some(count);
                end.saturating_add(2)
            }
            [b':', ..] if room > 1 => end.saturating_add(1),
            _ => return Err(wrong(input, end)),
        };
    }
    match gap {
        Some(before) => groups[before..].rotate_right(8_usize.saturating_sub(count)),
        None if count == groups.len() => {}
        None => return Err(wrong(input, input.len())),
    }
    Ok(groups)
}

/// Reads all of `input` as an *IPv4address*: four decimal octets without leading zeros.
///
/// ```
/// assert_eq!(tidewire_grammar::ipv4_address(b"192.0.2.7"), Ok([192, 0, 2, 7]));
/// assert!(tidewire_grammar::ipv4_address(b"192.0.2.07").is_err());
/// ```
///
/// # Errors
/// The first byte that breaks the grammar.
pub fn ipv4_address(input: &[u8]) -> Result<[u8; 4], SyntaxError> {
    let (mut octets, mut at) = ([0_u8; 4], 0_usize);
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            if input.get(at) != Some(&b'.') {
                return Err(wrong(input, at));
            }
            at = at.saturating_add(1);
        }
        let start = at;
        while let Some(digit @ b'0'..=b'9') = input.get(at) {
            // No digit may follow a leading 0.
            let next = octet.checked_mul(10).and_then(|value| value.checked_add(digit & 0xf));
            *octet = next.filter(|_| at == start || *octet > 0).ok_or_else(|| wrong(input, at))?;
            at = at.saturating_add(1);
        }
        if at == start {
            return Err(wrong(input, at));
        }
    }
    if at == input.len() { Ok(octets) } else { Err(wrong(input, at)) }
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn ip_future(input: &[u8]) -> Result<(), SyntaxError> {
    let end_of = |from: usize, is: fn(u8) -> bool| {
        let rest = input[from..].iter().position(|&b| !is(b));
        rest.map_or(input.len(), |len| from.saturating_add(len))
    };
    let dot = end_of(1, is_hexdig);
    if dot == 1 || input.get(dot) != Some(&b'.') {
        return Err(wrong(input, dot));
    }
    let start = dot.saturating_add(1);
    let end = end_of(start, is_future);
    if end == start || end < input.len() { Err(wrong(input, end)) } else { Ok(()) }
}

const fn is_future(b: u8) -> bool {
    is_reg_name(b) || b == b':'
}

/// The value of a byte that is a *HEXDIG*.
const fn hex(b: u8) -> u16 {
    // The low four bits of a letter begin at 1.
    (b as u16 & 0xf).saturating_add(if b.is_ascii_digit() { 0 } else { 9 })
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
    fn an_error_has_the_offset_of_its_byte() {
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

    /// Tests every text of up to six of these pieces. The standard library reads the same grammar.
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
        fn an_address_of_the_standard_library_is_read(
            segments: [u16; 8],
            zeros in 0_usize..9,
            from in 0_usize..8,
        ) {
            let mut segments = segments;
            segments[from..(from + zeros).min(8)].fill(0);
            let text = format!("[{}]", Ipv6Addr::from(segments));
            prop_assert_eq!(ip_literal(text.as_bytes()), Ok((IpLiteral::V6(segments), text.len())));
            // One more byte is refused or gives another address.
            let longer = text.replacen(']', "0]", 1);
            let expected = longer.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok().map(|ip| ip.segments());
            prop_assert_eq!(ipv6_address(longer.trim_matches(['[', ']']).as_bytes()).ok(), expected);
        }

        #[test]
        fn the_standard_library_agrees_on_ipv4(text in "[0-9]{0,4}(\\.[0-9]{0,4}){2,4}") {
            prop_assert_eq!(
                ipv4_address(text.as_bytes()).ok(),
                text.parse::<Ipv4Addr>().ok().map(|ip| ip.octets())
            );
        }

        #[test]
        fn the_offset_of_an_error_is_within_the_input(text: Vec<u8>) {
            let literal = [b"[", &text[..]].concat();
            if let Err(e) = ip_literal(&literal) {
                prop_assert!(e.offset() <= literal.len());
            }
        }
    }
}
