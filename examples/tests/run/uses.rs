//! The uses. Each must serve its page. These tests then do what the page does, with clients from
//! other projects. Tests in a browser check the pages themselves.

use std::io::Write;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::running::{Running, client};

/// Checks that the page, its style and the client are served, and that the page may not load
/// anything from other sites.
async fn shows_its_page(address: &str, part: &str) {
    let client = reqwest::Client::new();
    let page = client.get(format!("http://{address}/")).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    let text = page.text().await.unwrap();
    assert!(text.contains(part), "{part} is not in the page");
    for (path, media) in [("style.css", "text/css"), ("tidewire.js", "text/javascript")] {
        let answer = client.get(format!("http://{address}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(media), "{path}");
    }
}

/// A stream, and the text received so far.
struct Heard {
    stream: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Heard {
    async fn at(url: String, accept: &'static str) -> Self {
        let answer = reqwest::Client::new().get(url).header("Accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Heard { stream: answer.bytes_stream().boxed(), text: String::new() }
    }

    /// Reads until all of these parts have come.
    async fn until(&mut self, parts: &[&str]) -> &str {
        while !parts.iter().all(|part| self.text.contains(part)) {
            self.text.push_str(std::str::from_utf8(&self.stream.next().await.unwrap().unwrap()).unwrap());
        }
        &self.text
    }
}

async fn post(address: &str, channel: &str, body: &'static str) {
    let answer = reqwest::Client::new().post(format!("http://{address}/c/{channel}")).body(body);
    assert_eq!(answer.send().await.unwrap().status(), 201);
}

#[test]
fn chat() {
    let (_server, address) = Running::serve("chat");
    client(async {
        shows_its_page(&address, "subscribe('/c/lobby', { since: 'earliest' })").await;
        let said = r#"{"name":"ada","text":"<b>hello</b>"}"#;
        post(&address, "lobby", said).await;
        let mut heard =
            Heard::at(format!("http://{address}/c/lobby?since=earliest"), "text/event-stream").await;
        heard.until(&[&format!("data: {said}\n\n")]).await;
    });
}

#[test]
fn notifications() {
    let (_server, address) = Running::serve("notifications");
    client(async {
        shows_its_page(&address, "new EventSource").await;
        let all = format!("http://{address}/c/news,builds,mail");
        let mut heard = Heard::at(format!("{all}?since=now"), "text/event-stream").await;
        post(&address, "news", "while here").await;
        let text = heard.until(&["while here", "\n\n"]).await;
        let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
        drop(heard);
        post(&address, "mail", "while away").await;
        // The page does this when it is opened again.
        let answer = reqwest::get(format!("{all}?since={id}")).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let came: Vec<_> = answer["messages"].as_array().unwrap().iter().collect();
        let came = came.iter().find(|message| message["channel"] == "mail").unwrap();
        assert_eq!(came["data"], "while away");
    });
}

#[test]
fn stock_ticker() {
    let (_server, address) = Running::serve("stock_ticker");
    client(async {
        shows_its_page(&address, "parse: JSON.parse").await;
        // A new reader gets a price at once, and only the latest price is kept.
        let symbols = ["TIDE", "WIRE", "SURF", "REEF", "KELP", "MOON"];
        let all = format!("http://{address}/c/{}?feed=stream&since=earliest", symbols.join(","));
        let channels = symbols.map(|symbol| format!("\"channel\":\"{symbol}\""));
        Heard::at(all, "*/*").await.until(&channels.each_ref().map(String::as_str)).await;
        let poll = || async {
            let answer = reqwest::get(format!("http://{address}/c/TIDE")).await.unwrap();
            serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
        };
        let first = poll().await;
        assert_eq!(first["messages"].as_array().unwrap().len(), 1);
        let cents = |answer: &Value| {
            let data = answer["messages"][0]["data"].as_str().unwrap();
            serde_json::from_str::<Value>(data).unwrap()["cents"].as_i64().unwrap()
        };
        assert!(cents(&first) >= 100);
        // A reader that was away is told how many prices it missed.
        let cursor = first["cursor"].as_str().unwrap();
        let gap = loop {
            let answer = reqwest::get(format!("http://{address}/c/TIDE?since={cursor}")).await.unwrap();
            if answer.status() == 410 {
                break serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap();
            }
        };
        assert!(gap["gap"]["missed"].as_u64().unwrap() >= 1, "{gap}");
    });
}

#[test]
fn cursors() {
    let (_server, address) = Running::serve("cursors");
    client(async {
        shows_its_page(&address, "'tidewire.v1'").await;
        let connect = || async {
            let mut request = format!("ws://{address}/c/board?since=now").into_client_request().unwrap();
            request.headers_mut().insert("Sec-WebSocket-Protocol", "tidewire.v1".parse().unwrap());
            let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
            assert_eq!(next(&mut socket, "hello").await["type"], "hello");
            socket
        };
        let (mut one, mut other) = (connect().await, connect().await);
        let place = r#"{"type":"publish","id":7,"channel":"board","data":"{\"id\":\"a\",\"x\":0.5}"}"#;
        one.send(Message::text(place)).await.unwrap();
        assert_eq!(next(&mut one, "ack").await["id"], 7);
        assert_eq!(next(&mut other, "message").await["data"], r#"{"id":"a","x":0.5}"#);
    });

    async fn next<S>(socket: &mut S, kind: &str) -> Value
    where
        S: StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
    {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let object: Value = serde_json::from_str(&text).unwrap();
                if object["type"] == kind {
                    return object;
                }
            }
        }
    }
}

#[test]
fn live_log_tail() {
    let (mut server, address) = Running::serve("live_log_tail");
    let stdin = server.child.stdin.as_mut().unwrap();
    stdin.write_all(b"first\nsecond \xff\n").unwrap();
    client(async {
        shows_its_page(&address, "subscribe('/c/log'").await;
        let mut heard = Heard::at(format!("http://{address}/c/log?feed=stream&since=earliest"), "*/*").await;
        // The second line is not UTF-8.
        heard.until(&["\"data\":\"first\"", "\"data_b64\":\"c2Vjb25kIP8=\""]).await;
        stdin.write_all(b"third\n").unwrap();
        heard.until(&["\"data\":\"third\""]).await;
    });
}

#[test]
fn video() {
    let (_server, address) = Running::serve("video");
    client(async {
        shows_its_page(&address, "feed=raw").await;
        // The viewer gets the first piece of the film before the last piece is sent.
        let film = format!("http://{address}/c/film");
        let (pieces, body) = tokio::sync::mpsc::unbounded_channel::<Result<&'static [u8], std::io::Error>>();
        let body = futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
        let upload = reqwest::Client::new().put(&film).header("Content-Type", "video/webm");
        let upload = tokio::spawn(upload.body(reqwest::Body::wrap_stream(body)).send());
        pieces.send(Ok(b"the beginning, ")).unwrap();
        let mut viewer = reqwest::get(format!("{film}?feed=raw")).await.unwrap();
        assert_eq!(viewer.headers()["content-type"], "video/webm");
        assert_eq!(viewer.chunk().await.unwrap().unwrap(), "the beginning, ");
        pieces.send(Ok(b"the end")).unwrap();
        drop(pieces);
        assert_eq!(upload.await.unwrap().unwrap().status(), 201);
        assert_eq!(viewer.bytes().await.unwrap(), "the end");
    });
}
