//! Request paths as file names. A path is decoded once, segment by segment, before any check.

use tidewire_server::Problem;

/// The checked path of a file beneath the folder. No segment is empty, `.`, `..` or hidden, and
/// none contains a separator or a control character. Only the last segment may be empty: then the
/// path names a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath(Vec<String>);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPath {
    /// A file system could read the path in another way.
    Ambiguous,
    /// The path names something that is never served.
    Hidden,
}

impl From<BadPath> for Problem {
    fn from(bad: BadPath) -> Self {
        match bad {
            BadPath::Ambiguous => Problem::new(
                400,
                "A file path must be names in UTF-8 between single slashes. No name may be . or .., or \
                 contain a backslash, an encoded slash or a control character.",
            ),
            BadPath::Hidden => {
                Problem::new(404, "There is no such file: names that begin with a dot are not served.")
            }
        }
    }
}

impl FilePath {
    /// Parses the part of a request target after `/files/`.
    pub(super) fn parse(rest: &[u8]) -> Result<Self, BadPath> {
        let mut segments = Vec::new();
        let mut raw = rest.split(|&b| b == b'/').peekable();
        while let Some(segment) = raw.next() {
            let decoded: Vec<u8> = percent_encoding::percent_decode(segment).collect();
            let name = String::from_utf8(decoded).map_err(|_| BadPath::Ambiguous)?;
            let is_last = raw.peek().is_none();
            if (name.is_empty() && !is_last) || name == "." || name == ".." || name.contains(is_ambiguous) {
                return Err(BadPath::Ambiguous);
            }
            if is_hidden(name.as_bytes()) {
                return Err(BadPath::Hidden);
            }
            segments.push(name);
        }
        Ok(FilePath(segments))
    }

    /// Whether the path ends in a slash.
    pub(super) fn is_folder(&self) -> bool {
        self.name().is_empty()
    }

    /// Returns the path of a file in this folder.
    pub(super) fn join(&self, name: &str) -> Self {
        let mut segments = self.0.clone();
        if let Some(last) = segments.last_mut() {
            *last = name.to_owned();
        }
        FilePath(segments)
    }

    /// The last segment.
    pub(super) fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Returns the URL path of this folder with its slash, for a redirect. It is built from checked
    /// segments and begins with `/files/`, so it cannot lead to another site.
    pub(super) fn folder_location(&self) -> String {
        let mut location = String::from("/files/");
        for segment in &self.0 {
            location
                .extend(percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC));
            location.push('/');
        }
        location
    }
}

/// Whether a name begins with a dot, other than `.well-known`. Such a file or folder is never
/// served, nothing in it is served, and no link may lead through it. Some file systems (HFS+)
/// ignore invisible characters, so invisible characters before the dot are ignored here too.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    let mut visible = name;
    while let Some((_, rest)) =
        INVISIBLE.iter().find_map(|invisible| Some((invisible, visible.strip_prefix(*invisible)?)))
    {
        visible = rest;
    }
    visible.starts_with(b".") && name != b".well-known"
}

/// U+200C to U+200F, U+202A to U+202E, U+206A to U+206F and U+FEFF, in UTF-8.
const INVISIBLE: [&[u8]; 16] = [
    b"\xe2\x80\x8c",
    b"\xe2\x80\x8d",
    b"\xe2\x80\x8e",
    b"\xe2\x80\x8f",
    b"\xe2\x80\xaa",
    b"\xe2\x80\xab",
    b"\xe2\x80\xac",
    b"\xe2\x80\xad",
    b"\xe2\x80\xae",
    b"\xe2\x81\xaa",
    b"\xe2\x81\xab",
    b"\xe2\x81\xac",
    b"\xe2\x81\xad",
    b"\xe2\x81\xae",
    b"\xe2\x81\xaf",
    b"\xef\xbb\xbf",
];

/// Whether some file system, or some program that reads logs, gives this character another meaning.
fn is_ambiguous(c: char) -> bool {
    matches!(c, '/' | '\\') || c.is_control() || (cfg!(windows) && c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        let segments = |path: &str| FilePath::parse(path.as_bytes()).map(|path| path.0);
        assert_eq!(segments("a/b.txt").unwrap(), ["a", "b.txt"]);
        assert_eq!(segments("a%20b/%c3%a9").unwrap(), ["a b", "é"]);
        assert_eq!(segments("%2541").unwrap(), ["%41"]);
        assert_eq!(segments("a%").unwrap(), ["a%"]);
        assert_eq!(segments("dir/").unwrap(), ["dir", ""]);
        assert_eq!(segments("").unwrap(), [""]);
        assert_eq!(segments(".well-known/x").unwrap(), [".well-known", "x"]);
        for ambiguous in [
            "..", "../a", "a/../b", "a/..", "%2e%2e/a", ".%2e", ".", "a/./b", "a//b", "/a", "//a", "a%2fb",
            "a%2F", "a%5cb", "a\\b", "a%00", "a%0a", "%ff", "a%7f", "%2e",
        ] {
            assert_eq!(segments(ambiguous), Err(BadPath::Ambiguous), "{ambiguous}");
        }
        for hidden in
            [".env", "a/.git/config", "...", "%2eenv", "\u{200c}.git/config", "\u{feff}\u{200d}.env"]
        {
            assert_eq!(segments(hidden), Err(BadPath::Hidden), "{hidden}");
        }
    }

    #[test]
    fn a_folder_is_redirected_to_its_path_with_a_slash() {
        let path = FilePath::parse(b"a b/%22c?").unwrap();
        assert_eq!(path.folder_location(), "/files/a%20b/%22c%3F/");
        assert!(!path.is_folder());
        assert_eq!(FilePath::parse(b"a/").unwrap().join("index.html").segments(), ["a", "index.html"]);
    }
}
