//! Servers on a free port, with clients from other projects.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::running::{Deadline, Output, client, raw, read_until, rest};
use super::{Running, has};

#[test]
fn http_echo() {
    let (_server, address) = Running::serve("http_echo");
    client(async {
        let client = reqwest::Client::new();
        let body = vec![b'x'; 3 << 20];
        let echo = client.post(format!("http://{address}/echo")).header("Content-Type", "text/x-test");
        let answer = echo.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/x-test");
        assert_eq!(answer.bytes().await.unwrap(), body);
        let root = client.get(format!("http://{address}/")).send().await.unwrap();
        assert_eq!((root.status().as_u16(), root.text().await.unwrap().as_str()), (200, "OK\n"));
    });
    let answers = raw(
        &address,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n\
                de\r\n0\r\n\r\n\
              GET /echo HTTP/1.1\r\nHost: a\r\n\r\n\
              GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    has(&answers, &["HTTP/1.1 200", "\r\n\r\nabcde", "HTTP/1.1 405", "Allow: POST", "HTTP/1.1 404"]);
}

#[test]
fn server_tls() {
    let output = crate::run("server_tls");
    has(&output, &["HTTP/1.1 200 OK", "hello 127.0.0.1 over TLS", "stopped\n"]);
}

#[test]
fn server_axum() {
    let (mut server, address) = Running::serve("server_axum");
    client(async {
        let client = reqwest::Client::new();
        let url = |path: &str| format!("http://{address}{path}");
        for visit in 1..=2 {
            let text = client.get(url("/")).send().await.unwrap().text().await.unwrap();
            assert_eq!(text, format!("hello 127.0.0.1, this is visit {visit}\n"));
        }
        let page = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/pages/chat.html")).unwrap();
        let whole = client.get(url("/files/chat.html")).send().await.unwrap();
        assert_eq!((whole.status().as_u16(), whole.content_length()), (200, Some(page.len() as u64)));
        assert_eq!(whole.bytes().await.unwrap(), page);
        let part = client.get(url("/files/chat.html")).header("Range", "bytes=10-109").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.content_length()), (206, Some(100)));
        assert_eq!(part.bytes().await.unwrap(), page[10..110]);
        let body = vec![b'x'; 3 << 20];
        let upload = client.put(url("/upload")).body(body.clone()).send().await.unwrap();
        assert_eq!(upload.text().await.unwrap(), "3145728 bytes\n");
        let refused = client.put(url("/files/")).body(body).send().await.unwrap();
        assert_eq!(refused.status(), 413);
        let checksum = client.get(url("/checksum")).send().await.unwrap();
        assert_eq!(checksum.status(), 200);
    });
    if cfg!(unix) {
        // Without a graceful stop, the signal ends the process, which is no success.
        let kill = format!("kill -TERM {}", server.child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(Deadline::soon().end(&mut server.child).is_some_and(|status| status.success()));
    }
}

#[test]
fn http1_server() {
    let (_server, address) = Running::serve("http1_server");
    client(async {
        let client = reqwest::Client::new();
        for body in ["hello", "again"] {
            let answer = client.post(format!("http://{address}/x?y")).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            has(&answer.text().await.unwrap(), &["POST /x?y HTTP/1.1", "5 bytes of body"]);
        }
    });
    let answers = raw(
        &address,
        b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\n\
                GET /c HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    );
    has(&answers, &["HTTP/1.1 200", "GET /a", "HTTP/1.1 200", "HTTP/1.1 400", "Connection: close"]);
    assert!(!answers.contains("HEAD /b"), "the answer to HEAD has no body: {answers}");
}

/// The server shows the requests that reach it.
#[test]
fn http1_proxy() {
    let (_server, server) = Running::serve("http1_server");
    let (_proxy, address) = Running::serve_with("http1_proxy", &[&server]);
    client(async {
        let client = reqwest::Client::new();
        for body in ["hello", "again"] {
            let request = client.post(format!("http://{address}/x?y")).header("TE", "trailers").body(body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let seen = answer.text().await.unwrap();
            has(&seen, &["POST /x?y HTTP/1.1", &format!("Host: {address}"), "Via: 1.1 ", "5 bytes of body"]);
            assert!(!seen.to_lowercase().contains("\nte:"), "{seen}");
        }
    });
    let answers = raw(
        &address,
        b"GET http://a?q HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\r\n\
              HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n\
              PUT /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
                3\r\nabc\r\n0\r\nDigest: d\r\n\r\n\
              CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    has(&answers, &["HTTP/1.1 200", "GET /?q HTTP/1.1\nHost: a\n", "Via: 1.1 "]);
    has(&answers, &["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 100", "HTTP/1.1 200", "PUT /c"]);
    has(&answers, &["Transfer-Encoding: chunked\n", "3 bytes of body\ntrailer Digest\n", "HTTP/1.1 400"]);
    for gone in ["x-hop", "X-Hop", "Keep-Alive", "HEAD /b", "smuggled"] {
        assert!(!answers.contains(gone), "{gone}: {answers}");
    }
    for (ambiguous, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n", 400),
    ] {
        let answers =
            raw(&address, format!("{ambiguous}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        has(&answers, &[&format!("HTTP/1.1 {status}"), "Connection: close"]);
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    }
    let (_proxy, address) = Running::serve_with("http1_proxy", &["127.0.0.1:1"]);
    has(&raw(&address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &["HTTP/1.1 502", "Connection: close"]);
}

/// Each piece of a body passes through before the next one is sent. Here the test is the
/// server.
#[test]
fn http1_proxy_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_proxy, address) =
        Running::serve_with("http1_proxy", &[&listener.local_addr().unwrap().to_string()]);
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .unwrap();
    let (mut server, _) = listener.accept().unwrap();
    has(&read_until(&mut server, "3\r\none\r\n"), &["POST /1", "Connection: close\r\n", "Via: 1.1 "]);
    client.write_all(b"3\r\ntwo\r\n0\r\n\r\n").unwrap();
    assert_eq!(read_until(&mut server, "0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
    // The end of the connection is the end of this body. The client gets chunks.
    server
        .write_all(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nKeep-Alive: 1\r\n\r\nthree")
        .unwrap();
    let begin = read_until(&mut client, "5\r\nthree\r\n");
    has(&begin, &["HTTP/1.1 103", "A: b", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]);
    server.write_all(b"four").unwrap();
    assert_eq!(read_until(&mut client, "r\r\n"), "4\r\nfour\r\n");
    drop(server);
    assert_eq!(read_until(&mut client, "0\r\n\r\n"), "0\r\n\r\n");

    // On the same connection: answers without a body, and an answer that is cut off.
    for (method, response, expected) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncut",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncut",
        ),
    ] {
        client.write_all(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        read_until(&mut server, "\r\n\r\n");
        server.write_all(response.as_bytes()).unwrap();
        drop(server);
        assert_eq!(read_until(&mut client, expected), expected);
    }
    assert_eq!(rest(&mut client), "", "the length shows that the answer is cut off");
}

#[test]
fn http1_proxy_passes_a_websocket() {
    let (_server, server) = Running::serve("ws_echo_std");
    let (_proxy, address) = Running::serve_with("http1_proxy", &[&server]);
    client(async {
        let url = format!("ws://{address}/tide");
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        for text in ["hello".to_owned(), "again".repeat(50_000)] {
            socket.send(Message::text(text.as_str())).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let request = |upgrade| {
        let head = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: {upgrade}\r\n{head}\r\n")
    };
    // The first frames may come together with the request.
    let early = [request("websocket").as_bytes(), b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0"].concat();
    has(&raw(&address, &early), &["HTTP/1.1 101", "Sec-WebSocket-Accept: ", "\u{2}hi"]);
    // Another protocol does not pass.
    has(&raw(&address, request("h2c").as_bytes()), &["HTTP/1.1 426", "Upgrade: websocket\r\n"]);
}

/// The log of a proxy, while clients use servers through it.
#[test]
fn http1_capture() {
    let (_server, upstream) = Running::serve("http1_framed");
    let (_proxy, address, mut log) = Running::logging("http1_capture", &["127.0.0.1:0", &upstream]);
    let logged = |log: &mut Output, expected: &[&str]| {
        for line in expected {
            assert_eq!(log.line(line).as_deref(), Some(*line));
        }
    };
    client(async {
        let client = reqwest::Client::new();
        for body in ["hello", "again!"] {
            let sent = client.post(format!("http://{address}/kept")).body(body).send().await.unwrap();
            assert_eq!(sent.text().await.unwrap(), body);
        }
    });
    logged(
        &mut log,
        &["POST /kept with 5 bytes: 200 with 5 bytes", "POST /kept with 6 bytes: 200 with 6 bytes"],
    );
    let pipelined = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
            HEAD /b HTTP/1.1\r\nHost: a\r\n\r\nPOST /c HTTP/1.0\r\nContent-Length: 3\r\n\r\nbye";
    has(&raw(&address, pipelined), &["2\r\nhi\r\n", "\r\n\r\nbye"]);
    logged(
        &mut log,
        &[
            "POST /a with 2 bytes: 200 with 2 bytes",
            "HEAD /b with 0 bytes: 200 with 0 bytes",
            "POST /c with 3 bytes: 200 with 3 bytes",
        ],
    );
    has(&raw(&address, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), &["HTTP/1.1 400"]);
    let mut lines = [log.line("a refusal").unwrap(), log.line("another line").unwrap()];
    lines.sort();
    assert_eq!(
        lines,
        ["a refused request: 400", "refused: whitespace before the colon of a field at byte 20"]
    );
}

#[test]
fn http1_capture_shows_frames() {
    let (_server, upstream) = Running::serve("ws_echo_std");
    let (_proxy, address, mut log) = Running::logging("http1_capture", &["127.0.0.1:0", &upstream]);
    client(async {
        let url = format!("ws://{address}/tide");
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    for line in [
        "GET /tide with 0 bytes: 101 with 0 bytes",
        "client: Text frame with 5 bytes",
        "server: Text frame with 5 bytes",
        "client: Close frame with 0 bytes",
        "server: Close frame with 0 bytes",
    ] {
        assert_eq!(log.line(line).as_deref(), Some(line));
    }
    // A compressed frame.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_proxy, address, mut log) =
        Running::logging("http1_capture", &["127.0.0.1:0", &upstream.local_addr().unwrap().to_string()]);
    let server = std::thread::spawn(move || {
        let mut server = upstream.accept().unwrap().0;
        read_until(&mut server, "\r\n\r\n");
        server
            .write_all(
                b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                      \xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
            )
            .unwrap();
    });
    raw(&address, b"GET /z HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    server.join().unwrap();
    for line in ["GET /z with 0 bytes: 101 with 0 bytes", "server: Text frame with 7 bytes"] {
        assert_eq!(log.line(line).as_deref(), Some(line));
    }
    // Without a server, connections close, and the program goes on.
    let (_proxy, address, _log) = Running::logging("http1_capture", &["127.0.0.1:0", "127.0.0.1:1"]);
    for _ in 0..3 {
        let mut client = TcpStream::connect(&address).unwrap();
        Deadline::soon().limit(&client);
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn http1_framed() {
    let (_server, address) = Running::serve("http1_framed");
    client(async {
        let answer =
            reqwest::Client::new().post(format!("http://{address}/")).body("hello").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, "hello".to_owned()));
    });
    let pipelined = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\
            hiPOST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nbye";
    has(
        &raw(&address, pipelined),
        &["HTTP/1.1 200", "2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200", "Connection: close\r\n\r\nbye"],
    );
    has(&raw(&address, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), &["HTTP/1.1 400", "Connection: close"]);
}

#[test]
fn ws_echo() {
    ws_echoes("ws_echo", 16 << 20);
}

#[test]
fn ws_echo_std() {
    ws_echoes("ws_echo_std", 1 << 20);
}

fn ws_echoes(name: &'static str, longest: usize) {
    let (_server, address) = Running::serve(name);
    client(async {
        let (mut socket, response) =
            tokio_tungstenite::connect_async(format!("ws://{address}/any/path")).await.unwrap();
        assert_eq!(response.status(), 101);
        let messages = [
            Message::text("héllo"),
            Message::binary(vec![0, 255, 7]),
            Message::text(""),
            Message::binary(vec![7; longest]),
        ];
        for message in messages {
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == message, "the echo of {} bytes", message.len());
        }
        socket.send(Message::Ping("are you there".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));
        socket.close(None).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
        assert!(socket.next().await.is_none(), "the server closes the connection");
    });
    let refused = raw(&address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    has(&refused, &["HTTP/1.1 426", "Sec-WebSocket-Version: 13"]);
}

/// The client library sends no wrong frames, so this test sends bytes.
#[test]
fn ws_echo_is_strict_and_keeps_the_order() {
    let (_server, address) = Running::serve("ws_echo");
    let shake = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let after_head = |frames: &[u8]| {
        let answer = raw(&address, &[shake.as_bytes(), frames].concat());
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        rest.to_owned()
    };
    // Two fragments with a ping between them, then a text that is not UTF-8. The answers are
    // pong, echo and close 1007, in this order.
    let rest = after_head(
        b"\x01\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\x81\0\0\0\0c\x81\x81\0\0\0\0\xff\x81\x81\0\0\0\0x",
    );
    assert!(rest.contains("\u{1}p") && rest.contains("\u{3}abc"), "{rest:?}");
    has(&rest, &["\u{1}p", "\u{3}abc", "UTF-8"]);
    // A frame without a mask: close 1002.
    has(&after_head(b"\x81\x01a"), &["mask"]);
    // The compressed "Hello" of RFC 7692 §7.2.3.1. The answer is not compressed, because it is
    // too short.
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let shake = shake.replace("\r\n\r\n", offer);
    let frames = b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0\x88\x80\0\0\0\0";
    let answer = raw(&address, &[shake.as_bytes(), frames].concat());
    has(&answer, &["Sec-WebSocket-Extensions: permessage-deflate", "\u{5}Hello"]);
}

#[cfg(target_os = "linux")]
#[test]
fn ws_echo_sends_a_close_when_it_is_stopped() {
    let (mut server, address) = Running::serve("ws_echo");
    client(async {
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/")).await.unwrap();
        let pid = server.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
            other => panic!("{other:?}"),
        }
        while let Some(Ok(_)) = socket.next().await {}
    });
    Deadline::soon().until("the end of ws_echo", || match server.child.try_wait().unwrap() {
        Some(status) => {
            assert!(status.success(), "{status}");
            true
        }
        None => false,
    });
}
