//! What both parsers share: the kind of start line, and the end of a method.

use crate::error::{ErrorKind, Fault, Limit, Syntax};
use crate::limits::Limits;
use tidewire_grammar::token_len;

/// The kind of start line, and so of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartLine {
    Request,
    Status,
}

/// The value of a status code, three digits.
#[inline(always)]
pub(crate) fn status_code(digits: [u8; 3]) -> u16 {
    digits.iter().fold(0_u16, |code, b| code.saturating_mul(10).saturating_add((b & 0xF).into()))
}

/// Returns the end of a method that is within the limit and followed by a space.
pub(crate) fn method_end(input: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
    let max = usize::from(limits.max_method);
    let end = token_len(&input[..input.len().min(max + 1)]);
    match input.get(end) {
        _ if end > max => Err((ErrorKind::Limit(Limit::Method), max)),
        None => Ok(None),
        Some(b' ') if end > 0 => Ok(Some(end)),
        Some(_) => Err((ErrorKind::Syntax(Syntax::Method), end)),
    }
}
