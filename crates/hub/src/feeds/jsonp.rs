//! JSONP: a long poll whose answer is a script, for a `<script>` element of any page on the web.
//!
//! Quirks: a page sees neither the status nor the fields of a script, only that it did not load. So
//! a gap is not a 410 here but part of the answer, and messages follow it. An old cache could keep
//! a script for ever. The cursor in the URL makes each URL new, and `no-store` forbids caching.
//!
//! Safety: a script element loads from any origin and sends cookies. So every page on the web can
//! read a channel that allows JSONP. The name of the callback is checked (`script.rs`). The answer
//! begins with a comment, so that its first bytes cannot be the start of another file type. (An old
//! attack chose the callback name so that the answer was a Flash file.)

/// The largest number of points in the name of a callback: `angular.callbacks._0` has two.
pub(crate) const MAX_POINTS: usize = 2;

/// Appends the text before the answer.
pub(crate) fn begin(callback: &str, out: &mut Vec<u8>) {
    for part in ["/**/", callback, "("] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The end of the answer, and the text after it.
pub(crate) const END: &[u8] = b"});\n";

/// The media type of an answer.
pub(crate) const MEDIA: &str = "application/javascript; charset=utf-8";
