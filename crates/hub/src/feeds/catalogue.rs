//! The catalogue of all feeds. Every name of a feed, and every choice between feeds, comes from
//! here. No `match` on [`FeedName`], [`Delivery`] or [`HttpFormat`] has an arm for "all others". So
//! the compiler asks at each place where a new feed needs a decision.

use super::format::HttpFormat;
use super::{iframe, jsonp};

macro_rules! feed_names {
    ($($feed:ident $name:literal)*) => {
        /// A value of `feed=`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum FeedName {
            $($feed,)*
        }

        impl FeedName {
            pub(crate) const ALL: &[Self] = &[$(Self::$feed,)*];

            /// The names of all feeds. Tests outside of the crate read them in the refusal of an
            /// unknown name: each must be documented, and read by every client or none.
            pub(crate) const NAMES: &[&str] = &[$($name,)*];

            pub(crate) fn parse(name: &[u8]) -> Option<Self> {
                let at = Self::NAMES.iter().position(|known| known.as_bytes() == name)?;
                Some(Self::ALL[at])
            }
        }
    };
}

feed_names! {
    Poll "poll"
    LongPoll "longpoll"
    Sse "sse"
    Stream "stream"
    Xhr "xhr"
    Multipart "multipart"
    Replace "replace"
    Iframe "iframe"
    Jsonp "jsonp"
    Raw "raw"
}

/// How a client wants its messages delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Poll,
    LongPoll,
    Jsonp,
    Raw,
    WebSocket,
    Stream(HttpFormat),
}

impl FeedName {
    /// How the feed is delivered. `objects` is the parameter of this name.
    pub(crate) const fn delivery(self, objects: bool) -> Delivery {
        match self {
            Self::Poll => Delivery::Poll,
            Self::LongPoll => Delivery::LongPoll,
            Self::Sse if objects => Delivery::Stream(HttpFormat::SseObjects),
            Self::Sse => Delivery::Stream(HttpFormat::Sse),
            Self::Stream => Delivery::Stream(HttpFormat::JsonLines),
            Self::Xhr => Delivery::Stream(HttpFormat::Xhr),
            Self::Multipart => Delivery::Stream(HttpFormat::MultipartMixed),
            Self::Replace => Delivery::Stream(HttpFormat::MultipartReplace),
            Self::Iframe => Delivery::Stream(HttpFormat::Iframe),
            Self::Jsonp => Delivery::Jsonp,
            Self::Raw => Delivery::Raw,
        }
    }

    /// The media type with which `Accept` asks for the feed. `None` if the type does not tell it
    /// from other feeds or from a page.
    pub(crate) const fn accepted_as(self) -> Option<&'static str> {
        match self {
            Self::Poll => Some("application/json"),
            Self::Sse => Some("text/event-stream"),
            Self::Stream => Some("application/x-ndjson"),
            Self::Multipart => Some("multipart/mixed"),
            Self::Replace => Some("multipart/x-mixed-replace"),
            // The same type as a short poll, and chosen by `wait`.
            Self::LongPoll => None,
            // Types that a browser or a library also sends for other reasons.
            Self::Xhr | Self::Iframe | Self::Jsonp => None,
            // The publisher chooses the type.
            Self::Raw => None,
        }
    }

    /// Whether the feed gives one answer, which may be kept for all requests with the same target.
    pub(crate) const fn is_poll(self) -> bool {
        match self {
            Self::Poll | Self::LongPoll | Self::Jsonp => true,
            Self::Sse
            | Self::Stream
            | Self::Xhr
            | Self::Multipart
            | Self::Replace
            | Self::Iframe
            | Self::Raw => false,
        }
    }
}

impl Delivery {
    /// The largest number of points in the name of the function that the feed calls. `None` if it
    /// is no script and calls nothing.
    pub(crate) const fn callback_points(self) -> Option<usize> {
        match self {
            Self::Jsonp => Some(jsonp::MAX_POINTS),
            Self::Stream(HttpFormat::Iframe) => Some(iframe::MAX_POINTS),
            Self::Poll | Self::LongPoll | Self::Raw | Self::WebSocket => None,
            Self::Stream(
                HttpFormat::Sse
                | HttpFormat::SseObjects
                | HttpFormat::JsonLines
                | HttpFormat::Xhr
                | HttpFormat::MultipartMixed
                | HttpFormat::MultipartReplace,
            ) => None,
        }
    }

    /// Whether the delivery is a script, which only a server with `--comet` sends: pages of other
    /// origins may be able to load it.
    pub(crate) const fn needs_comet(self) -> bool {
        self.callback_points().is_some()
    }
}

#[cfg(test)]
mod tests {
    use tidewire_server::Response;

    use super::*;

    #[test]
    fn every_name_is_parsed() {
        for (feed, name) in FeedName::ALL.iter().zip(FeedName::NAMES) {
            assert_eq!(FeedName::parse(name.as_bytes()), Some(*feed));
        }
        assert_eq!(FeedName::parse(b"Sse"), None);
    }

    #[test]
    fn no_two_feeds_are_delivered_or_accepted_in_the_same_way() {
        for (n, one) in FeedName::ALL.iter().enumerate() {
            for other in &FeedName::ALL[n + 1..] {
                assert_ne!(one.delivery(false), other.delivery(false), "{one:?} {other:?}");
                let accepted = one.accepted_as();
                assert!(accepted.is_none() || accepted != other.accepted_as(), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_stream_has_the_media_type_that_asks_for_it() {
        for feed in FeedName::ALL {
            let (Delivery::Stream(format), Some(accepted)) = (feed.delivery(false), feed.accepted_as())
            else {
                continue;
            };
            let parts = format.feed().head(Response::new(200)).into_parts(None).concat();
            let head = String::from_utf8(parts).unwrap().to_lowercase();
            assert!(head.contains(&format!("content-type: {accepted}")), "{feed:?}: {head}");
        }
    }
}
