//! The channel that `tidewire pub` and `tidewire sub` are given.

/// Returns a URL as it is, and for a bare name the channel of that name on the server that
/// `tidewire` starts by default.
pub(super) fn channel_url(text: &str) -> String {
    if text.contains("://") || text.contains('/') {
        return text.to_owned();
    }
    format!("http://127.0.0.1:8080/c/{text}")
}
