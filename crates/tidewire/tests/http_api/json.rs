//! The JSON objects: each is one line, whichever characters a reader treats as the end of a line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Post, Server, Ws};
use crate::get;

/// The line ends of Unicode. JSON allows the last three unescaped in a string.
const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

const TEXT: &str = "NEL\u{85}LS\u{2028}PS\u{2029}Â€…end";

/// The same characters, spelled as escapes.
const ESCAPED: &str = "NEL\\u0085LS\\u2028PS\\u2029Â€…end";

#[test]
fn no_feed_has_a_line_end_within_an_object() {
    let server = Server::start(&["--comet"]);
    Post::new(TEXT).event("e%E2%80%A8x").content_type("text/x;\u{2029}y").to(&server.address, "j");
    for query in [
        "/c/j?feed=poll",
        "/c/j?feed=longpoll&since=earliest",
        "/c/j?feed=stream&since=earliest",
        "/c/j?feed=xhr&since=earliest",
        "/c/j?feed=multipart&since=earliest",
        "/c/j?feed=iframe&since=earliest",
        "/c/j?feed=jsonp&callback=f&since=earliest",
        "/c/j?feed=sse&objects=1&since=earliest",
        "/c/j,k?feed=sse&since=earliest",
        "/c/j,k?feed=stream&since=earliest",
    ] {
        let mut raw = server.raw();
        let got = String::from_utf8(raw.send(get(query, "")).until("…end\"}")).unwrap();
        assert!(
            got.contains(ESCAPED) && got.contains("e\\u2028x") && got.contains("text/x;\\u2029y"),
            "{query}: {got}"
        );
        // The event name is also on a line of the event stream, which has only CR and LF as line
        // ends.
        let objects = got.replace("event: e\u{2028}x\n", "");
        assert!(!objects.contains(&LINE_ENDS[2..]), "{query}: {got:?}");
    }
    // A payload that cannot be the part itself is in a JSON object.
    Post::new(format!("--tidewire{TEXT}")).to(&server.address, "j");
    let mut raw = server.raw();
    let got = String::from_utf8(raw.send(get("/c/j?feed=replace", "")).until("…end\"}")).unwrap();
    assert!(got.contains(ESCAPED) && !got.contains(&LINE_ENDS[2..]), "{got}");
    let mut ws = Ws::v1(&server, "/c/j?since=earliest");
    ws.json();
    let text = ws.text();
    assert!(text.contains(ESCAPED) && !text.contains(LINE_ENDS), "{text:?}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["data"], TEXT, "the decoded text is the same");
}

#[test]
fn a_long_text_that_escapes_would_more_than_double_is_sent_in_base64() {
    let server = Server::start(&["--comet"]);
    let (short, long) = ("\u{1}".repeat(127), "\u{1}".repeat(1_000));
    Post::new(short.clone()).to(&server.address, "j");
    Post::new(long.clone()).to(&server.address, "j");
    let expected = [
        format!("\"data\":\"{}\"}}", "\\u0001".repeat(127)),
        format!("\"data_b64\":\"{}\"}}", STANDARD.encode(&long)),
    ];
    for query in [
        "/c/j?feed=poll",
        "/c/j?feed=longpoll&since=earliest",
        "/c/j?feed=stream&since=earliest",
        "/c/j?feed=xhr&since=earliest",
        "/c/j?feed=multipart&since=earliest",
        "/c/j?feed=iframe&since=earliest",
        "/c/j?feed=jsonp&callback=f&since=earliest",
        "/c/j?feed=sse&objects=1&since=earliest",
        "/c/j,k?feed=sse&since=earliest",
    ] {
        let mut raw = server.raw();
        let got = String::from_utf8(raw.send(get(query, "")).until("==\"}")).unwrap();
        assert!(expected.iter().all(|object| got.contains(object)), "{query}: {got}");
    }
    let mut ws = Ws::v1(&server, "/c/j?since=earliest");
    ws.json();
    expected.iter().for_each(|object| assert!(ws.text().ends_with(object)));
    // These characters are escaped only in a script, so elsewhere this is text.
    Post::new("<".repeat(1_000)).to(&server.address, "k");
    let mut raw = server.raw();
    raw.send(get("/c/k?feed=jsonp&callback=f&since=earliest", "")).until("data_b64");
    raw.send(get("/c/k", "")).until("\"data\":\"<<<");
}

#[test]
fn an_id_is_returned_unchanged_but_on_one_line() {
    let server = Server::start(&[]);
    let mut ws = Ws::v1(&server, "/c/i");
    ws.json();
    for (spelled, back) in [
        (r#""\u0061\/""#, r#""\u0061\/""#),
        ("1.50e+1", "1.50e+1"),
        ("{\"b\" :  1,\t\"a\":[ ]}", "{\"b\" :  1,\t\"a\":[ ]}"),
        // A line end between the parts of an id becomes a space. A line end within a string becomes
        // an escape.
        ("[1,\r\n 2]", "[1,   2]"),
        ("\"a\u{2028}b\u{2029}\u{85}\"", "\"a\\u2028b\\u2029\\u0085\""),
        ("\"\\u2028 \u{e9}\u{20ac}\"", "\"\\u2028 \u{e9}\u{20ac}\""),
    ] {
        let expected = format!("\"id\":{back},");
        for rest in [r#""channel":"elsewhere","data":"x""#, r#""channel":"no name""#] {
            ws.send(Message::text(format!(r#"{{"type":"publish","id":{spelled},{rest}}}"#)));
            let text = ws.text();
            assert!(text.contains(&expected) && !text.contains(LINE_ENDS), "{spelled:?}: {text:?}");
            let id: Value = serde_json::from_str(spelled).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["id"], id, "{spelled:?}");
        }
    }
}
