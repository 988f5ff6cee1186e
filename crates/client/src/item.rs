//! What a feed says, whichever feed it is.

use std::time::Duration;

use crate::{Cursor, Message};

/// One thing that a feed says.
#[derive(Debug)]
pub(crate) enum Item {
    /// Where the feed begins.
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
    /// How long to wait before coming back.
    Retry(Duration),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Each item in a few words.
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
                Item::Retry(wait) => format!("retry {}", wait.as_millis()),
            })
            .collect()
    }
}
