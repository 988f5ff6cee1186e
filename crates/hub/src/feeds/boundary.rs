//! The boundary of the multipart feeds, and how JSON is kept free of it.

use memchr::memmem;

/// The delimiter, which no part may contain. All streams use the same delimiter, so that they can
/// share bytes. It is therefore not random, and a payload can contain it. Such payloads are
/// escaped.
pub(crate) const BOUNDARY: &[u8] = b"--tidewire";

/// Whether the bytes contain the delimiter.
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    memmem::find(bytes, BOUNDARY).is_some()
}

/// Escapes the delimiter in the JSON that was written from `start` on.
///
/// JSON escapes line ends in strings, and this JSON has no others. So no delimiter line can occur
/// in it. But some readers do not check for the start of a line, so the text of the delimiter is
/// escaped everywhere.
pub(crate) fn escape(out: &mut Vec<u8>, start: usize) {
    if !is_in(&out[start..]) {
        return;
    }
    let json = out.split_off(start);
    let mut rest = &json[..];
    while let Some(at) = memmem::find(rest, BOUNDARY) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\\u002d");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
