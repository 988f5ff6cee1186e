//! JSONP: a long poll whose answer is a script, for a `<script>` element of any page on the web.
//!
//! Quirks: a script sees neither status nor fields, only that it did not load. So a gap is not a
//! 410 here but a part of the answer, which then goes on after it. An old cache would keep a script
//! for ever: the cursor in the URL makes each one new, and `no-store` says so too.
//!
//! Safety: a script element loads from everywhere and sends cookies, so a channel that may be read
//! this way may be read by every page on the web. The name of the callback is checked
//! (`script.rs`), and the answer begins with a comment, so that no file of another kind (Flash
//! once) can be made of the first bytes.

/// Points in the name of a callback: `angular.callbacks._0` has two.
pub(crate) const MAX_POINTS: usize = 2;

/// Appends what stands before the answer.
pub(crate) fn begin(callback: &str, out: &mut Vec<u8>) {
    for part in ["/**/", callback, "("] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The end of the answer, and what stands behind it.
pub(crate) const END: &[u8] = b"});\n";

/// The media type of an answer.
pub(crate) const MEDIA: &str = "application/javascript; charset=utf-8";
