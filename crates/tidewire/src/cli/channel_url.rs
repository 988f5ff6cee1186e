//! The channel argument of `tidewire pub` and `tidewire sub`.

/// Returns a URL unchanged. A bare name, which may have slashes, becomes the URL of that channel on
/// the default address of the server. A text with `/c/`, or with a slash in front, is a URL without
/// its `http://`: the client has an error for it.
pub(super) fn channel_url(text: &str) -> String {
    if text.contains("://") || text.starts_with('/') || text.contains("/c/") {
        return text.to_owned();
    }
    format!("http://127.0.0.1:8080/c/{text}")
}

#[cfg(test)]
mod tests {
    use super::channel_url;

    #[test]
    fn a_name_may_have_segments() {
        for (text, url) in [
            ("demo", "http://127.0.0.1:8080/c/demo"),
            ("rooms/42,b", "http://127.0.0.1:8080/c/rooms/42,b"),
            ("http://[::1]/c/rooms/42", "http://[::1]/c/rooms/42"),
            ("http+unix://%2Fs/c/a", "http+unix://%2Fs/c/a"),
            ("localhost:8080/c/demo", "localhost:8080/c/demo"),
        ] {
            assert_eq!(channel_url(text), url);
        }
    }
}
