//! The codec in tokio-util's `Framed`, in both roles.
#![cfg(all(feature = "codec", feature = "tokio"))]
#![allow(clippy::unwrap_used)] // a test

use futures_util::{SinkExt, StreamExt as _};
use tidewire_ws::codec::{Codec, Error, Replies};
use tidewire_ws::{Client, Connection, ErrorKind, Limits, Message, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_util::codec::Framed;

fn server() -> Codec<Server> {
    Codec::<Server>::new(Connection::<Server>::new(Limits::DEFAULT))
}

/// Distinct masking keys. A program takes them from a random source.
fn client() -> Codec<Client> {
    let mut key = 0u32;
    Codec::<Client>::new(Connection::<Client>::new(Limits::DEFAULT), move || {
        key += 1;
        key.to_be_bytes()
    })
}

#[tokio::test]
async fn both_ends_talk_in_framed_until_both_have_closed() {
    let (a, b) = duplex(1024);
    let mut server = Framed::new(a, server());
    let mut client = Framed::new(b, client());
    let serving = tokio::spawn(async move {
        while let Some(message) = server.next().await {
            let message = message.unwrap();
            if message.is_data() {
                server.send(message).await.unwrap();
            } else {
                server.send(Replies).await.unwrap();
            }
            if server.codec().connection().is_closed() {
                break;
            }
        }
        SinkExt::<Message>::close(&mut server).await.unwrap();
    });
    for len in [0, 125, 126, 70_000] {
        for message in [Message::Binary(vec![7; len].into()), Message::text("x".repeat(len))] {
            client.send(message.clone()).await.unwrap();
            assert!(client.next().await.unwrap().unwrap() == message, "{len}");
        }
    }
    client.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    client.send(Message::Close { code: Some(1000), reason: "done".into() }).await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(client.codec().connection().is_closed());
    assert!(client.next().await.is_none(), "an end after both closes is no error");
    assert!(matches!(client.send(Message::from("late")).await, Err(Error::Encode(_))));
    serving.await.unwrap();
}

#[tokio::test]
async fn replies_due_before_an_error_are_sent_before_its_close() {
    let (a, mut raw) = duplex(1024);
    let mut server = Framed::new(a, server());
    // A ping, and then an unmasked text frame.
    raw.write_all(b"\x89\x80\0\0\0\0\x81\x00").await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Ping(Default::default()));
    let Some(Err(Error::Decode(error))) = server.next().await else { panic!() };
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Unmasked, 7));
    server.send(Replies).await.unwrap();
    drop(server);
    let mut back = Vec::new();
    raw.read_to_end(&mut back).await.unwrap();
    assert!(
        back.starts_with(b"\x8a\x00\x88") && back[4..6] == 1002u16.to_be_bytes(),
        "{}",
        back.escape_ascii()
    );
}

#[tokio::test]
async fn an_end_without_a_close_is_an_error() {
    for (bytes, kind) in [(&b""[..], ErrorKind::NoClose), (b"\x81\x82\0\0\0\0H", ErrorKind::UnexpectedEnd)] {
        let (a, mut raw) = duplex(1024);
        let mut server = Framed::new(a, server());
        raw.write_all(bytes).await.unwrap();
        drop(raw);
        let Some(Err(Error::Decode(error))) = server.next().await else { panic!() };
        assert_eq!(error.kind(), kind);
    }
}

/// The codec must not skip the messages of such a connection.
#[tokio::test]
async fn a_connection_in_pieces_is_refused() {
    let connection = Connection::<Server>::new(Limits::DEFAULT).in_pieces();
    let input = tokio::io::join(&b"\x81\x80\0\0\0\0"[..], tokio::io::sink());
    let mut framed = Framed::new(input, Codec::<Server>::new(connection));
    let refused = framed.next().await.unwrap();
    assert!(matches!(refused, Err(Error::Decode(e)) if e.kind() == ErrorKind::InPieces));
    assert!(framed.next().await.is_none());
}
