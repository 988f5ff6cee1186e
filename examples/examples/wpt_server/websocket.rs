//! The handshakes of the WebSocket handlers: how each handler answers, and what it does then.

use std::time::Duration;

use bytes::Bytes;
use tidewire_grammar::list;
use tidewire_server::http1::{RequestHead, Version};
use tidewire_server::{DetachHead, Problem, Reply, Response};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::Origins;
use tidewire_ws::handshake::server::{Accept, Options, accept};
use tidewire_ws::{Connection, Limits, Server, close};
use tokio::time::sleep;

use crate::behaviour::Behaviour;
use crate::msg_channel::Direction;
use crate::query::{Query, bad};
use crate::ticket::Ticket;

/// The size of the largest message in bytes.
const MESSAGE: u64 = 16 * 1024 * 1024;
const LIMITS: Limits =
    Limits::DEFAULT.with_max_frame(MESSAGE).with_max_message(MESSAGE).with_max_empty_fragments(65_536);

/// How a handler answers the handshake, and what it does then.
struct HandshakePlan {
    behaviour: Behaviour,
    /// The only subprotocol of the handler.
    subprotocol: Option<String>,
    /// Whether messages may be compressed. Not where the size on the wire matters.
    compress: bool,
    /// Additional fields of the 101.
    fields: Vec<(&'static str, String)>,
    wait: Duration,
    answer: HandshakeAnswer,
}

enum HandshakeAnswer {
    Correct,
    /// With a close frame in the same packet.
    WithClose,
    WrongKey,
    /// After something that is not HTTP.
    AfterInvalidBytes,
}

impl From<Behaviour> for HandshakePlan {
    fn from(behaviour: Behaviour) -> Self {
        let (fields, wait) = (Vec::new(), Duration::ZERO);
        HandshakePlan {
            behaviour,
            subprotocol: None,
            compress: true,
            fields,
            wait,
            answer: HandshakeAnswer::Correct,
        }
    }
}

pub fn answer(path: &str, head: &RequestHead<'_>) -> Result<Reply<Ticket>, Problem> {
    if path == "/basic_auth" && head.get("authorization") != Some(FOO_BAR) {
        return Ok(Response::new(401).with("WWW-Authenticate", "Basic realm=\"camelot\"").into());
    }
    let plan = plan(path, head)?.ok_or_else(|| Problem::new(404, "There is no such handler."))?;
    let version = if head.version() == Version::Http11 { (1, 1) } else { (1, 0) };
    let subprotocols = plan.subprotocol.as_deref().map(|one| [one]);
    let subprotocols: &[&str] = subprotocols.as_ref().map_or(&[], |one| one);
    // The tests run in pages of several origins.
    let mut options = Options::DEFAULT.with_subprotocols(subprotocols).with_origins(Origins::Any);
    if plan.compress {
        options = options.with_deflate(Config::DEFAULT);
    }
    let accepted = match accept(head.method().as_str().as_bytes(), version, head.fields(), &options) {
        Ok(accepted) => accepted,
        Err(refusal) => {
            let problem = Problem::new(refusal.status(), refusal.detail()).into_response();
            return Ok(refusal.fields().iter().fold(problem, |r, (n, v)| r.with(n, v)).into());
        }
    };
    let mut connection = Box::new(Connection::<Server>::new(LIMITS));
    if let Some(params) = accepted.deflate() {
        *connection = connection.with_deflate(params, &Config::DEFAULT);
    }
    let mut first = Vec::new();
    let head = match plan.answer {
        HandshakeAnswer::AfterInvalidBytes => {
            // These bytes do not go through the server's encoder, and neither does the 101 after
            // them.
            first.extend_from_slice(b"FOO BAR BAZ\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n");
            for (name, value) in accepted.response_fields() {
                first.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            first.extend_from_slice(b"\r\n");
            None
        }
        HandshakeAnswer::WithClose => {
            let close = connection.send_close(Some(close::GOING_AWAY), "PASS", &mut first);
            close.map_err(|error| Problem::new(500, error.to_string()))?;
            Some(response(&accepted, accepted.accept_key(), &plan.fields)?)
        }
        HandshakeAnswer::WrongKey => Some(response(&accepted, "thisisawrongacceptkey", &plan.fields)?),
        HandshakeAnswer::Correct => Some(response(&accepted, accepted.accept_key(), &plan.fields)?),
    };
    let head = head.map(|response| DetachHead { response, chunked: false });
    let (first, ticket) = (vec![Bytes::from(first)], Ticket::WebSocket(connection, plan.behaviour));
    let reply = Reply::Detach { head, first, ticket };
    if plan.wait.is_zero() {
        return Ok(reply);
    }
    Ok(Reply::Later(Box::pin(async move {
        sleep(plan.wait).await;
        reply
    })))
}

/// The user `foo` with the password `bar`.
const FOO_BAR: &[u8] = b"Basic Zm9vOmJhcg==";

fn plan(path: &str, head: &RequestHead<'_>) -> Result<Option<HandshakePlan>, Problem> {
    let query = Query::of(head);
    let raw_query = || text(head.query().unwrap_or_default());
    let plain = |behaviour: Behaviour| HandshakePlan { compress: false, ..HandshakePlan::from(behaviour) };
    Ok(Some(match path {
        "/echo" => HandshakePlan { subprotocol: Some("echo".into()), ..Behaviour::Echo.into() },
        "/echo_raw" => Behaviour::EchoRaw.into(),
        "/empty-message" => Behaviour::EmptyMessage.into(),
        "/protocol" | "/protocol_array" => {
            let first =
                text(head.get_all("sec-websocket-protocol").flat_map(list).next().unwrap_or_default());
            HandshakePlan { subprotocol: Some(first.clone()), ..Behaviour::Say(first).into() }
        }
        "/origin" => Behaviour::Say(origin(head)).into(),
        "/echo-query" => Behaviour::Say(raw_query()).into(),
        "/echo-cookie" => Behaviour::Say(text(head.get("cookie").unwrap_or(b"(none)"))).into(),
        "/remote-close" => remote_close(&query)?.into(),
        "/delayed-passive-close" => Behaviour::DelayedClose.into(),
        "/passive-close-abort" => Behaviour::AbortedClose.into(),
        "/receive-many-with-backpressure" => plain(Behaviour::ReceiveSlowly),
        "/send-backpressure" => plain(Behaviour::SendMuch),
        "/msg_channel" => msg_channel(&query)?.into(),
        "/basic_auth" => Behaviour::Nothing.into(),
        "/handshake_no_extensions" => plain(Behaviour::Nothing),
        "/handshake_sleep_2" => HandshakePlan { wait: Duration::from_secs(2), ..Behaviour::Nothing.into() },
        "/simple_handshake" => {
            let fields =
                vec![("Set-Cookie", "ws_test=test".to_owned()), ("Sec-WebSocket-Origin", origin(head))];
            HandshakePlan { fields, answer: HandshakeAnswer::WithClose, ..plain(Behaviour::Nothing) }
        }
        "/wrong_accept_key" => {
            let fields = vec![("Sec-WebSocket-Origin", origin(head))];
            HandshakePlan {
                fields,
                answer: HandshakeAnswer::WrongKey,
                ..plain(Behaviour::Say("test".into()))
            }
        }
        "/invalid" => {
            HandshakePlan { answer: HandshakeAnswer::AfterInvalidBytes, ..plain(Behaviour::Nothing) }
        }
        _ if path.starts_with("/set-cookie") => match cookies(path, &raw_query(), &query, head) {
            Some(fields) => HandshakePlan { fields, ..Behaviour::Listen.into() },
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn remote_close(query: &Query) -> Result<Behaviour, Problem> {
    if query.get("abrupt").is_some() {
        return Ok(Behaviour::HangUp);
    }
    let code = query.number("code")?;
    if code.is_some_and(|code| !close::is_valid(code)) {
        return Err(bad("A close frame must not have this code (RFC 6455 §7.4)."));
    }
    // A reason without a code cannot be sent.
    let reason = code.and(query.text("reason")).unwrap_or_default();
    Ok(Behaviour::Close(code, reason))
}

fn msg_channel(query: &Query) -> Result<Behaviour, Problem> {
    let uuid = query.text("uuid").ok_or_else(|| bad("Give the name of the channel: ?uuid=NAME."))?;
    let direction = match query.get("direction") {
        Some(b"read") => Direction::Read,
        Some(b"write") => Direction::Write,
        _ => return Err(bad("Give the end of the channel: ?direction=read or write.")),
    };
    Ok(Behaviour::Channel(uuid, direction))
}

/// The fields of the handlers that set cookies.
fn cookies(
    path: &str,
    name: &str,
    query: &Query,
    head: &RequestHead<'_>,
) -> Option<Vec<(&'static str, String)>> {
    let set = |text: String| ("Set-Cookie", text);
    Some(match path {
        "/set-cookie" => vec![set(format!("ws_test_{name}=test; Path=/"))],
        "/set-cookie-secure" => vec![set(format!("ws_test_{name}=test; Secure; Path=/"))],
        "/set-cookie_http" => {
            let cookie = set(format!("ws_test_{name}=test; Path=/; HttpOnly"));
            vec![cookie, ("Sec-WebSocket-Origin", origin(head))]
        }
        "/set-cookies-samesite" => {
            let value = query.text("value").unwrap_or_else(|| "1".into());
            let age = if query.get("clear").is_some() { "; Max-Age=0" } else { "" };
            let kinds = [
                ("unspecified", ""),
                ("lax", "; SameSite=Lax"),
                ("strict", "; SameSite=Strict"),
                // A browser accepts this cookie only if it is secure.
                ("none", "; SameSite=None; Secure"),
            ];
            kinds.map(|(kind, rest)| set(format!("samesite-{kind}={value}; Path=/{rest}{age}"))).into()
        }
        _ => return None,
    })
}

fn response(accepted: &Accept<'_>, key: &str, more: &[(&'static str, String)]) -> Result<Response, Problem> {
    let mut response = Response::new(101);
    for (name, value) in accepted.response_fields() {
        response = response.with(name, if name == "Sec-WebSocket-Accept" { key } else { value });
    }
    for (name, value) in more {
        response = response.try_with(name, value).map_err(|error| bad(format!("{name}: {error}.")))?;
    }
    Ok(response)
}

fn origin(head: &RequestHead<'_>) -> String {
    text(head.get("origin").unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
