//! A head that outlives its buffer: one refcounted `Bytes` and the span table, with no allocation per field.

use crate::fields::{FieldIter, Span};
use crate::head::RequestHead;
use crate::message::{BodyLength, Method, TargetForm, Version};
use crate::meta::Meta;
use alloc::boxed::Box;
use bytes::Bytes;
use core::fmt;

/// A request head that owns its bytes. The same getters as [`RequestHead`].
#[derive(Clone)]
pub struct OwnedRequestHead {
    bytes: Bytes,
    parts: RequestParts,
}

/// The spans of a request head without its bytes, for as long as the buffer they are in is being split.
///
/// ```
/// use bytes::BytesMut;
/// use tidewire_http1::{Connection, Event, Fields, Limits, OwnedRequestHead, Server};
///
/// let mut buffer = BytesMut::from("GET /a HTTP/1.1\r\nHost: b\r\n\r\nmore");
/// let (mut connection, mut fields) = (Connection::<Server>::new(Limits::new()), Fields::new());
/// let (used, event) = connection.decode(&buffer, &mut fields)?;
/// let Some(Event::Request(head)) = event else { unreachable!("the head is complete") };
/// let parts = head.detach();                                  // the borrow of `buffer` ends here
/// let head = OwnedRequestHead::new(parts, buffer.split_to(used).freeze());
/// assert_eq!(head.get("host"), Some(b"b".as_slice()));
/// assert_eq!(buffer, b"more"[..]);
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone)]
pub struct RequestParts {
    length: usize,
    spans: Box<[Span]>,
    meta: Meta,
}

impl RequestHead<'_> {
    /// The spans alone, so that the buffer is free to be split. See [`RequestParts`].
    #[must_use]
    pub fn detach(&self) -> RequestParts {
        let (spans, meta) = self.parts();
        RequestParts { length: self.as_bytes().len(), spans: spans.into(), meta }
    }

    /// The head as an owned one. `bytes` is what `decode` consumed for it, or the head alone; if it is neither, the
    /// bytes are copied.
    #[must_use]
    pub fn to_owned_head(&self, bytes: Bytes) -> OwnedRequestHead {
        let bytes =
            if bytes.ends_with(self.as_bytes()) { bytes } else { Bytes::copy_from_slice(self.as_bytes()) };
        OwnedRequestHead::new(self.detach(), bytes)
    }
}

impl OwnedRequestHead {
    /// Joins spans with the bytes that they were found in: what `decode` consumed for the head, of which the head is the end.
    ///
    /// Other bytes make a head of nonsense, but a harmless one: spans beyond them read as empty.
    #[must_use]
    pub fn new(parts: RequestParts, mut bytes: Bytes) -> Self {
        let before = bytes.len().saturating_sub(parts.length);
        Self { bytes: bytes.split_off(before), parts }
    }

    /// The head as a borrowed view.
    #[must_use]
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead::new(&self.bytes, &self.parts.spans, self.parts.meta)
    }

    /// See [`RequestHead::as_bytes`].
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// See [`RequestHead::method`].
    #[must_use]
    pub fn method(&self) -> Method<'_> {
        self.head().method()
    }

    /// See [`RequestHead::target`].
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.head().target()
    }

    /// See [`RequestHead::target_form`].
    #[must_use]
    pub fn target_form(&self) -> TargetForm {
        self.head().target_form()
    }

    /// See [`RequestHead::path`].
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.head().path()
    }

    /// See [`RequestHead::query`].
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.head().query()
    }

    /// See [`RequestHead::version`].
    #[must_use]
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// See [`RequestHead::fields`].
    #[must_use]
    pub fn fields(&self) -> FieldIter<'_> {
        self.head().fields()
    }

    /// See [`RequestHead::get`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.head().get(name)
    }

    /// See [`RequestHead::get_all`].
    pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &[u8]> + use<'_, 'n> {
        self.head().get_all(name)
    }

    /// See [`RequestHead::host`].
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        self.head().host()
    }

    /// See [`RequestHead::body`].
    #[must_use]
    pub fn body(&self) -> BodyLength {
        self.head().body()
    }

    /// See [`RequestHead::keep_alive`].
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.head().keep_alive()
    }

    /// See [`RequestHead::expects_continue`].
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.head().expects_continue()
    }

    /// See [`RequestHead::upgrade`].
    #[must_use]
    pub fn upgrade(&self) -> Option<&[u8]> {
        self.head().upgrade()
    }
}

impl fmt::Debug for OwnedRequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head().fmt(f)
    }
}

impl fmt::Debug for RequestParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestParts").field("fields", &self.spans.len()).finish_non_exhaustive()
    }
}
