//! Any lines as the fields of a handshake, for both ends: tungstenite accepts what this crate
//! accepts and answers with the same key, and the two ends of this crate agree.

use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::{Origins, client, server};
use tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Request};

pub fn run(data: &[u8]) {
    let fields: Vec<(&[u8], &[u8])> = data
        .split(|byte| *byte == b'\n')
        .map(|line| line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len())))
        .map(|(name, value)| (name, value.strip_prefix(b":").unwrap_or(value).trim_ascii()))
        .collect();
    let options = server::Options::DEFAULT
        .with_subprotocols(&["chat", "tidewire.v1"])
        .with_origins(Origins::Any)
        .with_deflate(Config::DEFAULT);
    if let Ok(accept) = server::accept(b"GET", (1, 1), fields.iter().copied(), &options)
        && let Some(theirs) = tungstenite_key(&fields)
    {
        assert_eq!(accept.accept_key(), theirs);
    }

    // A client's own request with these fields added: if the server accepts it, the client accepts
    // the answer.
    let request = client::Request::new([7; 16], &["tidewire.v1"]).with_deflate(Config::DEFAULT);
    let own = request.fields().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let both = own.chain([(&b"host"[..], &b"h"[..])]).chain(fields.iter().copied());
    if let Ok(accept) = server::accept(b"GET", (1, 1), both, &options) {
        let answer: Vec<_> = accept.response_fields().collect();
        let answer = answer.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        if let Ok(agreed) = request.verify(101, answer) {
            assert_eq!(agreed.deflate().is_some(), accept.deflate().is_some());
        } else {
            // The server may have chosen something that only the fuzzer offered.
            assert!(accept.subprotocol() == Some("chat") || accept.deflate().is_some());
        }
    }
    let _ = request.verify(101, fields.iter().copied());
}

/// Returns tungstenite's answer to the same fields, if the `http` crate can represent them. Panics
/// if tungstenite refuses them.
fn tungstenite_key(fields: &[(&[u8], &[u8])]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    // tungstenite reads only the first field of a name, and does not split the value of `Upgrade`.
    let upgrade = headers.get("upgrade")?;
    if headers.get_all("connection").iter().count() > 1
        || !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")
    {
        return None;
    }
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let response = tungstenite::handshake::server::create_response(&request);
    let response = response.expect("tungstenite accepts what this crate accepts");
    Some(response.headers()["sec-websocket-accept"].to_str().expect("base64").into())
}
