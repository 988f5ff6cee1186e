//! What a feed yields. It is the same type for every feed.

use std::time::Duration;

use crate::{Cursor, Message};

/// One item of a feed.
#[derive(Debug)]
pub(crate) enum Item {
    /// The position where the feed begins.
    Hello(Cursor),
    Message(Message),
    Gap {
        from: Cursor,
        cursor: Cursor,
        missed: u64,
    },
    Reset {
        reason: String,
        cursor: Cursor,
    },
    /// A channel has ended, and `cursor` is the position after its end.
    End {
        channel: Option<String>,
        cursor: Cursor,
    },
    /// A channel was deleted. The feed ends.
    Deleted {
        channel: Option<String>,
    },
    /// How long to wait before coming back.
    Retry(Duration),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A short text for each item.
    pub(crate) fn texts(items: &[Item]) -> Vec<String> {
        items
            .iter()
            .map(|item| match item {
                Item::Hello(cursor) => format!("hello {cursor}"),
                Item::Message(m) => {
                    format!(
                        "{} {} {:?}",
                        m.cursor,
                        m.event.as_deref().unwrap_or("-"),
                        m.text().unwrap_or("?")
                    )
                }
                Item::Gap { from, cursor, missed } => format!("gap {from} {cursor} {missed}"),
                Item::Reset { reason, cursor } => format!("reset {reason} {cursor}"),
                Item::End { channel, cursor } => {
                    format!("end {} {cursor}", channel.as_deref().unwrap_or("-"))
                }
                Item::Deleted { channel } => format!("deleted {}", channel.as_deref().unwrap_or("-")),
                Item::Retry(wait) => format!("retry {}", wait.as_millis()),
            })
            .collect()
    }
}
