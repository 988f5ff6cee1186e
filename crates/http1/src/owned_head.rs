//! Heads that own their bytes: one refcounted `Bytes` and the table of fields.

use crate::fields::{FieldIter, Fields};
use crate::head::{RequestHead, ResponseHead};
use crate::message::{BodyLength, Method, TargetForm, Version};
use alloc::borrow::Cow;
use bytes::{Buf, Bytes};
use core::fmt;

/// A request head that owns its bytes. It has the same getters as [`RequestHead`], and does not
/// allocate for each field.
///
/// ```
/// use bytes::BytesMut;
/// use tidewire_http1::{Connection, Event, Fields, Limits, OwnedRequestHead, Server};
///
/// let mut buffer = BytesMut::from("GET /a HTTP/1.1\r\nHost: b\r\n\r\nmore");
/// let (mut connection, mut fields) = (Connection::<Server>::new(Limits::DEFAULT), Fields::new());
/// let (used, event) = connection.decode(&buffer, &mut fields)?;
/// let Some(Event::Request(head)) = event else { panic!("no request") };
/// let parts = head.detach();                                  // the borrow of `buffer` ends here
/// let head = OwnedRequestHead::new(parts, buffer.split_to(used).freeze());
/// assert_eq!(head.get("host"), Some(b"b".as_slice()));
/// assert_eq!(buffer, b"more"[..]);
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone)]
pub struct OwnedRequestHead {
    bytes: Bytes,
    parts: HeadParts,
}

/// A response head that owns its bytes. It has the same getters as [`ResponseHead`].
///
/// ```
/// use bytes::Bytes;
/// use tidewire_http1::{Fields, Limits, Method, ResponseHead};
///
/// let buffer = Bytes::from_static(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
/// let mut fields = Fields::new();
/// let parsed = ResponseHead::parse(&buffer, Method::Get, &Limits::DEFAULT, &mut fields)?;
/// let Some((length, head)) = parsed else { panic!("read more bytes") };
/// let owned = head.to_owned_head(buffer.slice(..length)); // shares the bytes, copies no field
/// assert_eq!((owned.status(), owned.content_length()), (404, Some(0)));
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone)]
pub struct OwnedResponseHead {
    bytes: Bytes,
    parts: HeadParts,
}

/// The table of fields of a head without its bytes. It exists while the caller splits the buffer
/// with the bytes: see [`OwnedRequestHead`].
#[derive(Clone)]
pub struct HeadParts {
    length: usize,
    fields: Fields,
}

/// What both heads have.
macro_rules! owned {
    ($owned:ident, $head:ident) => {
        impl $head<'_> {
            /// Returns the table of fields without the borrow of the buffer, so that the buffer can
            /// be split. See [`HeadParts`].
            #[must_use]
            #[inline]
            pub fn detach(&self) -> HeadParts {
                HeadParts { length: self.as_bytes().len(), fields: self.table().clone() }
            }

            /// Returns the head as an owned one. `bytes` are the bytes that `decode` consumed for
            /// it, or only those of the head. If they are neither, the head is copied.
            #[must_use]
            #[inline]
            pub fn to_owned_head(&self, bytes: Bytes) -> $owned {
                let head = self.as_bytes();
                // Usually both are the same memory, and the bytes need not be compared.
                let same = bytes.len() >= head.len() && bytes.as_ptr_range().end == head.as_ptr_range().end;
                let whole = same || bytes.ends_with(head);
                $owned::new(self.detach(), if whole { bytes } else { Bytes::copy_from_slice(head) })
            }
        }

        impl $owned {
            /// Joins the table of fields with the bytes that `decode` consumed for the head. The
            /// head is at their end.
            ///
            /// With other bytes the getters return nonsense, but do not panic: a field beyond the
            /// bytes is empty.
            #[must_use]
            #[inline]
            pub fn new(parts: HeadParts, mut bytes: Bytes) -> Self {
                bytes.advance(bytes.len().saturating_sub(parts.length));
                Self { bytes, parts }
            }

            /// Returns the head as a borrowed view.
            #[must_use]
            pub fn head(&self) -> $head<'_> {
                $head::new(&self.bytes, &self.parts.fields)
            }

            #[doc = concat!("See [`", stringify!($head), "::as_bytes`].")]
            #[must_use]
            pub const fn as_bytes(&self) -> &Bytes {
                &self.bytes
            }

            #[doc = concat!("See [`", stringify!($head), "::get_all`].")]
            pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &[u8]> + use<'_, 'n> {
                self.head().get_all(name)
            }

            #[doc = concat!("See [`", stringify!($head), "::forwarded_fields`].")]
            pub fn forwarded_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
                self.head().forwarded_fields()
            }
        }

        getters!($owned, $head:
            version() -> Version,
            fields() -> FieldIter<'_>,
            get(name: &str) -> Option<&[u8]>,
            body() -> BodyLength,
            content_length() -> Option<u64>,
            keep_alive() -> bool,
            upgrade() -> Option<&[u8]>,
        );

        impl fmt::Debug for $owned {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.head().fmt(f)
            }
        }
    };
}

/// Getters that call those of the borrowed view.
macro_rules! getters {
    ($owned:ident, $head:ident: $($name:ident($($arg:ident: $type:ty)?) -> $result:ty,)*) => {
        impl $owned {
            $(
                #[doc = concat!("See [`", stringify!($head), "::", stringify!($name), "`].")]
                #[must_use]
                pub fn $name(&self, $($arg: $type)?) -> $result {
                    self.head().$name($($arg)?)
                }
            )*
        }
    };
}

owned!(OwnedRequestHead, RequestHead);
owned!(OwnedResponseHead, ResponseHead);

getters!(OwnedRequestHead, RequestHead:
    method() -> Method<'_>,
    target() -> &[u8],
    target_form() -> TargetForm,
    path() -> &[u8],
    query() -> Option<&[u8]>,
    path_and_query() -> Cow<'_, [u8]>,
    host() -> Option<&[u8]>,
    expects_continue() -> bool,
);

getters!(OwnedResponseHead, ResponseHead:
    status() -> u16,
    reason() -> &[u8],
    is_interim() -> bool,
    forwarded_body() -> BodyLength,
);

impl fmt::Debug for HeadParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadParts").field("fields", &self.fields.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use alloc::format;

    const HEAD: &[u8] = b"POST /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\nContent-Length: 7\r\n\r\n";

    #[test]
    fn an_owned_head_equals_the_borrowed_head() {
        let mut fields = Fields::new();
        let (_, head) = RequestHead::parse(HEAD, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        let owned = head.to_owned_head(Bytes::from_static(HEAD));
        assert_eq!(
            (owned.method(), owned.target(), owned.version()),
            (head.method(), head.target(), head.version())
        );
        assert_eq!((owned.path(), owned.query(), owned.host()), (head.path(), head.query(), head.host()));
        assert_eq!(owned.path_and_query(), head.path_and_query());
        assert_eq!((owned.body(), owned.keep_alive()), (head.body(), head.keep_alive()));
        assert_eq!((owned.expects_continue(), owned.upgrade()), (head.expects_continue(), head.upgrade()));
        assert!(owned.fields().eq(head.fields()));
        assert!(owned.get_all("X").eq([b"1", b"2"]));
        assert_eq!(format!("{owned:?}"), format!("{head:?}"));
    }

    /// Fewer fields than fit in place, as many, and more. The table is reused for other heads
    /// meanwhile.
    #[test]
    fn an_owned_head_keeps_any_number_of_fields() {
        let mut fields = Fields::new();
        for n in 0..40 {
            let lines: alloc::string::String = (0..n).map(|i| format!("X-{i}: {i}\r\n")).collect();
            let head = format!("GET /{n} HTTP/1.0\r\n{lines}\r\n");
            let (_, borrowed) =
                RequestHead::parse(head.as_bytes(), &Limits::DEFAULT, &mut fields).unwrap().unwrap();
            let owned = borrowed.to_owned_head(Bytes::from(head.clone()));
            RequestHead::parse(HEAD, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
            let copy = owned.clone();
            drop(owned);
            assert_eq!((copy.fields().len(), copy.target()), (n, format!("/{n}").as_bytes()));
            for i in 0..n {
                assert_eq!(copy.get(&format!("x-{i}")), Some(format!("{i}").as_bytes()), "{i} of {n}");
            }
        }
    }

    #[test]
    fn bytes_are_copied_only_if_they_are_not_the_head() {
        let (mut fields, bytes) = (Fields::new(), Bytes::copy_from_slice(&[b"\r\n", HEAD].concat()));
        let (_, head) = RequestHead::parse(&bytes[2..], &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        let owned = head.to_owned_head(bytes.clone());
        assert_eq!(owned.as_bytes().as_ptr(), bytes[2..].as_ptr());
        let copied = head.to_owned_head(Bytes::from_static(b"something else"));
        assert_eq!(copied.get("host"), Some(b"h".as_slice()));
    }

    #[test]
    fn wrong_bytes_cause_no_panic() {
        let mut fields = Fields::new();
        let (_, head) = RequestHead::parse(HEAD, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        let wrong = OwnedRequestHead::new(head.detach(), Bytes::from_static(b"\xFF\xFE"));
        assert_eq!(
            (wrong.method(), wrong.target(), wrong.host()),
            (Method::Post, b"".as_slice(), Some(b"".as_slice()))
        );
        assert!(wrong.fields().all(|(name, value)| name.is_empty() && value.is_empty()));
    }
}
