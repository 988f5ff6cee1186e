//! The channel argument of `tidewire pub` and `tidewire sub`.

/// Returns a URL unchanged. A bare name, which may have slashes, becomes the URL of that channel on
/// the default address of the server.
pub(super) fn channel_url(text: &str) -> String {
    // A URL without its scheme is a mistake, for which the client has an error.
    if text.contains("://") || text.starts_with('/') || text.contains("/c/") {
        return text.to_owned();
    }
    format!("http://127.0.0.1:8080/c/{text}")
}
