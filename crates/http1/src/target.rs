//! Request targets and hosts (RFC 9112 §3.2, RFC 3986 §3.2.2).

use crate::message::{Method, TargetForm};
use alloc::borrow::Cow;
use tidewire_grammar::class::{is_digit, is_hexdig, is_reg_name};
use tidewire_grammar::ip_literal;

/// Returns whether `b` is allowed in a request target: visible ASCII without `"`, `#`, `<` and `>`.
///
/// RFC 3986 also excludes ``\ ^ ` { | }``. But the WHATWG URL standard lets browsers send them
/// unencoded in a query, and a server that refuses them breaks pages. A fragment is never sent, so
/// `#` is an error.
pub(crate) const fn is_target_byte(b: u8) -> bool {
    matches!(b, 0x21..=0x7E) && !matches!(b, b'"' | b'#' | b'<' | b'>')
}

/// Returns the form of `target`, which has only target bytes. `Err` holds the index of the first
/// byte that fits none of the forms that the method allows.
pub(crate) fn form(method: Method<'_>, target: &[u8]) -> Result<TargetForm, usize> {
    match (method, target) {
        // RFC 9112 §3.2.3: CONNECT requires this form, and only CONNECT allows it.
        (Method::Connect, _) => authority_form(target).map(|()| TargetForm::Authority),
        (_, [b'/', ..]) => Ok(TargetForm::Origin),
        // RFC 9112 §3.2.4: only for an OPTIONS about the whole server.
        (Method::Options, [b'*']) => Ok(TargetForm::Asterisk),
        _ => {
            let (start, end) = authority_span(target)?;
            check_host(&target[start..end]).map_err(|at| start.saturating_add(at))?;
            // RFC 9110 §4.2.1: an http URI with an empty host is invalid.
            if start == end || target[start] == b':' { Err(start) } else { Ok(TargetForm::Absolute) }
        }
    }
}

/// Returns the authority of a target in absolute form.
pub(crate) fn authority(target: &[u8]) -> Option<&[u8]> {
    let (start, end) = authority_span(target).ok()?;
    Some(&target[start..end])
}

/// Returns the part of a target after the authority, as it was received.
fn local_part(form: TargetForm, target: &[u8]) -> &[u8] {
    match form {
        TargetForm::Origin | TargetForm::Asterisk => target,
        TargetForm::Authority => &[],
        TargetForm::Absolute => authority_span(target).map_or(&[][..], |(_, end)| &target[end..]),
    }
}

/// Returns path and query of a target in one piece. Copies it only if the target has a query and no
/// path.
pub(crate) fn path_and_query(form: TargetForm, target: &[u8]) -> Cow<'_, [u8]> {
    match (form, local_part(form, target)) {
        // RFC 9112 §3.2.1: an empty path is sent as "/".
        (TargetForm::Absolute, []) => Cow::Borrowed(b"/"),
        (TargetForm::Absolute, query @ [b'?', ..]) => Cow::Owned([b"/", query].concat()),
        (_, local) => Cow::Borrowed(local),
    }
}

/// Returns path and query of a target.
pub(crate) fn split_path(form: TargetForm, target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let local = local_part(form, target);
    let mut parts = local.splitn(2, |&b| b == b'?');
    let (path, query) = (parts.next().unwrap_or_default(), parts.next());
    // RFC 9110 §4.2.3: an empty path of an http URI is the same as "/".
    (if path.is_empty() && form == TargetForm::Absolute { b"/" } else { path }, query)
}

/// Checks that `value` is `uri-host [ ":" port ]` (RFC 9110 §7.2). `Err` holds the index of the
/// first byte that is not allowed. The grammar allows an empty host.
pub(crate) fn check_host(value: &[u8]) -> Result<(), usize> {
    let end = if value.first() == Some(&b'[') {
        ip_literal(value).map_err(|e| e.offset())?.1
    } else {
        reg_name_len(value)?
    };
    match value[end..].split_first() {
        None => Ok(()),
        Some((b':', port)) => match port.iter().position(|&b| !is_digit(b)) {
            None => Ok(()),
            Some(at) => Err(end.saturating_add(1).saturating_add(at)),
        },
        Some(_) => Err(end),
    }
}

/// Checks for `uri-host ":" port`. Neither may be empty (RFC 9110 §9.3.6).
fn authority_form(target: &[u8]) -> Result<(), usize> {
    check_host(target)?;
    // The last byte that is no digit must be the colon, with bytes before and after it.
    match target.iter().rposition(|&b| !is_digit(b)).map(|at| target.split_at(at)) {
        Some(([_, ..], [b':', _, ..])) => Ok(()),
        _ => Err(target.len()),
    }
}

/// Returns start and end of the authority in `scheme "://" authority [ path ] [ "?" query ]`.
fn authority_span(target: &[u8]) -> Result<(usize, usize), usize> {
    let scheme = target
        .iter()
        .position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
        .unwrap_or(target.len());
    if !target.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(0);
    }
    for (at, expected) in (scheme..).zip(b"://") {
        if target.get(at) != Some(expected) {
            return Err(at);
        }
    }
    let start = scheme.saturating_add(3);
    let len = target[start..].iter().position(|b| matches!(b, b'/' | b'?'));
    Ok((start, len.map_or(target.len(), |len| start.saturating_add(len))))
}

/// Returns the length of the *reg-name* at the start (RFC 3986 §3.2.2). IPv4 addresses are
/// included.
fn reg_name_len(value: &[u8]) -> Result<usize, usize> {
    let mut i = 0_usize;
    while let Some(&b) = value.get(i) {
        if is_reg_name(b) {
            i = i.saturating_add(1);
        } else if b == b'%' {
            for at in [i.saturating_add(1), i.saturating_add(2)] {
                if !value.get(at).is_some_and(|&b| is_hexdig(b)) {
                    return Err(at);
                }
            }
            i = i.saturating_add(3);
        } else {
            break;
        }
    }
    Ok(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_allows_its_forms_of_target() {
        let form = |m, t: &str| form(m, t.as_bytes());
        assert_eq!(form(Method::Get, "/a?b"), Ok(TargetForm::Origin));
        assert_eq!(form(Method::Get, "http://a.b:80/c"), Ok(TargetForm::Absolute));
        assert_eq!(form(Method::Get, "http://[::1]?q"), Ok(TargetForm::Absolute));
        assert_eq!(form(Method::Options, "*"), Ok(TargetForm::Asterisk));
        assert_eq!(form(Method::Connect, "a.b:80"), Ok(TargetForm::Authority));
        assert_eq!(form(Method::Connect, "[::1]:80"), Ok(TargetForm::Authority));
        for (method, target, at) in [
            (Method::Get, "*", 0),
            (Method::Options, "**", 0),
            (Method::Get, "a.b:80", 4),
            (Method::Get, "a/b", 1),
            (Method::Get, "http:/a", 6),
            (Method::Get, "http://", 7),
            (Method::Get, "http:///a", 7),
            (Method::Get, "http://:80/", 7),
            (Method::Get, "http://u@h/", 8),
            (Method::Get, "http://[:::::]/", 10),
            (Method::Connect, "[1]:80", 2),
            (Method::Get, "1http://h/", 0),
            (Method::Connect, "/a", 0),
            (Method::Connect, "a.b", 3),
            (Method::Connect, "a.b:", 4),
            (Method::Connect, ":80", 3),
            (Method::Connect, "http://a:80", 5),
        ] {
            assert_eq!(form(method, target), Err(at), "{method} {target}");
        }
    }

    #[test]
    fn valid_and_invalid_hosts() {
        for good in
            ["", "a", "a.b:80", "a:", "127.0.0.1", "[::1]", "[::1]:8080", "[v1.x]", "a%20b", "a_b", ":80"]
        {
            assert_eq!(check_host(good.as_bytes()), Ok(()), "{good:?}");
        }
        for (bad, at) in [
            ("a b", 1),
            ("a/b", 1),
            ("u@h", 1),
            ("a:b", 2),
            ("a:80:80", 4),
            ("[::1", 4),
            ("[]", 1),
            ("[:::::]", 3),
            ("[zz]", 1),
            ("[1]", 2),
            ("[1:2:3:4:5:6:7:8:9]:80", 16),
            ("[::1.2.3.256]", 11),
            ("[fe80::1%25eth0]", 8),
            ("[v1]", 3),
            ("[::1]x", 5),
            ("[/]", 1),
            ("a%2", 3),
            ("a%zz", 2),
            ("caf\u{e9}", 3),
        ] {
            assert_eq!(check_host(bad.as_bytes()), Err(at), "{bad:?}");
        }
    }

    #[test]
    fn path_and_query_of_each_form() {
        let split = |m, t: &'static str| split_path(form(m, t.as_bytes()).unwrap(), t.as_bytes());
        assert_eq!(split(Method::Get, "/a/b?c?d"), (b"/a/b".as_slice(), Some(b"c?d".as_slice())));
        assert_eq!(split(Method::Get, "/?"), (b"/".as_slice(), Some(b"".as_slice())));
        assert_eq!(split(Method::Get, "http://h/x"), (b"/x".as_slice(), None));
        assert_eq!(split(Method::Get, "http://h?x"), (b"/".as_slice(), Some(b"x".as_slice())));
        assert_eq!(split(Method::Options, "*"), (b"*".as_slice(), None));
        assert_eq!(split(Method::Connect, "h:1"), (b"".as_slice(), None));
    }

    #[test]
    fn path_and_query_in_one_piece_are_what_the_parts_say() {
        for (method, target, expected) in [
            (Method::Get, "/a/b?c?d", "/a/b?c?d"),
            (Method::Get, "/?", "/?"),
            (Method::Get, "/", "/"),
            (Method::Get, "//a/b", "//a/b"),
            (Method::Get, "http://h", "/"),
            (Method::Get, "http://h/x?", "/x?"),
            (Method::Get, "http://h?x?y", "/?x?y"),
            (Method::Get, "http://h?", "/?"),
            (Method::Options, "*", "*"),
            (Method::Options, "http://h", "/"),
            (Method::Connect, "h:1", ""),
        ] {
            let form = form(method, target.as_bytes()).unwrap();
            let whole = path_and_query(form, target.as_bytes());
            assert_eq!(whole, expected.as_bytes(), "{target}");
            let (path, query) = split_path(form, target.as_bytes());
            let joined = query.map_or(path.to_vec(), |query| [path, b"?", query].concat());
            assert_eq!(*whole, joined, "{target}");
            assert_eq!(matches!(whole, Cow::Owned(_)), target.contains("h?"), "{target}");
        }
    }
}
