//! Conversions to and from the types of the `http` crate.
//!
//! Each conversion copies all names and values, because `http` owns them. Where this costs too
//! much, use the head itself.

use crate::error::{EncodeError, EncodeErrorKind};
use crate::field_block::FieldBlock;
use crate::fields::FieldIter;
use crate::head::{RequestHead, ResponseHead};
use crate::message::{Method, Version};
use ::http as hyperium;
use hyperium::header::{HeaderMap, HeaderName, HeaderValue};

impl From<Version> for hyperium::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::HTTP_10,
            Version::Http11 => Self::HTTP_11,
        }
    }
}

impl TryFrom<Method<'_>> for hyperium::Method {
    type Error = hyperium::method::InvalidMethod;

    /// # Errors
    /// None for a received method. A `Method::Other` that you made yourself may be invalid.
    fn try_from(method: Method<'_>) -> Result<Self, Self::Error> {
        Self::from_bytes(method.as_str().as_bytes())
    }
}

/// ```
/// use tidewire_http1::{Fields, Limits, RequestHead};
///
/// let mut fields = Fields::new();
/// let input = b"GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n";
/// let (_, head) = RequestHead::parse(input, &Limits::DEFAULT, &mut fields)?.unwrap();
/// let request = http::Request::<()>::try_from(&head)?;
/// assert_eq!(request.uri().path(), "/a");
/// assert_eq!(request.headers()["host"], "example.org");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&RequestHead<'_>> for hyperium::Request<()> {
    type Error = hyperium::Error;

    /// # Errors
    /// `http::Uri` refuses some targets that browsers send, and targets over 65534 bytes.
    ///
    /// The fields are copied as received. If the target is absolute, its authority has priority
    /// over `Host` (RFC 9112 §3.2.2): see [`RequestHead::host`].
    fn try_from(head: &RequestHead<'_>) -> Result<Self, Self::Error> {
        let mut request = Self::new(());
        *request.method_mut() = head.method().try_into()?;
        *request.uri_mut() = head.target().try_into()?;
        *request.version_mut() = head.version().into();
        *request.headers_mut() = headers(head.fields())?;
        Ok(request)
    }
}

impl TryFrom<&ResponseHead<'_>> for hyperium::Response<()> {
    type Error = hyperium::Error;

    /// Drops the reason phrase: `http` has no place for it.
    ///
    /// # Errors
    /// None for a received head.
    fn try_from(head: &ResponseHead<'_>) -> Result<Self, Self::Error> {
        let mut response = Self::new(());
        *response.status_mut() = head.status().try_into()?;
        *response.version_mut() = head.version().into();
        *response.headers_mut() = headers(head.fields())?;
        Ok(response)
    }
}

impl TryFrom<&HeaderMap> for FieldBlock {
    type Error = EncodeError;

    /// Leaves out the fields that the connection writes itself: `Content-Length`,
    /// `Transfer-Encoding` and `Host`.
    ///
    /// # Errors
    /// [`EncodeErrorKind::FieldValue`] for a value with whitespace at its ends: it would not
    /// arrive.
    fn try_from(map: &HeaderMap) -> Result<Self, EncodeError> {
        let mut block = Self::new();
        for (name, value) in map {
            match block.push(name, value) {
                Ok(()) => {}
                Err(error) if error.kind() == EncodeErrorKind::ReservedField => {}
                Err(error) => return Err(error),
            }
        }
        Ok(block)
    }
}

fn headers(fields: FieldIter<'_>) -> Result<HeaderMap, hyperium::Error> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        map.append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, Event, Fields, Limits, Request, Server};
    use proptest::prelude::*;

    #[test]
    fn a_response_keeps_status_version_and_fields() {
        let mut client = Connection::<crate::Client>::new(Limits::DEFAULT);
        let mut out = alloc::vec::Vec::new();
        client.send_request(&Request::new("GET", "/", "h"), crate::BodyLength::Empty, &mut out).unwrap();
        let mut fields = Fields::new();
        let input = b"HTTP/1.0 299 Odd\r\nA: 1\r\na: 2\r\nB: caf\xe9\r\n\r\n";
        let (_, Some(Event::Response(head))) = client.decode(input, &mut fields).unwrap() else {
            panic!("no response")
        };
        let response = hyperium::Response::<()>::try_from(&head).unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (299, hyperium::Version::HTTP_10));
        assert!(response.headers().get_all("a").iter().eq(["1", "2"]));
        assert_eq!(response.headers()["b"].as_bytes(), b"caf\xe9");
    }

    #[test]
    fn framing_fields_of_a_map_are_left_out() {
        let mut map = HeaderMap::new();
        map.insert("content-length", HeaderValue::from_static("5"));
        map.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        map.insert("x-a", HeaderValue::from_static("b"));
        assert_eq!(FieldBlock::try_from(&map).unwrap().as_bytes(), b"x-a: b\r\n");
        map.insert("x-a", HeaderValue::from_static(" b"));
        assert_eq!(FieldBlock::try_from(&map).unwrap_err().kind(), EncodeErrorKind::FieldValue);
    }

    proptest! {
        /// `http` accepts what we accept, with the same meaning.
        #[test]
        fn no_decoded_request_is_refused(
            path in "/[A-Za-z0-9_.~!$&'()*+,;=:@%-]{0,20}", name in "[a-z-]{1,9}", value in "[!-~]{0,9}",
        ) {
            prop_assume!(!["host", "expect"].contains(&name.as_str()) && !name.starts_with("content-l"));
            let text = alloc::format!("GET {path} HTTP/1.1\r\nHost: h\r\n{name}: {value}\r\n\r\n");
            let mut server = Connection::<Server>::new(Limits::DEFAULT);
            let mut fields = Fields::new();
            let (_, event) = server.decode(text.as_bytes(), &mut fields).unwrap();
            let Some(Event::Request(head)) = event else { panic!("no request") };
            let request = hyperium::Request::<()>::try_from(&head).unwrap();
            prop_assert_eq!(request.uri().path(), path);
            prop_assert_eq!(request.headers()[name.as_str()].as_bytes(), value.as_bytes());
        }
    }
}
