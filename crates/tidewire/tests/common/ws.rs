//! A blocking WebSocket, for tests that work step by step. The library is tungstenite.

use std::net::TcpStream;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

use super::{Deadline, Server};

/// The heartbeat of `tidewire.v1`.
pub const HEARTBEAT: &str = r#"{"type":"heartbeat"}"#;

pub struct Ws(pub WebSocket<TcpStream>);

impl Ws {
    /// Opens `path` without a subprotocol.
    pub fn bare(server: &Server, path: &str) -> Self {
        Self::open(server, path, &[]).unwrap_or_else(|answer| panic!("{path} was refused: {answer:?}"))
    }

    /// Opens `path` with `tidewire.v1`.
    pub fn v1(server: &Server, path: &str) -> Self {
        Self::open(server, path, &[("Sec-WebSocket-Protocol", "tidewire.v1")])
            .unwrap_or_else(|answer| panic!("{path} was refused: {answer:?}"))
    }

    /// Opens `path` with these fields. `Err` has the status and the body of a refusal.
    pub fn open(server: &Server, path: &str, fields: &[(&'static str, &str)]) -> Result<Self, (u16, String)> {
        Self::over(TcpStream::connect(&server.address).unwrap(), path, fields)
    }

    /// The same over a connected socket.
    pub fn over(
        stream: TcpStream,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Self, (u16, String)> {
        let address = stream.peer_addr().unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Deadline::soon().limit(&stream);
        stream.set_nodelay(true).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Ws(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("the handshake failed otherwise: {error}"),
        }
    }

    /// Returns the next data message or close. Skips heartbeats, which may arrive at any time.
    pub fn next(&mut self) -> Message {
        let (deadline, mut beats) = (Deadline::soon(), 0);
        loop {
            let came = || format!("{beats} heartbeats");
            deadline.check("a message", came);
            deadline.limit(self.0.get_ref());
            match self.0.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => beats += 1,
                Ok(Message::Text(text)) if text == HEARTBEAT => beats += 1,
                Ok(message) => return message,
                Err(error) => panic!("no message: {error}; what came instead: {}", came()),
            }
        }
    }

    pub fn text(&mut self) -> String {
        match self.next() {
            Message::Text(text) => text.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    pub fn say(&mut self, object: Value) {
        self.0.send(Message::text(object.to_string())).unwrap();
    }

    pub fn send(&mut self, message: Message) {
        self.0.send(message).unwrap();
    }

    /// Returns the code and the reason of the server's close frame, which must come next.
    pub fn closed(&mut self) -> (u16, String) {
        match self.next() {
            Message::Close(Some(CloseFrame { code, reason })) => (code.into(), reason.to_string()),
            other => panic!("not a close: {other:?}"),
        }
    }
}
