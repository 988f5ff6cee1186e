use core::fmt;
use tidewire_grammar::Origin;

/// From which web pages a browser may connect.
///
/// A browser sends cookies along with a WebSocket handshake to *any* server, and CORS does not hold
/// it back: without this check every page that a user visits can speak in that user's name
/// (cross-site WebSocket hijacking). Programs that are no browsers send no `Origin` and pass; they
/// have to be known by something else.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Origins<'a> {
    /// Pages of the host that is asked: the origin's host and port are those of the `Host` field,
    /// in any spelling. The scheme may be `http` or `https`, since behind a proxy it is not known.
    #[default]
    Same,
    /// Pages of these origins, such as `https://example.com`: scheme, host and port, in any
    /// spelling (see [`Origin`]). A text that is no origin matches nothing, and neither does
    /// `null`, which stands for all files and sandboxes.
    Listed(&'a [&'a str]),
    /// Pages for which this says yes to the value of `Origin`.
    Checked(&'a (dyn Fn(&[u8]) -> bool + Sync)),
    /// Every page. Right only for a server that gives nothing to a cookie and nothing to a network
    /// address.
    Any,
}

impl Origins<'_> {
    /// Whether a handshake with these values of `Origin` and `Host` may go on.
    #[must_use]
    pub fn allow(&self, origin: Option<&[u8]>, host: &[u8]) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::Checked(check) => check(origin),
            Self::Listed(list) => Origin::parse(origin)
                .is_ok_and(|origin| list.iter().any(|listed| Origin::parse(listed.as_bytes()) == Ok(origin))),
            Self::Same => Origin::parse(origin).is_ok_and(|origin| origin.is_of_host(host)),
        }
    }
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
        // One address in several spellings.
        assert!(Origins::Same.allow(Some(b"http://localhost"), b"localhost:80"));
        assert!(Origins::Same.allow(Some(b"http://[::1]:8080"), b"[0:0:0:0:0:0:0:1]:8080"));
        assert!(Origins::Same.allow(Some(b"http://localhost"), b"LOCALHOST."));
    }

    #[test]
    fn a_list_is_exact_and_a_program_has_no_origin() {
        let listed = Origins::Listed(&["https://example.com:443", "file://", "null", "no origin"]);
        let allow = |origin: &str| listed.allow(Some(origin.as_bytes()), b"example.com");
        assert!(allow("https://example.com") && allow("https://example.com.") && allow("file://"));
        for foreign in [
            "http://example.com",
            "https://example.com:444",
            "https://example.com.evil.org",
            "null",
            "no origin",
        ] {
            assert!(!allow(foreign), "{foreign}");
        }
        assert!(listed.allow(None, b"example.com") && Origins::Same.allow(None, b""));
        assert!(Origins::Checked(&|o| o == b"a").allow(Some(b"a"), b"b"));
        assert!(!Origins::Checked(&|o| o == b"a").allow(Some(b"b"), b"b"));
        assert!(Origins::Any.allow(Some(b"null"), b"b"));
    }
}
