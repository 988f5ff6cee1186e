//! *weight* (RFC 9110 §12.4.2): `q=0.5` in a list of preferences.

use crate::number::qvalue;
use crate::token::{eq_ignore_case, trim_ows};

/// Reads a parameter as a *weight* (RFC 9110 §12.4.2) in thousandths: `q=0.5` is 500. A malformed
/// weight is 0. `None` for any other parameter.
///
/// ```
/// use tidewire_grammar::weight;
///
/// assert_eq!(weight(b"q=0.5"), Some(500));
/// assert_eq!(weight(b"q=2"), Some(0));
/// assert_eq!(weight(b"level=1"), None);
/// ```
#[must_use]
pub fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(parameter.iter().position(|&b| b == b'=')?)?;
    eq_ignore_case(trim_ows(name), b"q").then(|| qvalue(trim_ows(&value[1..])).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        for (parameter, value) in [
            ("q=0.5", Some(500)),
            (" Q = 1", Some(1000)),
            ("q=2", Some(0)),
            ("q=", Some(0)),
            ("charset=utf-8", None),
            ("q", None),
        ] {
            assert_eq!(weight(parameter.as_bytes()), value, "{parameter:?}");
        }
    }
}
