//! Media types by file extension: those that pages, players and readers of data need. Any other
//! file is `application/octet-stream`.

/// Returns the value of `Content-Type` for a file of this name. Text is always labelled as UTF-8.
pub(super) fn of_name(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    TYPES
        .iter()
        .find(|(endings, _)| endings.split(' ').any(|one| one.eq_ignore_ascii_case(ending)))
        .map_or("application/octet-stream", |(_, media)| media)
}

/// Extensions, and their types in the IANA registry (for JavaScript, in RFC 9239).
const TYPES: &[(&str, &str)] = &[
    // Pages
    ("html htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js mjs", "text/javascript; charset=utf-8"),
    ("json map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("xml", "application/xml"),
    ("xhtml", "application/xhtml+xml"),
    // Text
    ("txt text log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    // Images
    ("png", "image/png"),
    ("jpg jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/vnd.microsoft.icon"),
    // Video; adaptive players request m3u8, ts, mpd and m4s
    ("mp4 m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov", "video/quicktime"),
    ("mkv", "video/matroska"),
    ("ts", "video/mp2t"),
    ("m4s", "video/iso.segment"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    // Sound
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg oga opus", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/vnd.wave"),
    // The rest
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("woff2", "font/woff2"),
    ("woff", "font/woff"),
    ("ttf", "font/ttf"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_decides() {
        assert_eq!(of_name("a.html"), "text/html; charset=utf-8");
        assert_eq!(of_name("A.WebM"), "video/webm");
        assert_eq!(of_name("a.tar.gz"), "application/gzip");
        assert_eq!(of_name("page.html.exe"), "application/octet-stream");
        for unknown in ["", "html", "a.", "a b", "a.html "] {
            assert_eq!(of_name(unknown), "application/octet-stream", "{unknown:?}");
        }
    }
}
