//! The formats of streams, and the feed that writes each of them.

use super::feed::Feed;
use super::{iframe, json_lines, multipart, sse, ws, xhr};

/// The format of a stream that is the body of an HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HttpFormat {
    Sse,
    SseObjects,
    JsonLines,
    Xhr,
    MultipartMixed,
    MultipartReplace,
    Iframe,
}

/// The format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StreamFormat {
    Http(HttpFormat),
    /// A WebSocket of bare payloads.
    WsBare {
        deflate: bool,
    },
    /// A WebSocket of the subprotocol `tidewire.v1`.
    WsV1 {
        deflate: bool,
    },
}

impl HttpFormat {
    /// Whether the body may be compressed with gzip. Only text formats may, whose clients
    /// decompress while they read. `docs/http-api.md` says so at "Compression".
    pub(crate) fn may_be_gzip(self) -> bool {
        match self {
            HttpFormat::Sse | HttpFormat::SseObjects | HttpFormat::JsonLines => true,
            HttpFormat::Xhr
            | HttpFormat::MultipartMixed
            | HttpFormat::MultipartReplace
            | HttpFormat::Iframe => false,
        }
    }

    pub(crate) fn feed(self) -> &'static dyn Feed {
        match self {
            HttpFormat::Sse => &sse::Sse,
            HttpFormat::SseObjects => &sse::Objects,
            HttpFormat::JsonLines => &json_lines::JsonLines,
            HttpFormat::Xhr => &xhr::Xhr,
            HttpFormat::MultipartMixed => &multipart::Mixed,
            HttpFormat::MultipartReplace => &multipart::Replace,
            HttpFormat::Iframe => &iframe::Iframe,
        }
    }
}

impl StreamFormat {
    pub(crate) fn feed(self) -> &'static dyn Feed {
        match self {
            StreamFormat::Http(format) => format.feed(),
            StreamFormat::WsBare { deflate: false } => &ws::Bare { deflate: false },
            StreamFormat::WsBare { deflate: true } => &ws::Bare { deflate: true },
            StreamFormat::WsV1 { deflate: false } => &ws::V1 { deflate: false },
            StreamFormat::WsV1 { deflate: true } => &ws::V1 { deflate: true },
        }
    }
}
