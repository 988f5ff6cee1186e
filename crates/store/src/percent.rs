//! Percent-encoding (RFC 3986 §2.1), decoded once.

/// Decodes a text. With `plus_is_space`, a `+` is a space, as HTML forms encode it. Returns `None`
/// for a `%` without two hexadecimal digits after it, and for what is not UTF-8.
pub(crate) fn decode(text: &[u8], plus_is_space: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return String::from_utf8(decoded).ok(),
            [b'%', high, low, rest @ ..] => {
                let (high, low) = (char::from(*high).to_digit(16)?, char::from(*low).to_digit(16)?);
                decoded.push(u8::try_from(high.wrapping_shl(4) | low).ok()?);
                rest
            }
            [b'%', ..] => return None,
            [b'+', rest @ ..] if plus_is_space => {
                decoded.push(b' ');
                rest
            }
            [byte, rest @ ..] => {
                decoded.push(*byte);
                rest
            }
        };
    }
}
