//! The boundary of the multipart feeds, and JSON that does not hold it.

use memchr::memmem;

/// What the parts must not hold. It is the same for all, so that what is written is; chance does
/// not keep payloads apart from it, but escapes do.
pub(crate) const BOUNDARY: &[u8] = b"--tidewire";

/// Whether bytes hold the boundary.
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    memmem::find(bytes, BOUNDARY).is_some()
}

/// Escapes the boundary in the JSON that was written from `start` on.
///
/// JSON has no line ends outside of its strings and escapes them within, so no delimiter can be in
/// it; and where the boundary stands in the middle of a line, an escape keeps it from readers that
/// do not look where a line begins.
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
