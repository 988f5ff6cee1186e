use core::fmt;
use tidewire_grammar::Origin;

/// The web pages from which a browser may connect.
///
/// A browser sends cookies with a WebSocket handshake to *any* server, and CORS does not restrict
/// it. Without this check, every page that a user visits can act as that user (cross-site WebSocket
/// hijacking). Programs other than browsers send no `Origin` and pass this check. Authenticate them
/// in another way.
///
/// ```
/// use tidewire_ws::handshake::Origins;
/// let origins = Origins::Listed(&["https://example.com"]);
/// assert!(origins.allow(Some(b"https://example.com"), b"api.example.com"));
/// assert!(!origins.allow(Some(b"https://example.org"), b"api.example.com"));
/// assert!(origins.allow(None, b"api.example.com"), "not a browser");
/// ```
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Origins<'a> {
    /// Pages of the requested host: the origin's host and port equal those of the `Host` field, in
    /// any spelling. The scheme may be `http` or `https`, because a server behind a proxy does not
    /// know it.
    #[default]
    Same,
    /// Pages of these origins, such as `https://example.com`: scheme, host and port, in any
    /// spelling (see [`Origin`]). A text that is not an origin matches nothing. `null` matches
    /// nothing either, because all local files and sandboxed pages share it.
    Listed(&'a [&'a str]),
    /// Pages for which this function returns true. Its argument is the value of `Origin`.
    Checked(&'a (dyn Fn(&[u8]) -> bool + Sync)),
    /// Every page. Safe only for a server that grants no rights by cookie or network address.
    Any,
}

impl Origins<'_> {
    /// Whether a handshake with these values of `Origin` and `Host` is allowed.
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
    fn only_the_same_host_is_allowed() {
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
