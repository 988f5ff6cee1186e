//! An axum `Router` as the handler: it works as on axum's own server.

use axum::Router;
use axum::body::{Body as AxumBody, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use tidewire_server::{Limits, Listen, OnUpgrade, Peer, Running, Server, ServiceHandler};
use tidewire_testkit::raw::Raw;
use tidewire_ws::upgrade::{WebSocket, WebSocketUpgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A running server. Dropping it stops the server.
struct Axum(Running);

fn start() -> Axum {
    let router = Router::new()
        .route("/", get(|| async { "hello from axum" }))
        .route("/users/{id}", get(|Path(id): Path<u32>| async move { format!("user {id}") }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/stream", post(|request: Request| async move { AxumBody::new(request.into_body()) }))
        .route("/length", post(|headers: HeaderMap, body: Bytes| async move { length(&headers, &body) }))
        .route("/state", get(|State(name): State<&'static str>| async move { name }))
        .route("/peer", get(peer))
        .route("/host", get(|headers: HeaderMap| async move { format!("{:?}", headers.get(header::HOST)) }))
        .route("/moved", get(|| async { (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]) }))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/known", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/upgrade", get(upgrade))
        .route("/ws", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(greet)))
        .route("/axums-own", any(axums_own))
        .with_state("shared");
    let limits = Limits::DEFAULT.with_drain_timeout(std::time::Duration::from_millis(100));
    let server = Server::builder()
        .listen("127.0.0.1:0".parse::<Listen>().unwrap())
        .threads(2)
        .limits(limits)
        .bind()
        .unwrap();
    Axum(server.serve(move |_| ServiceHandler::new(router.clone())).unwrap())
}

impl Axum {
    fn raw(&self) -> Raw {
        Raw::connect(self.0.addresses()[0].to_string())
    }
}

fn length(headers: &HeaderMap, body: &Bytes) -> String {
    format!("{:?} {}", headers.get(header::CONTENT_LENGTH), body.len())
}

async fn peer(request: Request) -> String {
    match request.extensions().get::<Peer>() {
        Some(Peer::Tcp(address)) => address.ip().to_string(),
        other => format!("{other:?}"),
    }
}

/// Switches to a protocol that sends all bytes back in upper case.
async fn upgrade(mut request: Request) -> Response {
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    tokio::spawn(async move {
        let mut io = on_upgrade.upgraded().await.unwrap();
        let mut piece = [0; 64];
        while let Ok(n @ 1..) = io.read(&mut piece).await {
            io.write_all(&piece[..n].to_ascii_uppercase()).await.unwrap();
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "shout")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn greet(mut socket: WebSocket) {
    let Some(Ok(message)) = socket.next().await else { panic!("no message") };
    socket.send(message).await.unwrap();
    socket.close(Some(1000), "").await.unwrap();
}

async fn axums_own(upgrade: axum::extract::WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |_| ())
}

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn tell(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_router_is_served_without_changes() {
    let axum = start();
    let mut raw = axum.raw();
    for (request, status, text) in [
        (ask("/"), 200, "hello from axum"),
        (ask("/users/7?x=y"), 200, "user 7"),
        (ask("/users/seven"), 400, "Invalid URL: Cannot parse `seven` to a `u32`"),
        (ask("/state"), 200, "shared"),
        (ask("/peer"), 200, "127.0.0.1"),
        (ask("/host"), 200, "Some(\"x\")"),
        ("GET http://a:80/host HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200, "Some(\"a:80\")"),
        (ask("/nothing"), 204, ""),
        (ask("/known"), 304, ""),
        (ask("/nowhere"), 404, ""),
        (ask("/echo"), 405, ""),
        (tell("/echo", "hello"), 200, "hello"),
        (tell("/echo", ""), 200, ""),
        (tell("/length", "four"), 200, "Some(\"4\") 4"),
        (tell("/stream", "streamed"), 200, "streamed"),
        ("GET http://x/state HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200, "shared"),
    ] {
        let answer = raw.send(&request).response();
        assert_eq!((answer.status, answer.text()), (status, text), "{request}");
        assert!(answer.field("date").is_some());
    }
    let moved = raw.send(ask("/moved")).response();
    assert_eq!((moved.status, moved.field("location")), (303, Some("/")));
}

#[test]
fn bodies_stream_both_ways() {
    let axum = start();
    let mut raw = axum.raw();
    raw.send("POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send("4\r\nping\r\n");
    // The answer begins while the request goes on.
    assert!(String::from_utf8(raw.until("\r\n\r\n")).unwrap().starts_with("HTTP/1.1 200 OK"));
    assert_eq!(raw.chunk().unwrap(), b"ping");
    raw.send("4\r\npong\r\n");
    assert_eq!(raw.chunk().unwrap(), b"pong");
    raw.send("0\r\n\r\n");
    assert_eq!(raw.chunk(), None);
    let large = "0123456789abcdef".repeat(20_000);
    assert_eq!(raw.send(tell("/stream", &large)).response().text(), large);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_head_has_no_body() {
    let axum = start();
    let mut raw = axum.raw();
    raw.send(
        [tell("/echo", "one"), ask("/").replace("GET", "HEAD"), ask("/state"), tell("/echo", "two")].concat(),
    );
    assert_eq!(raw.response().text(), "one");
    let head = raw.head_response();
    assert_eq!((head.status, head.field("content-length")), (200, Some("15")));
    assert_eq!(raw.response().text(), "shared");
    assert_eq!(raw.response().text(), "two");
}

#[test]
fn a_body_over_the_limit_of_an_extractor_is_refused_and_the_rest_is_never_a_request() {
    let axum = start();
    let mut raw = axum.raw();
    raw.offer(tell("/echo", &ask("/smuggled").repeat(100_000)));
    assert_eq!(raw.response().status, 413);
    assert!(raw.rest().is_empty());
}

#[test]
fn an_upgrade_reaches_the_service() {
    let axum = start();
    let mut raw = axum.raw();
    assert_eq!(raw.send(ask("/upgrade")).response().status, 426);
    raw.send("GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nearly ");
    assert_eq!(raw.response().status, 101);
    raw.send("and late");
    assert_eq!(raw.exactly(14), b"EARLY AND LATE");
}

/// A request for a WebSocket, and a masked text "Hi" in the same packet.
fn websocket(path: &str) -> Vec<u8> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    [head.as_bytes(), b"\x81\x82\0\0\0\0Hi"].concat()
}

#[test]
fn the_websocket_extractor_works_and_gets_early_frames() {
    let axum = start();
    let mut raw = axum.raw();
    let answer = raw.send(websocket("/ws")).response();
    assert_eq!((answer.status, answer.field("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(raw.exactly(8), b"\x81\x02Hi\x88\x02\x03\xe8");
    let refused = axum.raw().send(ask("/ws")).response();
    assert_eq!((refused.status, refused.field("upgrade")), (426, Some("websocket")));
}

/// axum's own extractor knows only hyper's connections.
#[test]
fn a_service_with_the_extractor_of_axum_is_told_which_one_works() {
    let axum = start();
    let mut raw = axum.raw();
    raw.offer(websocket("/axums-own"));
    let answer = raw.response();
    assert_eq!((answer.status, answer.field("upgrade")), (426, Some("websocket")));
    assert!(answer.text().contains("Use tidewire_ws::upgrade::WebSocketUpgrade"), "{}", answer.text());
    // A 426 of the service itself, for another protocol or an ordinary request, stays as it is.
    let answer = axum.raw().send(ask("/upgrade")).response();
    assert_eq!((answer.status, answer.text()), (426, ""));
}
