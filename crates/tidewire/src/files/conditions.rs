//! Conditional requests (RFC 9110 §13): their result depends on whether the file has changed.

use std::time::SystemTime;

use tidewire_http1::RequestHead;
use tidewire_hub::conditions::{any_tag, strip_weak};

use super::file_state::content_tag;
use super::open::{Content, Opened};
use super::range::Ranges;

/// The validators of a file. Each is `None` if it cannot tell two states of the file apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag, with its quotes. It is strong unless it begins with `W/` (RFC 9110 §8.8.1).
    pub(super) etag: Option<String>,
    last_modified: Option<SystemTime>,
}

impl Validators {
    /// Returns the validators of a file that was opened at this time. A short file is identified by
    /// its bytes, a long one by its state.
    pub(super) fn of(opened: &Opened, now: SystemTime) -> Self {
        let etag = match &opened.content {
            Content::Whole(bytes) => Some(content_tag(bytes)),
            Content::Large(_) => opened.state.tag(now),
        };
        Validators { etag, last_modified: opened.state.date(now) }
    }

    pub(super) fn last_modified_text(&self) -> Option<String> {
        self.last_modified.map(httpdate::fmt_http_date)
    }

    /// Strong comparison (§8.8.3.2): a weak tag never matches, on either side.
    fn matches_strongly(&self, tag: &[u8]) -> bool {
        tag.starts_with(b"\"") && self.etag.as_ref().is_some_and(|etag| tag == etag.as_bytes())
    }

    fn matches_weakly(&self, tag: &[u8]) -> bool {
        self.etag.as_ref().is_some_and(|etag| strip_weak(tag) == strip_weak(etag.as_bytes()))
    }

    /// Whether the file has this date. A date is a strong validator once no later state can have it
    /// (§8.8.2.2). Other dates are not sent.
    fn has_date(&self, date: SystemTime) -> bool {
        self.last_modified == Some(date)
    }
}

/// The fields that make a request conditional, and the range that they may cancel.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_unmodified_since: Option<SystemTime>,
    if_modified_since: Option<SystemTime>,
    if_range: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
}

/// The result of the conditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Proceed,
    NotModified,
    PreconditionFailed,
}

impl Conditions {
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        let lines = |name: &str| -> Option<Vec<u8>> {
            let lines: Vec<&[u8]> = head.get_all(name).collect();
            (!lines.is_empty()).then(|| lines.join(&b", "[..]))
        };
        // A field that is not exactly one date is ignored (§13.1.3, §13.1.4).
        let date = |name: &str| {
            let mut lines = head.get_all(name);
            let text = std::str::from_utf8(lines.next().filter(|_| lines.next().is_none())?).ok()?;
            httpdate::parse_http_date(text).ok()
        };
        Conditions {
            if_match: lines("if-match"),
            if_none_match: lines("if-none-match"),
            if_unmodified_since: date("if-unmodified-since"),
            if_modified_since: date("if-modified-since"),
            if_range: lines("if-range"),
            range: lines("range"),
        }
    }

    /// Evaluates the conditions in the order of §13.2.2.
    pub(super) fn evaluate(&self, validators: &Validators) -> Outcome {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !any_tag(tags, |tag| validators.matches_strongly(tag)) => {
                return Outcome::PreconditionFailed;
            }
            (None, Some(date)) if validators.last_modified.is_some_and(|at| at > date) => {
                return Outcome::PreconditionFailed;
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if any_tag(tags, |tag| validators.matches_weakly(tag)) => Outcome::NotModified,
            (None, Some(date)) if validators.last_modified.is_some_and(|at| at <= date) => {
                Outcome::NotModified
            }
            _ => Outcome::Proceed,
        }
    }

    /// Returns the bytes to send. A range is used only if `If-Range` (§13.1.5) is absent or matches
    /// the present file.
    pub(super) fn ranges(&self, validators: &Validators, len: u64) -> Ranges {
        let holds = match &self.if_range {
            None => true,
            Some(tag) if tag.starts_with(b"\"") || tag.starts_with(b"W/") => validators.matches_strongly(tag),
            Some(date) => std::str::from_utf8(date)
                .ok()
                .and_then(|text| httpdate::parse_http_date(text).ok())
                .is_some_and(|date| validators.has_date(date)),
        };
        match &self.range {
            Some(range) if holds => Ranges::parse(range, len),
            _ => Ranges::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tidewire_http1::{Fields, Limits};

    use super::*;

    const MODIFIED: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

    fn validators() -> Validators {
        Validators { etag: Some("\"tag\"".to_owned()), last_modified: at(0) }
    }

    fn at(offset: i64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(MODIFIED.checked_add_signed(offset).unwrap()))
    }

    fn tags(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn missing_and_weak_validators_match_only_where_they_are_safe() {
        let range = tags("bytes=0-1");
        let none = Validators { etag: None, last_modified: None };
        let weak = Validators { etag: Some("W/\"tag\"".to_owned()), last_modified: None };
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (validators, tag_holds) in [(&none, false), (&weak, true)] {
            let evaluate = |conditions: Conditions| conditions.evaluate(validators);
            // A date of the request has no meaning if the file has no date.
            let dated = Conditions { if_modified_since: at(0), ..Conditions::default() };
            assert_eq!(evaluate(dated), Outcome::Proceed);
            let dated = Conditions { if_unmodified_since: at(-1), ..Conditions::default() };
            assert_eq!(evaluate(dated), Outcome::Proceed);
            // A weak tag can save a transfer. It cannot prevent a lost update or join two parts.
            for tag in ["\"tag\"", "W/\"tag\""] {
                let cached = Conditions { if_none_match: tags(tag), ..Conditions::default() };
                let want = if tag_holds { Outcome::NotModified } else { Outcome::Proceed };
                assert_eq!(evaluate(cached), want, "{tag}");
                let guarded = Conditions { if_match: tags(tag), ..Conditions::default() };
                assert_eq!(evaluate(guarded), Outcome::PreconditionFailed, "{tag}");
            }
            for if_range in ["\"tag\"", "W/\"tag\"", date] {
                let conditions =
                    Conditions { if_range: tags(if_range), range: range.clone(), ..Conditions::default() };
                assert_eq!(conditions.ranges(validators, 16), Ranges::All, "{if_range}");
            }
            let any = Conditions { if_match: tags("*"), ..Conditions::default() };
            assert_eq!(evaluate(any), Outcome::Proceed, "there is a file");
        }
    }

    #[test]
    fn conditions_are_evaluated_in_their_order() {
        let v = validators();
        let etag = v.etag.as_deref().unwrap();
        let weak = format!("W/{etag}");
        let none = Conditions::default;
        use Outcome::{NotModified, PreconditionFailed, Proceed};
        let cases: &[(&str, Conditions, Outcome)] = &[
            ("nothing", none(), Proceed),
            ("if-match", Conditions { if_match: tags(etag), ..none() }, Proceed),
            ("if-match *", Conditions { if_match: tags("*"), ..none() }, Proceed),
            ("if-match weak", Conditions { if_match: tags(&weak), ..none() }, PreconditionFailed),
            ("if-match other", Conditions { if_match: tags("\"x\", \"y\""), ..none() }, PreconditionFailed),
            ("if-none-match", Conditions { if_none_match: tags(etag), ..none() }, NotModified),
            ("if-none-match weak", Conditions { if_none_match: tags(&weak), ..none() }, NotModified),
            (
                "if-none-match list",
                Conditions { if_none_match: tags(&format!("\"x\", {etag}")), ..none() },
                NotModified,
            ),
            ("if-none-match *", Conditions { if_none_match: tags("*"), ..none() }, NotModified),
            ("if-none-match other", Conditions { if_none_match: tags("\"x\""), ..none() }, Proceed),
            ("modified since", Conditions { if_modified_since: at(-1), ..none() }, Proceed),
            ("not modified since", Conditions { if_modified_since: at(0), ..none() }, NotModified),
            ("unmodified since", Conditions { if_unmodified_since: at(0), ..none() }, Proceed),
            (
                "not unmodified since",
                Conditions { if_unmodified_since: at(-1), ..none() },
                PreconditionFailed,
            ),
            (
                "a tag overrides a date",
                Conditions { if_none_match: tags("\"x\""), if_modified_since: at(0), ..none() },
                Proceed,
            ),
            (
                "a tag overrides a date, the other way",
                Conditions { if_match: tags(etag), if_unmodified_since: at(-1), ..none() },
                Proceed,
            ),
            (
                "a failed precondition comes before not modified",
                Conditions { if_match: tags("\"x\""), if_none_match: tags(etag), ..none() },
                PreconditionFailed,
            ),
        ];
        for (name, conditions, want) in cases {
            assert_eq!(conditions.evaluate(&v), *want, "{name}");
        }
    }

    /// RFC 9110 §5.6.7, §13.1.3, §13.1.4.
    #[test]
    fn a_date_may_have_any_form_but_must_be_the_only_one() {
        let dates = |fields: &str| {
            let (head, mut table) = (format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), Fields::new());
            let (_, head) =
                RequestHead::parse(head.as_bytes(), &Limits::DEFAULT, &mut table).unwrap().unwrap();
            let conditions = Conditions::of(&head);
            (conditions.if_modified_since, conditions.if_unmodified_since)
        };
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(dates(&format!("If-Modified-Since: {date}\r\n")), (at(0), None), "{date}");
            assert_eq!(dates(&format!("If-Unmodified-Since: {date}\r\n")), (None, at(0)), "{date}");
            for name in ["If-Modified-Since", "If-Unmodified-Since"] {
                assert_eq!(dates(&format!("{name}: {date}\r\n{name}: {date}\r\n")), (None, None), "{name}");
                assert_eq!(dates(&format!("{name}: {date}, {date}\r\n")), (None, None), "{name}");
            }
        }
    }

    #[test]
    fn a_range_is_used_only_for_the_file_of_if_range() {
        let v = validators();
        let ranged = |if_range: Option<Vec<u8>>| {
            let conditions = Conditions { if_range, range: tags("bytes=0-1"), ..Conditions::default() };
            conditions.ranges(&v, 16) != Ranges::All
        };
        assert!(ranged(None));
        assert!(ranged(tags(v.etag.as_deref().unwrap())));
        assert!(ranged(tags("Sun, 06 Nov 1994 08:49:37 GMT")));
        for no in ["\"x\"", "Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "yesterday", ""]
        {
            assert!(!ranged(tags(no)), "{no}");
        }
        assert!(!ranged(Some(format!("W/{}", v.etag.as_deref().unwrap()).into_bytes())));
    }

    #[test]
    fn if_range_without_a_range_is_ignored() {
        let v = validators();
        let alone = Conditions { if_range: v.etag.clone().map(String::into_bytes), ..Conditions::default() };
        assert_eq!(alone.ranges(&v, 16), Ranges::All);
        assert_eq!(alone.evaluate(&v), Outcome::Proceed);
    }
}
