//! JSON within JavaScript, for the techniques that are made of scripts.

/// The name that is called where the client names none.
pub(crate) const DEFAULT_CALLBACK: &str = "tidewire";

/// Longest name of a function to call, in bytes.
pub(crate) const MAX_CALLBACK: usize = 64;

/// Whether a script may be told to call this: `[A-Za-z_$][\w$.]*`, which is a name or a path of names and cannot become
/// any other expression.
pub(crate) fn is_callback(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
    name.len() <= MAX_CALLBACK
        && name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|b| is_letter(b) || b.is_ascii_digit() || b == b'.')
}

/// Appends JSON text as a JavaScript expression that may stand within a `<script>` of a page.
///
/// JSON is JavaScript but for U+2028 and U+2029, which ended a line before ES2019; and `</script>` or `<!--` would end the script or
/// hide its end. All of these occur within strings only, where an escape means the same.
pub(crate) fn push(out: &mut Vec<u8>, json: &[u8]) {
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
    fn only_names_are_called() {
        for good in ["f", "_", "$", "a.b.c", "jQuery_123.$cb", "tidewire", &"a".repeat(64)] {
            assert!(is_callback(good), "{good}");
        }
        for bad in [
            "",
            "1a",
            ".a",
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
        ] {
            assert!(!is_callback(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_would_leave_a_script_is_escaped() {
        let text = "</script><!-- & \u{2028}\u{2029} \u{201c}€\u{201d}";
        let json = serde_json::to_vec(text).unwrap();
        let mut out = Vec::new();
        push(&mut out, &json);
        let script = String::from_utf8(out).unwrap();
        assert!(!script.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{script}");
        assert_eq!(serde_json::from_str::<String>(&script).unwrap(), text, "it means the same");
    }
}
