//! The handlers under `/eventsource/resources/`.
//!
//! Some tests check how a browser reads an event stream. Their streams are written as literal
//! bytes: ids with a NUL, a stream that ends within an event, other line ends.
//! `tidewire_sse::EventFields` refuses to write these, and writes all other streams.

use std::io;
use std::time::Duration;

use tidewire_server::http1::{Method, RequestHead};
use tidewire_server::{DetachHead, Problem, Reply, Response, Upgraded};
use tidewire_sse::EventFields;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep};

use crate::query::{Query, bad, cookie};
use crate::ticket::Ticket;

pub fn answer(name: &str, head: &RequestHead<'_>) -> Result<Reply<Ticket>, Problem> {
    if !matches!(head.method(), Method::Get | Method::Head) {
        return Err(Problem::new(405, "These handlers support only GET."));
    }
    let query = Query::of(head);
    let response = match name {
        "message2.py" if head.method() == Method::Get => return Ok(begin_endless()),
        "message2.py" => stream(200),
        "cors.py" => cors(head, &query)?,
        "cors-cookie.py" => cors_cookie(head, &query)?,
        "last-event-id.py" => last_event_id(head, &query),
        "last-event-id2.py" => last_event_id2(&query),
        "status-error.py" => status_error(&query)?,
        "reconnect-fail.py" => reconnect_fail(head, &query)?,
        "accept.event_stream" => field_of(head, "accept"),
        "cache-control.event_stream" => field_of(head, "cache-control"),
        name => named(name, head, &query)?.ok_or_else(|| Problem::new(404, "There is no such handler."))?,
    };
    // The tests pass a time only to `message.py`.
    let wait = Duration::from_millis(query.number("sleep")?.unwrap_or(0).into());
    if wait.is_zero() {
        return Ok(response.into());
    }
    Ok(Reply::Later(Box::pin(async move {
        sleep(wait).await;
        response.into()
    })))
}

/// The handlers that have their own name and also run within `cors.py`.
fn named(name: &str, head: &RequestHead<'_>, query: &Query) -> Result<Option<Response>, Problem> {
    Ok(Some(match name {
        "message.py" => message(query)?,
        "status-reconnect.py" => status_reconnect(head, query)?,
        _ => return Ok(None),
    }))
}

fn message(query: &Query) -> Result<Response, Problem> {
    let newline = if query.get("newline") == Some(b"none") { &b""[..] } else { b"\n\n" };
    let body = [query.get("message").unwrap_or(b"data: data"), newline, b"\n"].concat();
    let mime = query.get("mime").unwrap_or(b"text/event-stream");
    Ok(field(Response::new(200), "Content-Type", mime)?.body(body))
}

fn last_event_id(head: &RequestHead<'_>, query: &Query) -> Response {
    match head.get("last-event-id").filter(|id| !id.is_empty()) {
        Some(id) => stream(200).body([b"data: ", id, b"\n\n"].concat()),
        None => {
            let id = query.get("idvalue").unwrap_or("…".as_bytes());
            stream(200).body([b"id: ", id, b"\nretry: 200\ndata: hello\n\n"].concat())
        }
    }
}

fn last_event_id2(query: &Query) -> Response {
    stream(200).body(match query.get("type").unwrap_or(b"1") {
        b"2" => "id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n",
        b"3" => "id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n",
        _ => "id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n",
    })
}

fn status_error(query: &Query) -> Result<Response, Problem> {
    let status = status(query, 404)?;
    Ok(stream(status).body(if matches!(status, 204 | 205) { "" } else { "data: data\n\n" }))
}

fn status_reconnect(head: &RequestHead<'_>, query: &Query) -> Result<Response, Problem> {
    let status = status(query, 204)?.to_string();
    let name = format!("request{}", query.text("id").unwrap_or(status.clone()));
    if cookie(head, name.as_bytes()) == Some(status.as_bytes()) {
        return Ok(unset_cookie(stream(200), &name)?.body("data: data\n\n"));
    }
    let first = if query.get("ok_first").is_some() { "retry: 2\ndata: ok\n\n" } else { "retry: 2\n" };
    Ok(set_cookie(stream(self::status(query, 204)?), &name, &status)?.body(first))
}

fn reconnect_fail(head: &RequestHead<'_>, query: &Query) -> Result<Response, Problem> {
    let id = query.text("id").ok_or_else(|| bad("Give the name of the test: ?id=NAME."))?;
    let name = format!("recon_fail_{id}");
    match cookie(head, name.as_bytes()) {
        Some(b"opened") => {
            Ok(set_cookie(stream(200), &name, "reconnected")?.body(event(None, "reconnected")))
        }
        Some(b"reconnected") => unset_cookie(stream(204), &name),
        _ => {
            let body = EventFields { retry: Some(2), data: Some("opened"), ..EventFields::default() };
            Ok(set_cookie(stream(200), &name, "opened")?.body(encoded(body)))
        }
    }
}

fn cors(head: &RequestHead<'_>, query: &Query) -> Result<Response, Problem> {
    let response = match query.get("run").unwrap_or_default() {
        b"cache-control" => field_of(head, "cache-control"),
        b"redirect" => {
            let location = query.get("location").ok_or_else(|| bad("Give the target: ?location=URL."))?;
            field(Response::new(status(query, 302)?), "Location", location)?
        }
        name => {
            let name = format!("{}.py", String::from_utf8_lossy(name));
            named(&name, head, query)?.unwrap_or(Response::new(200))
        }
    };
    let origin = query.get("origin").or(head.get("origin")).unwrap_or(b"*");
    let response = field(response, "Access-Control-Allow-Origin", origin)?;
    field(response, "Access-Control-Allow-Credentials", query.get("credentials").unwrap_or(b"true"))
}

fn cors_cookie(head: &RequestHead<'_>, query: &Query) -> Result<Response, Problem> {
    let name = query.text("ident").unwrap_or_else(|| "test".into());
    let came = if cookie(head, name.as_bytes()).is_some() { "COOKIE" } else { "NO_COOKIE" };
    let mut response = match head.get("last-event-id").unwrap_or_default() {
        b"" => {
            let data = format!("first {came}");
            let body =
                EventFields { id: Some("1"), retry: Some(200), data: Some(&data), ..EventFields::default() };
            set_cookie(stream(200), &name, "COOKIE")?.body(encoded(body))
        }
        b"1" => unset_cookie(stream(200), &name)?.body(event(Some("2"), &format!("second {came}"))),
        id => {
            let data = format!("{}{came}", String::from_utf8_lossy(id));
            Response::new(200).with("Content-Type", "stop").body(event(None, &data))
        }
    };
    let origin = query.get("origin").or(head.get("origin")).unwrap_or(b"*");
    let credentials = query.get("credentials").unwrap_or(b"true");
    for (name, value) in
        [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", credentials)]
    {
        if value != b"none" {
            response = field(response, name, value)?;
        }
    }
    Ok(response)
}

/// Answers with an event that has a field of the request.
fn field_of(head: &RequestHead<'_>, name: &str) -> Response {
    stream(200).body([b"data: ", head.get(name).unwrap_or_default(), b"\n\n"].concat())
}

fn begin_endless() -> Reply<Ticket> {
    let response = stream(200).with("Cache-Control", "no-cache");
    // Always chunked: the clients of the suite are browsers, which support it.
    let head = Some(DetachHead { response, chunked: true });
    Reply::Detach { head, first: Vec::new(), ticket: Ticket::Endless }
}

/// Sends each line by itself, so that a client gets events in pieces. Ends when the client closes.
pub async fn endless(mut io: Upgraded) -> io::Result<()> {
    let mut every = interval(Duration::from_secs(2));
    let mut ignored = [0; 64];
    loop {
        tokio::select! {
            read = io.read(&mut ignored) => if read? == 0 {
                return Ok(());
            },
            _ = every.tick() => {
                for piece in PIECES {
                    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                    io.write_all(chunk.as_bytes()).await?;
                }
            }
        }
    }
}

/// An event of two lines, a comment, two unknown fields, a field name in the wrong case, a field
/// without a colon, and the end.
const PIECES: [&str; 11] = [
    "data:msg\n",
    "data: msg\n\n",
    ":\n",
    "falsefield:msg\n\n",
    "falsefield:msg\n",
    "Data:data\n\n",
    "data\n\n",
    "data:",
    "end",
    "\n",
    "\n",
];

fn stream(status: u16) -> Response {
    Response::new(status).with("Content-Type", "text/event-stream")
}

fn event(id: Option<&str>, data: &str) -> Vec<u8> {
    encoded(EventFields { id, data: Some(data), ..EventFields::default() })
}

fn encoded(event: EventFields<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    event.encode_to(&mut body).expect("the ids are ours");
    body
}

/// Returns a final status. An interim status would not be an answer.
fn status(query: &Query, usual: u16) -> Result<u16, Problem> {
    let status = query.number("status")?.unwrap_or(usual);
    (200..=599).contains(&status).then_some(status).ok_or_else(|| bad("status must be 200 to 599."))
}

fn set_cookie(response: Response, name: &str, value: &str) -> Result<Response, Problem> {
    field(response, "Set-Cookie", format!("{name}={value}; Path=/").as_bytes())
}

fn unset_cookie(response: Response, name: &str) -> Result<Response, Problem> {
    field(response, "Set-Cookie", format!("{name}=; Path=/; Max-Age=0").as_bytes())
}

/// Adds a field whose value a test has chosen.
fn field(response: Response, name: &str, value: &[u8]) -> Result<Response, Problem> {
    response
        .try_with(name, value)
        .map_err(|error| bad(format!("This value is not allowed in {name}: {error}.")))
}
