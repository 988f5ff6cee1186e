//! A codec takes items in any order: it writes one that is allowed, and an error writes nothing.
#![cfg(feature = "codec")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tidewire_http1::codec::{Codec, Error, Item, OutgoingRequest, OutgoingResponse};
use tidewire_http1::{BodyLength, FieldBlock, Limits, Server};
use tokio_util::codec::{Decoder, Encoder};

const REQUESTS: [&str; 7] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
];

fn body() -> impl Strategy<Value = BodyLength> {
    prop_oneof![
        Just(BodyLength::Empty),
        (0..4u64).prop_map(BodyLength::Length),
        Just(BodyLength::Chunked),
        Just(BodyLength::UntilClose),
    ]
}

fn fields() -> impl Strategy<Value = FieldBlock> {
    prop_oneof![Just(("A", "b")), Just(("Connection", "close")), Just(("Upgrade", "x"))].prop_map(
        |(name, value)| {
            let mut block = FieldBlock::new();
            block.push(name, value).expect("a good field");
            block
        },
    )
}

fn item<H>(head: impl Strategy<Value = H>) -> impl Strategy<Value = Item<H>>
where
    H: Clone + std::fmt::Debug,
{
    prop_oneof![
        3 => head.prop_map(Item::Head),
        2 => "[a-c]{0,3}".prop_map(|data| Item::Data(data.into_bytes().into())),
        1 => prop_oneof![Just("D"), Just("Host"), Just("a b")].prop_map(|name| Item::Trailer {
            name: Bytes::from_static(name.as_bytes()),
            value: Bytes::from_static(b"v"),
        }),
        3 => Just(Item::End),
    ]
}

fn response() -> impl Strategy<Value = OutgoingResponse> {
    let status = prop::sample::select(vec![99, 100, 101, 103, 200, 204, 205, 304, 413, 999, 1000]);
    (status, fields(), body())
        .prop_map(|(status, fields, body)| OutgoingResponse::new(status).with_fields(fields).with_body(body))
}

fn request() -> impl Strategy<Value = OutgoingRequest> {
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "CONNECT", "TRACE", "a b"]);
    let target = prop::sample::select(vec!["/", "*", "h:1", "http://h/", ""]);
    (method, target, fields(), body()).prop_map(|(method, target, fields, body)| {
        OutgoingRequest::new(method, target, "h:1").with_fields(fields).with_body(body)
    })
}

proptest! {
    #[test]
    fn an_item_that_a_server_refuses_writes_nothing(
        requests in prop::collection::vec(prop::sample::select(REQUESTS.to_vec()), 0..4),
        items in prop::collection::vec(item(response()), 0..12),
        eager: bool,
    ) {
        let mut codec = Codec::<Server>::new(Limits::DEFAULT);
        let (mut input, mut out) = (BytesMut::from(requests.concat().as_bytes()), BytesMut::new());
        let (mut heads, mut finals) = (0, 0);
        for item in items {
            for _ in 0..if eager { 99 } else { 2 } {
                match codec.decode(&mut input).unwrap() {
                    Some(Item::Head(_)) => heads += 1,
                    Some(_) => {}
                    None => break,
                }
            }
            let before = out.clone();
            let begins = matches!(&item, Item::Head(head) if head.status >= 200 || head.status == 101);
            match codec.encode(item, &mut out) {
                Ok(()) => finals += usize::from(begins),
                Err(error) => {
                    prop_assert!(matches!(error, Error::Encode(_) | Error::NextExchange(_)));
                    prop_assert_eq!(&out, &before);
                }
            }
            prop_assert!(finals <= heads, "{} responses to {} requests", finals, heads);
        }
    }

    /// The server reads what the client writes, and knows where each request ends.
    #[test]
    fn an_item_that_a_client_refuses_writes_nothing(items in prop::collection::vec(item(request()), 0..12)) {
        let mut codec = Codec::<tidewire_http1::Client>::new(Limits::DEFAULT);
        let (mut out, mut heads) = (BytesMut::new(), 0);
        for item in items {
            let before = out.clone();
            let begins = matches!(item, Item::Head(_));
            match codec.encode(item, &mut out) {
                Ok(()) => heads += usize::from(begins),
                Err(error) => {
                    prop_assert!(matches!(error, Error::Encode(_) | Error::NextExchange(_)));
                    prop_assert_eq!(&out, &before);
                }
            }
        }
        prop_assert!(heads <= 1, "no response came");
        let (mut server, mut read) = (Codec::<Server>::new(Limits::DEFAULT), 0);
        while let Some(item) = server.decode(&mut out).unwrap() {
            read += usize::from(matches!(item, Item::Head(_)));
        }
        prop_assert_eq!((read, out.len()), (heads, 0));
    }
}
