//! The channel argument of `tidewire pub` and `tidewire sub`.

/// Returns a URL unchanged. A bare name becomes the URL of that channel on the default address of
/// the server.
pub(super) fn channel_url(text: &str) -> String {
    if text.contains("://") || text.contains('/') {
        return text.to_owned();
    }
    format!("http://127.0.0.1:8080/c/{text}")
}
