//! `HEAD /c/{name}`: the head of the answer to a poll, and what there is to know about the channel.

use tidewire_server::Response;

use crate::channel::ChannelInfo;

/// The newest position of a channel: the position of its end, if it has ended.
pub(crate) fn position(info: &ChannelInfo) -> String {
    info.end.unwrap_or(info.head).to_string()
}

/// Adds the fields that describe a channel. `Tidewire-Cursor` is in every answer to a poll, so the
/// caller sets it to the [`position`].
pub(crate) fn describe(response: Response, info: &ChannelInfo) -> Response {
    let response = response.with("Tidewire-Earliest", info.earliest.to_string());
    let response = if info.end.is_some() { response.with("Tidewire-Closed", "true") } else { response };
    match &info.settings.content_type {
        Some(content_type) => response.with("Tidewire-Content-Type", content_type.as_bytes()),
        None => response,
    }
}
