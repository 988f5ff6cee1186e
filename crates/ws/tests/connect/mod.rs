//! The client against scripted servers, against tokio-tungstenite, and over TLS.

pub(crate) mod tls;

use futures_util::{SinkExt as _, StreamExt as _};
use std::error::Error as _;
use std::net::SocketAddr;
use tidewire_ws::connect::{Connect, Error, RequestError, Response};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::accept_key;
use tidewire_ws::handshake::client::VerifyError;
use tidewire_ws::{Limits, Message, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

/// Opens a WebSocket over a server that answers with these bytes, and then keeps the connection
/// open. `KEY` stands for the value of `Sec-WebSocket-Accept`. Returns what the server got, too.
async fn script(connect: &Connect, answer: &str) -> (Result<(Socket, Response), Error>, String) {
    script_in_pieces(connect, answer.as_bytes(), usize::MAX).await
}

type Socket = tidewire_ws::tokio::WebSocket<DuplexStream, tidewire_ws::Client>;

async fn script_in_pieces(
    connect: &Connect,
    answer: &[u8],
    size: usize,
) -> (Result<(Socket, Response), Error>, String) {
    let (client, mut server) = duplex(64 * 1024);
    let serve = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(server.read_buf(&mut request).await.unwrap(), 0);
        }
        let request = String::from_utf8(request).unwrap();
        let key = request.split_once("Sec-WebSocket-Key: ").unwrap().1.split("\r\n").next().unwrap();
        let accept = String::from_utf8(accept_key(key.as_bytes()).to_vec()).unwrap();
        let mut answer = answer.to_vec();
        if let Some(at) = answer.windows(3).position(|three| three == b"KEY") {
            answer.splice(at..at + 3, accept.bytes());
        }
        for piece in answer.chunks(size) {
            // The client may have left.
            let _ = server.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        (request, server)
    };
    let (opened, (request, server)) = tokio::join!(connect.over(client), serve);
    // Only now: a client that waits for the end would have waited for ever.
    drop(server);
    (opened, request)
}

const URL: &str = "ws://example.org:8080/chat?room=1";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: KEY\r\n";

#[tokio::test]
async fn the_request_has_what_the_caller_asks_for() {
    let fields = vec![(String::from("Cookie"), b"a=b".to_vec())];
    let connect = Connect::new(URL)
        .with_field("Authorization", "Bearer x")
        .with_fields(fields)
        .with_subprotocols(["chat", "superchat"])
        .with_deflate(Config::DEFAULT);
    assert!(!format!("{connect:?}").contains("Bearer"), "{connect:?}");
    let extension = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
    let answer = format!("{SWITCH}Sec-WebSocket-Protocol: chat\r\n{extension}\r\nX: y\r\n\r\n");
    let (opened, request) = script(&connect, &answer).await;
    let (_, response) = opened.unwrap();
    assert_eq!((response.status(), response.subprotocol()), (101, Some("chat")));
    assert_eq!(response.get("x"), Some(&b"y"[..]));
    assert_eq!(response.fields().count(), 6);
    assert!(request.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: example.org:8080\r\n"), "{request}");
    for line in [
        "\r\nConnection: Upgrade\r\n",
        "\r\nUpgrade: websocket\r\n",
        "\r\nAuthorization: Bearer x\r\n",
        "\r\nCookie: a=b\r\n",
        "\r\nSec-WebSocket-Protocol: chat, superchat\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate; ",
        "\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        assert_eq!(request.matches(line).count(), 1, "{line} {request}");
    }
}

/// Interim answers, a head in single bytes, and frames that come with it.
#[tokio::test]
async fn frames_right_after_the_answer_reach_the_socket() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(3);
    let answer = [early.as_bytes(), SWITCH.as_bytes(), b"\r\n", b"\x01\x02Hi\x80\x01!"].concat();
    for size in [1, 2, 7, usize::MAX] {
        let (opened, _) = script_in_pieces(&Connect::new(URL), &answer, size).await;
        let (mut socket, _) = opened.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Text("Hi!".into()), "{size}");
    }
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    assert!(matches!(script(&Connect::new(URL), &endless).await.0, Err(Error::Http(_))));
}

/// The connections stay open, as with keep-alive, so nothing may wait for their end.
#[tokio::test(start_paused = true)]
async fn a_refusal_has_status_fields_and_body() {
    for (answer, status, body, is_whole, says) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\nA: b\r\n\r\nno token\nHTTP/1.1 ",
            401,
            "no token\n",
            true,
            "401 Unauthorized instead of 101: send credentials, such as with_field(\"Authorization\", …). \
             Its body begins: no token",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: wss://h/x\r\nContent-Length: 0\r\n\r\n",
            302,
            "",
            true,
            "it redirects to wss://h/x; redirects are not followed",
        ),
        (
            "HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<p>n\r\n5\r\no</p>\r\n0\r\n\r\n",
            404,
            "<p>no</p>",
            true,
            "answered 404 instead of 101: there is no WebSocket at this path. Its body begins: <p>no",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, "it does not speak WebSocket at this path"),
        (
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 8, 7\r\nContent-Length: 0\r\n\r\n",
            426,
            "",
            true,
            "it wants Upgrade: websocket and Sec-WebSocket-Version: 8, 7",
        ),
        // A body of which only the start comes, and one that never comes.
        ("HTTP/1.1 500 \r\nContent-Length: 9000000000\r\n\r\noops", 500, "oops", false, "oops"),
        ("HTTP/1.1 503 \r\nRetry-After: 7\r\n\r\n", 503, "", false, "try again later; Retry-After: 7"),
        ("HTTP/1.1 400 \r\nTransfer-Encoding: chunked\r\n\r\nzz", 400, "", false, "does not accept"),
    ] {
        for size in [1, usize::MAX] {
            let (opened, _) = script_in_pieces(&Connect::new(URL), answer.as_bytes(), size).await;
            let error = opened.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            let Error::Refused(response) = error else { panic!("{error:?}") };
            assert_eq!((response.status(), response.is_whole()), (status, is_whole), "{answer}");
            assert_eq!(std::str::from_utf8(response.body()), Ok(body), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let answer = format!("HTTP/1.1 403 Forbidden\r\n\r\n{}", "\u{1b}[31mred\u{7}\n".repeat(3000));
    let (opened, _) = script(&Connect::new(URL), &answer).await;
    let error = opened.unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 1000 && !text.contains('\u{1b}') && text.contains("\\u{1b}[31mred"), "{text}");
    let Error::Refused(response) = error else { panic!("{error:?}") };
    assert_eq!((response.body().len(), response.is_whole()), (8 * 1024, false));
    for max in [0, 1] {
        let (opened, _) = script(&Connect::new(URL).with_max_body(max), &answer).await;
        let Err(Error::Refused(response)) = opened else { panic!("{opened:?}") };
        assert_eq!(response.body().len(), max);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_a_handshake_is_an_error() {
    let wrong = SWITCH.replace("KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (answer, error) in [
        (format!("{wrong}\r\n"), VerifyError::Accept),
        (SWITCH.replace("Connection: Upgrade\r\n", "") + "\r\n", VerifyError::Connection),
        (SWITCH.replace("Upgrade: websocket\r\n", "") + "\r\n", VerifyError::Upgrade),
        (SWITCH.replace("websocket", "h2c") + "\r\n", VerifyError::Upgrade),
        (format!("{SWITCH}Sec-WebSocket-Protocol: chat\r\n\r\n"), VerifyError::Subprotocol),
        (format!("{SWITCH}Sec-WebSocket-Extensions: x\r\n\r\n"), VerifyError::Extension),
    ] {
        let (opened, _) = script(&Connect::new(URL), &answer).await;
        match opened.unwrap_err() {
            Error::Handshake(found, response) => {
                assert_eq!(found, error, "{answer}");
                assert_eq!(response.status(), 101);
            }
            other => panic!("{answer} {other:?}"),
        }
    }
    for answer in [
        "garbage\r\n\r\n".to_owned(),
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}".to_owned(),
        "HTTP/2 200\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000)),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
    ] {
        let (client, mut server) = duplex(64 * 1024);
        let serve = async move {
            let _ = server.write_all(answer.as_bytes()).await;
            server
        };
        let connect = Connect::new(URL);
        let (opened, _server) = tokio::join!(connect.over(client), serve);
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::Http(_)) && error.source().is_some(), "{error:?}");
    }
    let (client, server) = duplex(64 * 1024);
    let (_, write) = tokio::io::split(server);
    drop(write);
    assert!(matches!(Connect::new(URL).over(client).await, Err(Error::Closed | Error::Io(_))));
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_says_why() {
    async fn refused(connect: Connect) -> String {
        let (client, mut server) = duplex(64);
        let error = connect.over(client).await.unwrap_err();
        assert!(matches!(error, Error::Request(_)), "{error:?}");
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).await.unwrap();
        assert!(sent.is_empty(), "nothing was sent");
        error.to_string()
    }
    for (url, says) in [
        ("h/chat", "begins with a scheme"),
        ("ftp://h/", "begins with ws://"),
        ("ws://u:secret@h/", "Authorization"),
        ("ws://h/a b", "percent-encoded"),
        ("ws://h/#x", "fragment"),
        ("ws://h:0/", "port"),
    ] {
        let text = refused(Connect::new(url)).await;
        assert!(text.contains(says) && !text.contains("secret"), "{text}");
    }
    for name in [
        "host",
        "Connection",
        "UPGRADE",
        "sec-websocket-key",
        "Sec-WebSocket-Protocol",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let text = refused(Connect::new(URL).with_field(name, "x")).await;
        assert_eq!(text, format!("the handshake writes the field {name} itself: leave it out"));
    }
    for (name, value) in [("X", "a\r\nB: c"), ("X Y", "a"), ("", "a"), ("X", " a")] {
        let text = refused(Connect::new(URL).with_field(name, value).with_field("Y", "z")).await;
        assert!(text.contains("cannot be sent"), "{text}");
    }
    let text = refused(Connect::new(URL).with_subprotocols(["a b"])).await;
    assert_eq!(text, "the subprotocol \"a b\" is not a token");
    assert!(matches!(Connect::new("x").open().await.unwrap_err(), Error::Request(RequestError::Url(_))));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = connect(&format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(error, Error::Connect { address: tried, .. } if tried == address), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot connect to {address}"));
    // A label has at most 63 bytes, so the resolver asks nobody.
    let error = connect(&format!("ws://{}/", "x".repeat(64))).await.unwrap_err();
    assert!(matches!(error, Error::Lookup { .. }), "{error:?}");
}

/// When the future is dropped, the stream closes.
#[tokio::test]
async fn a_cancelled_handshake_closes_the_stream() {
    let (client, mut server) = duplex(1024);
    let connect = Connect::new(URL);
    let mut opening = Box::pin(connect.over(client));
    assert!(futures_util::poll!(&mut opening).is_pending());
    drop(opening);
    let mut sent = Vec::new();
    server.read_to_end(&mut sent).await.unwrap();
    assert!(sent.ends_with(b"\r\n\r\n"));
}

/// An echo server of tokio-tungstenite that asks for a field.
async fn tungstenite_server() -> SocketAddr {
    use tungstenite::handshake::server::{Request, Response};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            #[allow(clippy::result_large_err)] // the type of the library
            let check = |request: &Request, mut response: Response| {
                if request.headers().get("authorization").is_none() {
                    let mut refusal = tungstenite::http::Response::new(Some("no token".to_owned()));
                    *refusal.status_mut() = tungstenite::http::StatusCode::UNAUTHORIZED;
                    return Err(refusal);
                }
                response.headers_mut().insert("sec-websocket-protocol", "echo".parse().unwrap());
                Ok(response)
            };
            let Ok(mut server) = tokio_tungstenite::accept_hdr_async(stream, check).await else { continue };
            while let Some(Ok(message)) = server.next().await {
                if message.is_text() || message.is_binary() {
                    server.send(message).await.unwrap();
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn a_client_works_with_a_server_of_tungstenite() {
    let address = tungstenite_server().await;
    let url = format!("ws://localhost:{}/", address.port());
    let Err(Error::Refused(response)) = Connect::new(&url).open().await else { panic!("not refused") };
    assert_eq!((response.status(), response.body()), (401, &b"no token"[..]));

    let connect = Connect::new(&url)
        .with_field("Authorization", "Bearer x")
        .with_limits(Limits::DEFAULT.with_max_message(1 << 20))
        .with_subprotocols(["echo"]);
    let (mut socket, response) = connect.open().await.unwrap();
    assert_eq!(response.subprotocol(), Some("echo"));
    assert_eq!(socket.get_ref().tcp().peer_addr().unwrap(), address);
    assert!(socket.get_ref().tcp().nodelay().unwrap());
    for len in [0, 10, 126, 70_000] {
        let message = Message::Binary(vec![7; len].into());
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message, "{len}");
    }
    socket.close(Some(1000), "").await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(socket.next().await.is_none());
}
