//! Refusals: `application/problem+json` (RFC 9457) with a sentence that says what to do.

use tidewire_http1::reason_phrase;

use crate::Response;

/// A refusal. Displays as its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// One or more sentences: what was wrong and what to do about it.
    pub detail: String,
    /// Further members, as JSON text without braces: `"earliest":"…"`.
    extra: String,
}

impl Problem {
    /// A refusal with this status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Problem { status, detail: detail.into(), extra: String::new() }
    }

    /// Adds an extension member (RFC 9457 §3.2) with a text value.
    #[must_use]
    pub fn with(mut self, member: &str, value: &str) -> Self {
        self.extra.push(',');
        push_json_string(&mut self.extra, member);
        self.extra.push(':');
        push_json_string(&mut self.extra, value);
        self
    }

    /// Adds an extension member whose value is JSON text already.
    #[must_use]
    pub fn with_json(mut self, member: &str, json: &str) -> Self {
        self.extra.push(',');
        push_json_string(&mut self.extra, member);
        self.extra.push(':');
        self.extra.push_str(json);
        self
    }

    /// The title: the reason phrase of the status.
    pub fn title(&self) -> &'static str {
        reason_phrase(self.status)
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        let mut json = format!("{{\"status\":{},\"title\":\"{}\",\"detail\":", self.status, self.title());
        push_json_string(&mut json, &self.detail);
        json.push_str(&self.extra);
        json.push_str("}\n");
        json
    }

    /// The response. Caches keep their hands off it.
    pub fn into_response(self) -> Response {
        Response::new(self.status)
            .with("Content-Type", "application/problem+json")
            .with("Cache-Control", "no-store")
            .body(self.to_json())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.title(), self.detail)
    }
}

/// Writes `text` as a JSON string (RFC 8259 §7). Escapes what JSON requires, and what readers of
/// lines in some languages take for the end of a line: U+0085, U+2028 and U+2029.
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..' ' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status has one name: in the title, and in the status line that `tidewire-http1` writes.
    #[test]
    fn titles_are_the_phrases_of_status_lines() {
        use tidewire_http1::{BodyLength, Connection, Fields, Limits, Response, Server};

        for status in 400..600 {
            let mut http = Connection::<Server>::new(Limits::default());
            http.decode(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &mut Fields::new()).unwrap();
            let mut head = Vec::new();
            http.send_head(&Response::new(status), BodyLength::Length(0), &mut head).unwrap();
            let line = head.split(|&b| b == b'\r').next().unwrap();
            let phrase = std::str::from_utf8(line).unwrap().split_once(&format!("{status} ")).unwrap().1;
            assert_eq!(phrase, Problem::new(status, "").title(), "{status}");
        }
        assert_eq!(Problem::new(413, "").title(), "Content Too Large");
    }

    #[test]
    fn there_is_no_line_end_within() {
        let json =
            Problem::new(400, "\u{85}\u{2028}\u{2029} \u{e9}\u{20ac}").with("\u{2028}", "\u{2029}").to_json();
        assert!(json.contains("\"\\u0085\\u2028\\u2029 \u{e9}\u{20ac}\",\"\\u2028\":\"\\u2029\""), "{json}");
    }

    #[test]
    fn json_is_escaped_and_carries_its_members() {
        let json = Problem::new(410, "a \"quoted\"\nline").with("earliest", "e-1").to_json();
        assert_eq!(
            json,
            "{\"status\":410,\"title\":\"Gone\",\"detail\":\"a \\\"quoted\\\"\\u000aline\",\"earliest\":\"e-1\"}\n"
        );
    }
}
