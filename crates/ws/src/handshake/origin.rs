use core::fmt;
use tidewire_grammar::eq_ignore_case;

/// From which web pages a browser may connect.
///
/// A browser sends cookies along with a WebSocket handshake to *any* server, and CORS does not hold it back: without this check every page
/// that a user visits can speak in that user's name (cross-site WebSocket hijacking). Programs that are no browsers send no `Origin`
/// and pass; they have to be known by something else.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Origins<'a> {
    /// Pages of the host that is asked: the origin's host and port are those of the `Host` field.
    #[default]
    Same,
    /// Pages of these origins, such as `https://example.com`: scheme, host and port in full, ports 80 and 443 left out, as
    /// browsers write it. `null`, the origin of files and sandboxes, matches nothing, not even `"null"`.
    Listed(&'a [&'a str]),
    /// Pages for which this says yes to the value of `Origin`.
    Checked(&'a (dyn Fn(&[u8]) -> bool + Sync)),
    /// Every page. Right only for a server that gives nothing to a cookie and nothing to a network address.
    Any,
}

impl Origins<'_> {
    /// Whether a handshake with these values of `Origin` and `Host` may go on.
    pub fn allow(&self, origin: Option<&[u8]>, host: &[u8]) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::Checked(check) => check(origin),
            Self::Listed(list) => {
                origin != b"null" && list.iter().any(|o| eq_ignore_case(o.as_bytes(), origin))
            }
            Self::Same => is_same(origin, host),
        }
    }
}

/// An origin is scheme `://` host [`:` port], without a path. Behind a proxy the scheme of the request is not known, so that either
/// one's default port may be left out on either side.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    let (authority, port) = if let Some(rest) = strip_prefix(origin, b"https://") {
        (rest, &b":443"[..])
    } else if let Some(rest) = strip_prefix(origin, b"http://") {
        (rest, &b":80"[..])
    } else {
        return false;
    };
    let bare = |a: &[u8]| a.len() - if a.ends_with(port) { port.len() } else { 0 };
    let (a, b) = (&authority[..bare(authority)], &host[..bare(host)]);
    !a.is_empty() && eq_ignore_case(a, b)
}

fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    eq_ignore_case(start, prefix).then_some(rest)
}

impl fmt::Debug for Origins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("Same"),
            Self::Listed(list) => f.debug_tuple("Listed").field(list).finish(),
            Self::Checked(_) => f.write_str("Checked(..)"),
            Self::Any => f.write_str("Any"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn the_same_host_and_nothing_that_looks_like_it() {
        let same = |origin: &str| Origins::Same.allow(Some(origin.as_bytes()), b"example.com:8080");
        assert!(same("http://example.com:8080") && same("https://EXAMPLE.com:8080"));
        for foreign in [
            "http://example.com",
            "http://example.com:8081",
            "http://example.com:8080.evil.org",
            "http://evil.org/example.com:8080",
            "http://evil-example.com:8080",
            "http://x@example.com:8080",
            "ftp://example.com:8080",
            "example.com:8080",
            "null",
            "http://",
            "",
        ] {
            assert!(!same(foreign), "{foreign}");
        }
        assert!(Origins::Same.allow(Some(b"https://example.com"), b"example.com:443"));
        assert!(Origins::Same.allow(Some(b"https://example.com"), b"example.com"));
        assert!(!Origins::Same.allow(Some(b"https://example.com"), b"example.com:80"));
        assert!(!Origins::Same.allow(Some(b"http://"), b""));
    }

    #[test]
    fn a_list_is_exact_and_a_program_has_no_origin() {
        let listed = Origins::Listed(&["https://example.com", "null"]);
        let allow = |origin: &str| listed.allow(Some(origin.as_bytes()), b"example.com");
        assert!(allow("https://example.com"));
        for foreign in
            ["http://example.com", "https://example.com:444", "https://example.com.evil.org", "null"]
        {
            assert!(!allow(foreign), "{foreign}");
        }
        assert!(listed.allow(None, b"example.com") && Origins::Same.allow(None, b""));
        assert!(Origins::Checked(&|o| o == b"a").allow(Some(b"a"), b"b"));
        assert!(!Origins::Checked(&|o| o == b"a").allow(Some(b"b"), b"b"));
        assert!(Origins::Any.allow(Some(b"null"), b"b"));
    }
}
