//! The event names that a publisher may not use. Code that sends such a name takes it from here.

macro_rules! reserved_events {
    ($($name:ident = $text:literal;)*) => {
        $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)*

        /// Event names that a publisher may not use.
        ///
        /// - `gap`, `reset`, `hello`, `envelope`: the server sends them itself.
        /// - `open`, `error`: an `EventSource` fires them. An event with such a name would call
        ///   `onopen` or `onerror` of a page. (`message` is allowed: it is the name of an event
        ///   without a name.)
        /// - `upload-end`, `upload-aborted`: they say in the log how an upload ended.
        /// - `end`, `deleted`: the server tells with them that a channel has ended or was deleted.
        /// - `expired`: reserved for a later version.
        pub const RESERVED_EVENTS: [&str; [$($text),*].len()] = [$($name),*];
    };
}

// `docs/http-api.md` has this list, and a test compares it.
reserved_events! {
    GAP = "gap";
    RESET = "reset";
    HELLO = "hello";
    ENVELOPE = "envelope";
    OPEN = "open";
    ERROR = "error";
    UPLOAD_END = "upload-end";
    UPLOAD_ABORTED = "upload-aborted";
    END = "end";
    DELETED = "deleted";
    EXPIRED = "expired";
}
