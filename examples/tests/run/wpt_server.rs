//! `wpt_server`: what the web-platform-tests rely on, tested with clients from other projects.
//! Where such a client would refuse to send or to accept something, the test uses bytes.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::running::{Running, client, has, raw, read_until, rest};

/// Additional fields of a request.
type Fields<'a> = &'a [(&'static str, &'a str)];
type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Returns the whole answer to a GET, head included.
fn get(address: &str, target: &str, fields: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{fields}Connection: close\r\n\r\n");
    raw(address, request.as_bytes())
}

fn resource(address: &str, rest: &str, fields: &str) -> String {
    get(address, &format!("/eventsource/resources/{rest}"), fields)
}

#[test]
fn a_message_is_sent_as_requested() {
    let (_server, address) = Running::serve("wpt_server");
    let plain = resource(&address, "message.py", "");
    has(&plain, &["HTTP/1.1 200", "Content-Type: text/event-stream", "\r\n\r\ndata: data\n\n\n"]);
    let chosen = "message.py?mime=x%20bogus&message=data%3A%00%0D%0Adata&newline=none";
    has(&resource(&address, chosen, ""), &["Content-Type: x bogus", "\r\n\r\ndata:\0\r\ndata\n"]);
    let started = Instant::now();
    has(&resource(&address, "message.py?sleep=300&message=data%3Alate", ""), &["data:late"]);
    assert!(started.elapsed() >= Duration::from_millis(300));
    // A value that a test chooses cannot add a field.
    has(&resource(&address, "message.py?mime=a%0D%0AX-Injected:%20b", ""), &["HTTP/1.1 400"]);
    has(&resource(&address, "nothing.py", ""), &["HTTP/1.1 404"]);
    has(&get(&address, "/elsewhere", ""), &["HTTP/1.1 404"]);
}

#[test]
fn an_endless_stream_comes_in_pieces() {
    let (_server, address) = Running::serve("wpt_server");
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /eventsource/resources/message2.py HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let head = read_until(&mut stream, "\r\n\r\n");
    let head: Vec<&str> = head.lines().collect();
    for field in ["Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Cache-Control: no-cache"]
    {
        assert!(head.contains(&field), "{field} is not in {head:?}");
    }
    // Two rounds show that it continues.
    for _ in 0..2 {
        read_until(&mut stream, "\nend\r\n");
    }
}

#[test]
fn last_event_ids() {
    let (_server, address) = Running::serve("wpt_server");
    has(&resource(&address, "last-event-id.py", ""), &["\r\n\r\nid: …\nretry: 200\ndata: hello\n\n"]);
    has(&resource(&address, "last-event-id.py?idvalue=a%00b", ""), &["\r\n\r\nid: a\0b\nretry"]);
    let back = resource(&address, "last-event-id.py", "Last-Event-ID: …\r\n");
    has(&back, &["\r\n\r\ndata: …\n\n"]);
    for (kind, body) in [
        ("", "id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n"),
        ("?type=2", "id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n"),
        ("?type=3", "id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n"),
    ] {
        has(&resource(&address, &format!("last-event-id2.py{kind}"), ""), &["\r\n\r\n", body]);
    }
}

#[test]
fn statuses_and_cookies() {
    let (_server, address) = Running::serve("wpt_server");
    has(&resource(&address, "status-error.py", ""), &["HTTP/1.1 404", "text/event-stream", "data: data"]);
    has(&resource(&address, "status-error.py?status=503", ""), &["HTTP/1.1 503", "data: data"]);
    for status in ["204", "205"] {
        let answer = resource(&address, &format!("status-error.py?status={status}"), "");
        has(&answer, &[&format!("HTTP/1.1 {status}")]);
        assert!(answer.ends_with("\r\n\r\n"), "{answer:?}");
    }
    has(&resource(&address, "status-error.py?status=100", ""), &["HTTP/1.1 400"]);

    let first = resource(&address, "status-reconnect.py?status=200&ok_first&id=7", "");
    has(&first, &["HTTP/1.1 200", "Set-Cookie: request7=200; Path=/\r\n", "retry: 2\ndata: ok\n\n"]);
    let again = resource(&address, "status-reconnect.py?status=200&id=7", "Cookie: a=b; request7=200\r\n");
    has(&again, &["Set-Cookie: request7=; Path=/; Max-Age=0", "\r\n\r\ndata: data\n\n"]);

    for (cookie, expected) in [
        ("", &["200", "Set-Cookie: recon_fail_x=opened; Path=/", "retry: 2\ndata: opened"][..]),
        (
            "Cookie: recon_fail_x=opened\r\n",
            &["200", "recon_fail_x=reconnected; Path=/", "data: reconnected"],
        ),
        ("Cookie: recon_fail_x=reconnected\r\n", &["204", "recon_fail_x=; Path=/; Max-Age=0"]),
    ] {
        has(&resource(&address, "reconnect-fail.py?id=x", cookie), expected);
    }
}

#[test]
fn other_origins_and_fields_of_the_request() {
    let (_server, address) = Running::serve("wpt_server");
    let origin = "Origin: http://a.test\r\n";
    let allowed = resource(&address, "cors.py?run=message", origin);
    has(
        &allowed,
        &["Access-Control-Allow-Origin: http://a.test\r\n", "Allow-Credentials: true", "data: data"],
    );
    let other = resource(&address, "cors.py?run=message&origin=http://example.org", origin);
    has(&other, &["Access-Control-Allow-Origin: http://example.org\r\n"]);
    let onward = "cors.py?run=redirect&status=307&location=/eventsource/resources/cors.py?run=message";
    has(
        &resource(&address, onward, origin),
        &[
            "HTTP/1.1 307",
            "Location: /eventsource/resources/cors.py?run=message\r\n",
            "Allow-Origin: http://a.test",
        ],
    );
    let asked =
        resource(&address, "cors.py?run=cache-control", "Cache-Control: no-store\r\nOrigin: null\r\n");
    has(&asked, &["Allow-Origin: null", "data: no-store\n\n"]);

    let first = resource(&address, "cors-cookie.py?ident=q", origin);
    has(&first, &["Set-Cookie: q=COOKIE; Path=/", "id: 1\nretry: 200\ndata: first NO_COOKIE\n\n"]);
    let fields = format!("{origin}Cookie: q=COOKIE\r\nLast-Event-ID: 1\r\n");
    let second = resource(&address, "cors-cookie.py?ident=q&credentials=none", &fields);
    has(&second, &["Set-Cookie: q=; Path=/; Max-Age=0", "id: 2\ndata: second COOKIE\n\n"]);
    assert!(!second.contains("Allow-Credentials"), "{second}");
    has(
        &resource(&address, "cors-cookie.py?origin=none", "Last-Event-ID: 2\r\n"),
        &["Content-Type: stop\r\n"],
    );

    has(
        &resource(&address, "accept.event_stream", "Accept: text/event-stream\r\n"),
        &["data: text/event-stream\n\n"],
    );
    has(
        &resource(&address, "cache-control.event_stream", "Cache-Control: no-cache\r\n"),
        &["data: no-cache\n\n"],
    );
}

/// Connects with additional fields in the request. Also returns the fields of the response.
async fn connect(address: &str, target: &str, fields: Fields<'_>) -> (Socket, Vec<(String, String)>) {
    let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    let fields = response.headers().iter();
    (socket, fields.map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap().to_owned())).collect())
}

async fn next_text(socket: &mut Socket) -> String {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Returns the code (0 for none) and the reason of the next close. Then the connection must end.
async fn close_of(socket: &mut Socket) -> (u16, String) {
    let close = match socket.next().await.unwrap().unwrap() {
        Message::Close(close) => close,
        other => panic!("not a close: {other:?}"),
    };
    while let Some(Ok(_)) = socket.next().await {}
    close.map_or((0, String::new()), |close| (close.code.into(), close.reason.to_string()))
}

#[test]
fn echo_has_the_subprotocol_echo_and_closes_after_goodbye() {
    let (_server, address) = Running::serve("wpt_server");
    client(async {
        let (mut socket, fields) =
            connect(&address, "/echo", &[("Sec-WebSocket-Protocol", "chat, echo")]).await;
        assert!(fields.contains(&("sec-websocket-protocol".into(), "echo".into())), "{fields:?}");
        let messages = [
            Message::text("héllo"),
            Message::text(""),
            Message::binary(vec![7; 70_000]),
            Message::text("Goodbye"),
        ];
        for message in messages {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        assert_eq!(close_of(&mut socket).await, (1000, String::new()));

        let (mut socket, fields) = connect(&address, "/echo", &[]).await;
        assert!(fields.iter().all(|(name, _)| name != "sec-websocket-protocol"), "{fields:?}");
        let close = CloseFrame { code: 3456.into(), reason: "pizza".into() };
        socket.close(Some(close)).await.unwrap();
        assert_eq!(close_of(&mut socket).await, (3456, "pizza".into()), "echoed with its reason");
        let (mut socket, _) = connect(&address, "/echo", &[]).await;
        socket.close(None).await.unwrap();
        assert_eq!(
            close_of(&mut socket).await,
            (0, String::new()),
            "a close without a code has none in its echo"
        );
    });
}

#[test]
fn handlers_that_send_a_part_of_the_request() {
    let (_server, address) = Running::serve("wpt_server");
    let cases: [(&str, Fields<'_>, &str); 8] = [
        ("/protocol", &[("Sec-WebSocket-Protocol", "foobar")], "foobar"),
        ("/protocol_array", &[("Sec-WebSocket-Protocol", "foobar, foobar2")], "foobar"),
        ("/origin", &[("Origin", "http://a.test:8000")], "http://a.test:8000"),
        ("/echo-query?a%20b&c", &[], "a%20b&c"),
        ("/echo-cookie", &[("Cookie", "a=b; c=d")], "a=b; c=d"),
        ("/echo-cookie", &[], "(none)"),
        ("/basic_auth", &[("Authorization", "Basic Zm9vOmJhcg==")], ""),
        ("/handshake_no_extensions", &[("Sec-WebSocket-Extensions", "permessage-deflate")], ""),
    ];
    client(async {
        for (target, fields, said) in cases {
            let (mut socket, answer) = connect(&address, target, fields).await;
            if !said.is_empty() {
                assert_eq!(next_text(&mut socket).await, said, "{target}");
            }
            assert!(
                answer.iter().all(|(name, _)| name != "sec-websocket-extensions"),
                "{target}: {answer:?}"
            );
            assert_eq!(close_of(&mut socket).await, (1000, String::new()), "{target}");
        }
        for (message, said) in [(Message::text(""), "pass"), (Message::text("x"), "fail")] {
            let (mut socket, _) = connect(&address, "/empty-message", &[]).await;
            socket.send(message).await.unwrap();
            assert_eq!(next_text(&mut socket).await, said);
        }
    });
    has(
        &handshake(&address, "/basic_auth", ""),
        &["HTTP/1.1 401", "WWW-Authenticate: Basic realm=\"camelot\"\r\n"],
    );
    has(&handshake(&address, "/no-such-handler", ""), &["HTTP/1.1 404"]);
    has(&get(&address, "/echo", ""), &["HTTP/1.1 426"]);
}

#[test]
fn compression_is_agreed_on_except_where_the_tests_forbid_it() {
    let (_server, address) = Running::serve("wpt_server");
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    // An empty close ends each connection.
    has(
        &handshake(&address, "/echo", offer),
        &["HTTP/1.1 101", "Sec-WebSocket-Extensions: permessage-deflate"],
    );
    let plain = handshake(&address, "/handshake_no_extensions", offer);
    has(&plain, &["HTTP/1.1 101"]);
    assert!(!plain.contains("Sec-WebSocket-Extensions"), "{plain}");
}

#[test]
fn cookies_of_the_handshake() {
    let (_server, address) = Running::serve("wpt_server");
    for (target, expected) in [
        ("/set-cookie?abc", &["Set-Cookie: ws_test_abc=test; Path=/\r\n"][..]),
        ("/set-cookie-secure?abc", &["Set-Cookie: ws_test_abc=test; Secure; Path=/\r\n"]),
        (
            "/set-cookie_http?abc",
            &[
                "Set-Cookie: ws_test_abc=test; Path=/; HttpOnly\r\n",
                "Sec-WebSocket-Origin: http://a.test\r\n",
            ],
        ),
        (
            "/set-cookies-samesite?value=9",
            &[
                "samesite-unspecified=9; Path=/\r\n",
                "samesite-lax=9; Path=/; SameSite=Lax\r\n",
                "samesite-strict=9; Path=/; SameSite=Strict\r\n",
                "samesite-none=9; Path=/; SameSite=None; Secure\r\n",
            ],
        ),
        ("/set-cookies-samesite?clear", &["samesite-lax=1; Path=/; SameSite=Lax; Max-Age=0\r\n"]),
        ("/set-cookies-for-all", &["HTTP/1.1 404"]),
    ] {
        has(&handshake(&address, target, "Origin: http://a.test\r\n"), expected);
    }
}

#[test]
fn closes_of_every_kind() {
    let (_server, address) = Running::serve("wpt_server");
    client(async {
        for (target, close) in [
            ("/remote-close", (0, "")),
            ("/remote-close?code=1000", (1000, "")),
            ("/remote-close?code=4000&reason=robot%20says", (4000, "robot says")),
            ("/simple_handshake", (1001, "PASS")),
        ] {
            let (mut socket, _) = connect(&address, target, &[]).await;
            let (code, reason) = close_of(&mut socket).await;
            assert_eq!((code, reason.as_str()), close, "{target}");
        }
        let (mut socket, _) = connect(&address, "/remote-close?abrupt=1", &[]).await;
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Ping("ping".into()));
        assert!(matches!(socket.next().await, Some(Err(_))), "no close frame");

        let (mut socket, _) = connect(&address, "/passive-close-abort", &[]).await;
        socket.close(None).await.unwrap();
        assert!(!matches!(socket.next().await, Some(Ok(_))), "no close frame");

        let (mut socket, _) = connect(&address, "/delayed-passive-close", &[]).await;
        let asked = Instant::now();
        socket.close(Some(CloseFrame { code: 3000.into(), reason: "later".into() })).await.unwrap();
        assert_eq!(close_of(&mut socket).await, (3000, "later".into()));
        assert!(asked.elapsed() >= Duration::from_secs(1));
    });
    has(&handshake(&address, "/remote-close?code=1005", ""), &["HTTP/1.1 400"]);
    // The close is in one packet with the head. Nothing comes between them, and nothing after the
    // client's reply.
    let simple = handshake(&address, "/simple_handshake", "Origin: http://a.test\r\n");
    has(&simple, &["Set-Cookie: ws_test=test\r\n", "Sec-WebSocket-Origin: http://a.test\r\n"]);
    assert!(simple.ends_with("\r\n\r\n\u{fffd}\u{6}\u{3}\u{fffd}PASS"), "{simple:?}");
}

#[test]
fn handshakes_that_a_browser_must_refuse() {
    let (_server, address) = Running::serve("wpt_server");
    let wrong = handshake(&address, "/wrong_accept_key", "");
    has(&wrong, &["HTTP/1.1 101", "Sec-WebSocket-Accept: thisisawrongacceptkey\r\n"]);
    let noise = handshake(&address, "/invalid", "");
    assert!(noise.starts_with("FOO BAR BAZ\r\n\r\nHTTP/1.1 101"), "{noise:?}");
    client(async {
        let refused = tokio_tungstenite::connect_async(format!("ws://{address}/wrong_accept_key")).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch)), "{error:?}");
        let asked = Instant::now();
        let (mut socket, _) = connect(&address, "/handshake_sleep_2", &[]).await;
        assert!(asked.elapsed() >= Duration::from_secs(2));
        assert_eq!(close_of(&mut socket).await, (1000, String::new()));
    });
}

#[test]
fn echo_raw_writes_bytes_unchanged() {
    let (_server, address) = Running::serve("wpt_server");
    client(async {
        let (mut socket, _) = connect(&address, "/echo_raw", &[]).await;
        socket.send(Message::binary(b"\x81\x04test".to_vec())).await.unwrap();
        assert_eq!(next_text(&mut socket).await, "test");
        // A frame with an unknown opcode.
        socket.send(Message::binary(b"\x83\x03LOL".to_vec())).await.unwrap();
        assert!(matches!(socket.next().await, Some(Err(Error::Protocol(_)))));
        let (mut socket, _) = connect(&address, "/echo_raw", &[]).await;
        socket.send(Message::text("exit")).await.unwrap();
        assert_eq!(close_of(&mut socket).await, (1000, String::new()));
    });
}

#[test]
fn backpressure_both_ways() {
    let (_server, address) = Running::serve("wpt_server");
    client(async {
        let (mut socket, _) = connect(&address, "/receive-many-with-backpressure", &[]).await;
        let started = Instant::now();
        for _ in 0..3 {
            socket.send(Message::binary(vec![0; 65_536])).await.unwrap();
        }
        for _ in 0..3 {
            assert_eq!(next_text(&mut socket).await, "65536");
        }
        assert!(started.elapsed() >= Duration::from_millis(300));

        let (mut socket, _) = connect(&address, "/send-backpressure", &[]).await;
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(Vec::new()));
        // The server cannot send while nobody reads, and this test measures that time. The server
        // starts its clock a moment after the test does, and later on a busy machine.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..16 {
            assert_eq!(socket.next().await.unwrap().unwrap().len(), 1024 * 1024);
        }
        let seconds: f64 = next_text(&mut socket).await.parse().unwrap();
        assert!(seconds >= 0.9, "sending took {seconds} s, though nobody read for three");
    });
}

#[test]
fn a_channel_has_one_reader_and_keeps_what_is_unread() {
    let (_server, address) = Running::serve("wpt_server");
    client(async {
        let (mut writer, _) = connect(&address, "/msg_channel?uuid=u1&direction=write", &[]).await;
        writer.send(Message::text(r#"["message", {"a": 1}]"#)).await.unwrap();
        let (mut reader, _) = connect(&address, "/msg_channel?uuid=u1&direction=read", &[]).await;
        assert_eq!(next_text(&mut reader).await, r#"{"a":1}"#);
        writer.send(Message::text(r#"["message", "live"]"#)).await.unwrap();
        assert_eq!(next_text(&mut reader).await, r#""live""#);

        let (mut second, _) = connect(&address, "/msg_channel?uuid=u1&direction=read", &[]).await;
        assert_eq!(close_of(&mut second).await.0, 1008);
        writer.send(Message::text(r#"["disconnectReader", null]"#)).await.unwrap();
        assert_eq!(close_of(&mut reader).await, (1000, String::new()));

        writer.send(Message::text(r#"["message", "kept"]"#)).await.unwrap();
        writer.close(None).await.unwrap();
        close_of(&mut writer).await;
        let (mut late, _) = connect(&address, "/msg_channel?uuid=u1&direction=read", &[]).await;
        assert_eq!(next_text(&mut late).await, r#""kept""#);
        late.send(Message::text(r#"["close", null]"#)).await.unwrap();
        assert_eq!(close_of(&mut late).await, (1000, String::new()));
    });
    has(&handshake(&address, "/msg_channel?uuid=u1&direction=up", ""), &["HTTP/1.1 400"]);
}

/// Returns the bytes that come after a handshake and an empty close of the client, until the server
/// closes.
fn handshake(address: &str, target: &str, fields: &str) -> String {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(b"\x88\x80\0\0\0\0").unwrap();
    // After a refusal, the connection would wait for the next request.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    rest(&mut stream)
}
