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

/// Makes a script of a poll's answer, which was written for this place.
pub(crate) fn script(callback: &str, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + callback.len() + 16);
    out.extend_from_slice(b"/**/");
    out.extend_from_slice(callback.as_bytes());
    out.push(b'(');
    out.extend_from_slice(json);
    out.extend_from_slice(b");\n");
    out
}

/// The media type of an answer.
pub(crate) const MEDIA: &str = "application/javascript; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_call() {
        assert_eq!(
            script("a.b", b"{\"x\":\"\\u003c/script\\u003e\"}"),
            b"/**/a.b({\"x\":\"\\u003c/script\\u003e\"});\n"
        );
    }
}
