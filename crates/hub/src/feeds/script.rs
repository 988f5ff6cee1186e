//! JSON within JavaScript, for the techniques that use scripts.

/// The function that is called if the client names none.
pub(crate) const DEFAULT_CALLBACK: &str = "tidewire";

/// Longest name of a function to call, in bytes.
pub(crate) const MAX_CALLBACK: usize = 64;

/// Whether a script may call this function. The name consists of identifiers with at most
/// `max_points` points between them, and does not lead outside of what the page itself has defined.
///
/// Without this check, the URL of a feed could name any method that a page of this origin can
/// reach, and the feed would call it (*same origin method execution*). For example,
/// `opener.document.body.firstElementChild.click` presses a button of another window.
pub(crate) fn is_callback(name: &str, max_points: usize) -> bool {
    let parts = || name.split('.');
    let first = parts().next().unwrap_or_default();
    name.len() <= MAX_CALLBACK
        && parts().count() <= max_points + 1
        && parts().all(|part| is_identifier(part) && !OF_EVERY_OBJECT.contains(&part))
        && !OF_EVERY_WINDOW.contains(&first)
}

/// Whether this is `[A-Za-z_$][A-Za-z0-9_$]*`, which can form no other expression.
fn is_identifier(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
    name.bytes().next().is_some_and(is_letter) && name.bytes().all(|b| is_letter(b) || b.is_ascii_digit())
}

/// Names that lead from any object to its class.
const OF_EVERY_OBJECT: [&str; 5] =
    ["__proto__", "__defineGetter__", "__defineSetter__", "constructor", "prototype"];

/// Names that every page has: ways to other windows and to its elements, and functions that act on
/// their arguments. The frame checks all other names by itself (`iframe.rs`).
const OF_EVERY_WINDOW: [&str; 38] = [
    "Function",
    "Object",
    "Reflect",
    "addEventListener",
    "alert",
    "blur",
    "close",
    "confirm",
    "dispatchEvent",
    "document",
    "eval",
    "external",
    "fetch",
    "focus",
    "frameElement",
    "frames",
    "globalThis",
    "history",
    "location",
    "moveTo",
    "navigation",
    "navigator",
    "open",
    "opener",
    "parent",
    "postMessage",
    "print",
    "prompt",
    "queueMicrotask",
    "reportError",
    "requestAnimationFrame",
    "self",
    "setInterval",
    "setTimeout",
    "stop",
    "this",
    "top",
    "window",
];

/// Appends JSON as a JavaScript expression that may stand in a `<script>` of a page.
///
/// JSON is JavaScript, except U+2028 and U+2029, which were line ends before ES2019. In a page,
/// `</script>` or `<!--` would also end the script or hide its end. All of these occur only within
/// strings, where an escape has the same meaning.
pub(crate) fn push_json(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'<' | b'>' | b'&' | 0xe2)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (escape, len): (&[u8], _) = match special {
            [b'<', ..] => (b"\\u003c", 1),
            [b'>', ..] => (b"\\u003e", 1),
            [b'&', ..] => (b"\\u0026", 1),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            other => (&other[..1], 1),
        };
        out.extend_from_slice(escape);
        rest = &special[len..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_function_names_are_callbacks() {
        for good in ["f", "_", "$", "a.b", "a.b.c", "jQuery_123.$cb", "tidewire", &"a".repeat(64)] {
            assert!(is_callback(good, 2), "{good}");
        }
        for bad in [
            "",
            "1a",
            ".a",
            "a.",
            "a..b",
            "a.1",
            "a.b.c.d",
            "a-b",
            "a()",
            "a;b",
            "a b",
            "a[0]",
            "<script>",
            "a\u{e9}",
            "a\n",
            "alert(1)//",
            "a'",
            "a%20",
            &"a".repeat(65),
            "opener",
            "opener.focus",
            "document.write",
            "eval",
            "a.constructor",
            "a.b.__proto__",
        ] {
            assert!(!is_callback(bad, 2), "{bad:?}");
        }
        assert!(!is_callback("a.b.c", 1) && !is_callback("a.b", 0), "too many points");
    }

    #[test]
    fn text_that_would_end_a_script_is_escaped() {
        let text = "</script><!-- & \u{2028}\u{2029} \u{201c}€\u{201d}";
        let json = serde_json::to_vec(text).unwrap();
        let mut out = Vec::new();
        push_json(&mut out, &json);
        let script = String::from_utf8(out).unwrap();
        assert!(!script.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{script}");
        assert_eq!(serde_json::from_str::<String>(&script).unwrap(), text, "the escaped text means the same");
    }
}
