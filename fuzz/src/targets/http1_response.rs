//! Any bytes as a response head: httparse accepts what this crate accepts, with the same meaning.
//! Only the body depends on the request.

use tidewire_http1::{BodyLength, Fields, Limits, Method, ResponseHead};

pub fn run(data: &[u8]) {
    let (limits, mut fields, mut other) = (Limits::DEFAULT, Fields::new(), Fields::new());
    let Ok(Some((length, head))) = ResponseHead::parse(data, Method::Get, &limits, &mut fields) else {
        return;
    };

    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Response::new(&mut headers);
    assert_eq!(theirs.parse(data), Ok(httparse::Status::Complete(length)));
    assert_eq!(theirs.code, Some(head.status()));
    // httparse returns an empty reason phrase if it has bytes over 0x7F.
    let reason = if head.reason().is_ascii() { head.reason() } else { b"" };
    assert_eq!(theirs.reason.map(str::as_bytes), Some(reason));
    let fields = theirs.headers.iter().map(|h| (h.name.as_bytes(), h.value.trim_ascii()));
    assert!(head.fields().eq(fields));

    match ResponseHead::parse(data, Method::Head, &limits, &mut other) {
        Ok(Some((same, head))) => assert_eq!((same, head.body()), (length, BodyLength::Empty)),
        other => panic!("a HEAD changes what is accepted: {other:?}"),
    }
}
