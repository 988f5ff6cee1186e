//! The examples of `tidewire-sse` with other projects: axum and reqwest.

use tidewire_sse::EventStream;

use super::running::{Running, client, has};

#[test]
fn sse_llm() {
    let printed = Running::start("sse_llm", &[]).end();
    // The whole answer, then the answer that was cut within its third token and continued.
    let text = "High wäter 🌊 at\nnoon.\n";
    let cut = "cut after id \"2\", within an event: true\n";
    has(&printed, &[text, cut, text, "not an event stream: status 401, text/html: <h1>No key\n"]);
    assert_eq!(printed.matches("cut").count(), 1, "{printed}");
}

#[test]
fn sse_axum() {
    let (_server, address) = Running::serve("sse_axum");
    client(async {
        let client = reqwest::Client::new();
        let get = async |path: &str| client.get(format!("http://{address}/{path}")).send().await.unwrap();

        let response = get("count").await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let mut events = EventStream::from_response(response).await.unwrap();
        for n in 1..=3 {
            let event = events.try_next().await.unwrap().unwrap();
            assert_eq!((event.data, event.last_event_id), (format!("tick {n}"), n.to_string()));
        }
        assert_eq!(events.try_next().await.unwrap(), None);

        // The head comes before any event: otherwise nobody would publish.
        let mut events = EventStream::from_response(get("chat").await).await.unwrap();
        let post = client.post(format!("http://{address}/chat")).body("high\nwater").send();
        assert_eq!(post.await.unwrap().text().await.unwrap(), "1 readers\n");
        let event = events.try_next().await.unwrap().unwrap();
        assert_eq!((&*event.event_type, &*event.data), ("chat", "high\nwater"));

        // The event before the wrong id arrives, also the reason, then the connection is cut.
        let mut response = get("forged").await;
        let mut text = String::new();
        let cut = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let reason = ": an event could not be written: CR, LF or NUL in an id, at byte 1\n";
        assert_eq!(text, format!("id: 1\ndata: real\n\n{reason}"));
        assert!(cut, "a client must not take the stream for complete");
        // The server lives.
        assert_eq!(get("count").await.status(), 200);
    });
}
