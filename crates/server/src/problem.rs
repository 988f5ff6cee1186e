//! Refusals as `application/problem+json` (RFC 9457), with a sentence that says what to do.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use tidewire_http1::reason_phrase;

use crate::{Response, json};

/// A refusal. Displays as status, title and detail. Serializes as the object of RFC 9457.
///
/// ```
/// use tidewire_server::{Never, Problem, Reply};
///
/// let problem = Problem::new(429, "Wait a minute.").with("limit", 60);
/// let json = r#"{"status":429,"title":"Too Many Requests","detail":"Wait a minute.","limit":60}"#;
/// assert_eq!(problem.to_json().trim_ascii_end(), json.as_bytes());
/// let answer: Reply<Never> = problem.into_response().into();
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// One or more sentences: what was wrong and what to do about it.
    pub detail: String,
    /// Further members.
    extensions: Vec<(String, Box<RawValue>)>,
}

impl Problem {
    /// A refusal with this status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Problem { status, detail: detail.into(), extensions: Vec::new() }
    }

    /// Adds an extension member (RFC 9457 §3.2).
    ///
    /// # Panics
    /// If JSON cannot hold the value, for example a map whose keys are not strings.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Serialize) -> Self {
        let value = to_raw_value(&value).expect("the value is one of JSON's");
        self.extensions.push((member.into(), value));
        self
    }

    /// The extension members, in the order in which they were added.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.extensions.iter().map(|(member, value)| (member.as_str(), &**value))
    }

    /// The title: the reason phrase of the status.
    #[must_use]
    pub fn title(&self) -> &'static str {
        reason_phrase(self.status)
    }

    /// The JSON object on one line, with the line end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        json::write(self, &mut out);
        out.push(b'\n');
        out
    }

    /// The response. Caches do not store it.
    #[must_use]
    pub fn into_response(self) -> Response {
        Response::new(self.status)
            .with("Content-Type", "application/problem+json")
            .with("Cache-Control", "no-store")
            .body(self.to_json())
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(3 + self.extensions.len()))?;
        members.serialize_entry("status", &self.status)?;
        members.serialize_entry("title", self.title())?;
        members.serialize_entry("detail", &self.detail)?;
        for (member, value) in &self.extensions {
            members.serialize_entry(member, value)?;
        }
        members.end()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.title(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The title of a status is its reason phrase in the status line that `tidewire-http1` writes.
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

    fn text(problem: Problem) -> String {
        String::from_utf8(problem.to_json()).unwrap()
    }

    #[test]
    fn the_json_of_a_problem_is_one_line() {
        let json =
            text(Problem::new(400, "\u{85}\u{2028}\u{2029} \u{e9}\u{20ac}").with("\u{2028}", "\u{2029}"));
        assert!(json.contains("\"\\u0085\\u2028\\u2029 \u{e9}\u{20ac}\",\"\\u2028\":\"\\u2029\""), "{json}");
    }

    #[test]
    fn json_is_escaped_and_carries_its_members_in_order() {
        let value = serde_json::json!({ "missed": 3 });
        let json =
            text(Problem::new(410, "a \"quoted\"\nline").with("earliest", "e-1").with("about", &value));
        assert_eq!(
            json,
            r#"{"status":410,"title":"Gone","detail":"a \"quoted\"\nline","earliest":"e-1","#.to_owned()
                + r#""about":{"missed":3}}"#
                + "\n"
        );
    }
}
