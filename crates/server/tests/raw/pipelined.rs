//! Answers that are under way while the requests behind them are handled. Each test decides when
//! and in which order the answers become complete.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tidewire_server::http1::{Method, RequestHead};
use tidewire_server::{
    DetachHead, Handler, Limits, Listen, Parked, Reply, Request, Response, Running, Server, Stopper,
};
use tidewire_testkit::raw::Raw;
use tokio::sync::oneshot;

use crate::site::{eventually, get, post, quick};

/// A server whose answers the test gives.
struct Desk {
    running: Running,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The paths of all requests that reached the handler.
    seen: Mutex<Vec<String>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Kind>>>,
    gives_up: bool,
}

/// What an answer is like.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    /// It closes the connection.
    Last,
    /// It cannot be sent.
    Broken,
    /// Its body is streamed.
    Stream,
}

impl Desk {
    fn start() -> Self {
        Self::with(Limits::DEFAULT, false)
    }

    fn with(limits: Limits, gives_up: bool) -> Self {
        let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
        let server = Server::builder().listen(listen).threads(1).limits(limits).bind().unwrap();
        let shared = Arc::new(Shared { gives_up, ..Shared::default() });
        let handler = shared.clone();
        let running = server.serve(move |_| Clerk(handler.clone())).unwrap();
        Desk { running, shared }
    }

    fn raw(&self) -> Raw {
        Raw::connect(self.running.addresses()[0].to_string().as_str())
    }

    fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until these requests, and no others, were handled.
    #[track_caller]
    fn wait_seen(&self, paths: &[&str]) {
        eventually("the requests are handled", || self.seen().len() >= paths.len());
        assert_eq!(self.seen(), paths);
    }

    /// Nothing more is handled, although the worker had the time for it.
    #[track_caller]
    fn stays(&self, paths: &[&str]) {
        for _ in 0..20 {
            assert_eq!(self.raw().send(get("/ready")).response().status, 200);
            self.shared.seen.lock().unwrap().pop();
        }
        assert_eq!(self.seen(), paths);
    }

    fn answer(&self, path: &str, kind: Kind) {
        let sender = self.shared.waiting.lock().unwrap().remove(path);
        let _ = sender.expect("the request was handled").send(kind);
    }

    fn answer_all(&self, paths: &[&str]) {
        paths.iter().for_each(|path| self.answer(path, Kind::Text));
    }

    /// Whether the engine still waits for the answer.
    fn is_awaited(&self, path: &str) -> bool {
        self.shared.waiting.lock().unwrap().get(path).is_some_and(|sender| !sender.is_closed())
    }

    fn stopper(&self) -> Stopper {
        self.running.stopper()
    }
}

struct Clerk(Arc<Shared>);

impl Handler for Clerk {
    type Ticket = ();

    fn handle(&self, request: Request<'_>) -> Reply<()> {
        let path = String::from_utf8_lossy(request.head.path()).into_owned();
        self.0.seen.lock().unwrap().push(path.clone());
        if path.starts_with("/ready") {
            return Response::new(200).body(path).into();
        }
        if path == "/detach" {
            let head = Some(DetachHead { response: Response::new(200), chunked: false });
            return Reply::Detach { head, first: vec!["detached".into()], ticket: () };
        }
        let (sender, receiver) = oneshot::channel();
        self.0.waiting.lock().unwrap().insert(path.clone(), sender);
        let is_later = path.starts_with("/later");
        let answer = async move {
            let response = Response::new(200);
            match receiver.await.unwrap() {
                Kind::Text => response.body(path),
                Kind::Last => response.closing().body(path),
                Kind::Broken => response.with("X", "a\r\nb"),
                Kind::Stream => response.stream(http_body_util::Full::new(path.into())),
            }
        };
        if is_later {
            return Reply::Later(Box::pin(async { answer.await.into() }));
        }
        Reply::Pipelined(Box::pin(answer))
    }

    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        head.method() == Method::Post
    }

    fn gives_up(&self) -> bool {
        self.0.gives_up
    }

    fn detached(&self, connection: Parked, (): ()) {
        drop(connection);
    }
}

fn posts(paths: &[&str]) -> String {
    paths.iter().map(|path| post(path, "body")).collect()
}

/// Reads answers with these texts, of which none closes the connection.
#[track_caller]
fn expect(raw: &mut Raw, texts: &[&str]) {
    for text in texts {
        let answer = raw.response();
        assert_eq!((answer.text(), answer.field("connection")), (*text, Some("keep-alive")));
    }
}

#[track_caller]
fn expect_last(raw: &mut Raw, text: &str) {
    let answer = raw.response();
    assert_eq!((answer.text(), answer.field("connection")), (text, Some("close")));
    assert!(raw.rest().is_empty(), "nothing after the last answer");
}

#[test]
fn answers_come_in_the_order_of_their_requests() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    let paths = ["/a", "/b", "/c"];
    raw.send(posts(&paths));
    desk.wait_seen(&paths);
    desk.answer("/c", Kind::Text);
    desk.answer("/b", Kind::Text);
    desk.stays(&paths);
    desk.answer("/a", Kind::Text);
    expect(&mut raw, &paths);
    // The connection goes on, with the same and with other requests.
    raw.send(post("/d", "") + &get("/ready"));
    eventually("the request is handled", || desk.is_awaited("/d"));
    desk.answer("/d", Kind::Text);
    expect(&mut raw, &["/d", "/ready"]);
}

#[test]
fn an_answer_does_not_wait_for_those_behind_it() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    let paths = ["/a", "/b", "/c"];
    raw.send(posts(&paths));
    desk.wait_seen(&paths);
    for path in paths {
        desk.answer(path, Kind::Text);
        expect(&mut raw, &[path]);
    }
}

#[test]
fn requests_that_come_later_or_in_pieces_are_handled_meanwhile() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    raw.send(posts(&["/a"]));
    desk.wait_seen(&["/a"]);
    raw.send(posts(&["/b"]));
    desk.wait_seen(&["/a", "/b"]);
    for byte in posts(&["/c", "/d"]).as_bytes() {
        raw.send([*byte]);
        // Only for chance: the server gets most bytes one by one.
        std::thread::sleep(std::time::Duration::from_micros(20));
    }
    desk.wait_seen(&["/a", "/b", "/c", "/d"]);
    desk.answer_all(&["/a", "/b", "/c", "/d"]);
    expect(&mut raw, &["/a", "/b", "/c", "/d"]);
}

#[test]
fn the_number_of_answers_under_way_is_bounded() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    let paths: Vec<String> = (0..100).map(|n| format!("/{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    raw.send(posts(&paths));
    desk.wait_seen(&paths[..32]);
    desk.stays(&paths[..32]);
    for (n, path) in paths.iter().enumerate() {
        eventually("the request is handled", || desk.is_awaited(path));
        assert!(desk.seen().len() <= n + 32);
        desk.answer(path, Kind::Text);
    }
    expect(&mut raw, &paths);
}

#[test]
fn the_bytes_of_requests_under_way_are_bounded() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
    let body = "x".repeat(40_000);
    raw.send(paths.iter().map(|path| post(path, &body)).collect::<String>());
    // One of these bodies is cut by most reads, and is still handled when it has come.
    eventually("the requests are handled", || desk.seen().len() >= 6);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    desk.stays(&paths[..6]);
    for path in &paths {
        eventually("the request is handled", || desk.is_awaited(path));
        desk.answer(path, Kind::Text);
    }
    expect(&mut raw, &paths);
}

#[test]
fn other_requests_wait_until_the_answers_are_complete() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    raw.send(posts(&["/a", "/b"]) + &get("/ready/c") + &posts(&["/d"]));
    desk.wait_seen(&["/a", "/b"]);
    desk.stays(&["/a", "/b"]);
    desk.answer("/a", Kind::Text);
    expect(&mut raw, &["/a"]);
    desk.stays(&["/a", "/b"]);
    desk.answer("/b", Kind::Text);
    expect(&mut raw, &["/b", "/ready/c"]);
    desk.wait_seen(&["/a", "/b", "/ready/c", "/d"]);
    desk.answer("/d", Kind::Text);
    expect(&mut raw, &["/d"]);
}

#[test]
fn other_replies_wait_for_their_turn() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    // An answer that is ready, and one that must be waited for: nothing is handled behind it.
    raw.send(posts(&["/a", "/ready/b", "/c", "/later/d", "/e"]));
    desk.wait_seen(&["/a", "/ready/b", "/c", "/later/d"]);
    desk.answer("/later/d", Kind::Text);
    desk.answer("/c", Kind::Text);
    desk.stays(&["/a", "/ready/b", "/c", "/later/d"]);
    desk.answer("/a", Kind::Text);
    expect(&mut raw, &["/a", "/ready/b", "/c", "/later/d"]);
    desk.wait_seen(&["/a", "/ready/b", "/c", "/later/d", "/e"]);
    desk.answer("/e", Kind::Text);
    expect(&mut raw, &["/e"]);
    // The connection leaves the request cycle.
    raw.send(posts(&["/f"]) + &get("/detach"));
    eventually("the request is handled", || desk.is_awaited("/f"));
    desk.answer("/f", Kind::Text);
    expect(&mut raw, &["/f"]);
    assert!(raw.rest().ends_with(b"\r\n\r\ndetached"));
}

#[test]
fn a_body_that_does_not_come_whole_is_read_when_its_turn_has_come() {
    let desk = Desk::start();
    let chunks = "POST /ready/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n";
    let long = format!("POST /ready/b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    for (head, rest) in [(chunks, "body\r\n0\r\n\r\n".to_owned()), (&*long, "x".repeat(1 << 20))] {
        let mut raw = desk.raw();
        raw.send(posts(&["/a"]) + head);
        eventually("the request is handled", || desk.is_awaited("/a"));
        desk.stays(&["/a"]);
        desk.answer("/a", Kind::Text);
        expect(&mut raw, &["/a"]);
        raw.offer(rest);
        assert_eq!(raw.response().text(), "/ready/b");
        desk.shared.seen.lock().unwrap().clear();
    }
}

#[test]
fn the_last_request_closes_after_its_answer() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    let close = post("/c", "body").replace("Host: x", "Host: x\r\nConnection: close");
    raw.send(posts(&["/a", "/b"]) + &close + &posts(&["/smuggled"]));
    desk.wait_seen(&["/a", "/b", "/c"]);
    desk.answer_all(&["/c", "/b", "/a"]);
    expect(&mut raw, &["/a", "/b"]);
    expect_last(&mut raw, "/c");
    // HTTP/1.0 has an answer of its own.
    let mut raw = desk.raw();
    let old = post("/e", "body").replace("HTTP/1.1", "HTTP/1.0");
    raw.send(posts(&["/d"]) + &old + &posts(&["/smuggled"]));
    desk.wait_seen(&["/a", "/b", "/c", "/d", "/e"]);
    desk.answer_all(&["/e", "/d"]);
    expect(&mut raw, &["/d"]);
    expect_last(&mut raw, "/e");
}

#[test]
fn an_answer_that_closes_loses_none_behind_it() {
    let desk = Desk::start();
    for last in ["/c", "/later/c"] {
        let mut raw = desk.raw();
        let paths = ["/a", "/b", last];
        raw.send(posts(&paths));
        desk.wait_seen(&paths);
        desk.answer("/a", Kind::Last);
        expect(&mut raw, &["/a"]);
        // It is the end of the connection, so nothing more is handled.
        raw.send(posts(&["/smuggled"]));
        desk.stays(&paths);
        desk.answer_all(&["/b", last]);
        expect(&mut raw, &["/b"]);
        expect_last(&mut raw, last);
        desk.shared.seen.lock().unwrap().clear();
    }
}

#[test]
fn an_answer_that_cannot_be_sent_is_a_500() {
    let desk = Desk::start();
    for kind in [Kind::Broken, Kind::Stream] {
        let mut raw = desk.raw();
        raw.send(posts(&["/a", "/b", "/c"]));
        eventually("the request is handled", || desk.is_awaited("/c"));
        desk.answer("/b", kind);
        desk.answer("/a", Kind::Text);
        expect(&mut raw, &["/a"]);
        let answer = raw.response();
        assert_eq!((answer.status, answer.field("connection")), (500, Some("close")));
        assert!(raw.rest().is_empty());
        desk.shared.waiting.lock().unwrap().clear();
    }
}

#[test]
fn a_refusal_comes_after_the_answers_under_way() {
    let desk = Desk::start();
    let too_long = format!(
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        Limits::DEFAULT.http.max_body + 1
    );
    let bad_chunk = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\n";
    for (bad, status) in [("BAD\r\n\r\n", 400), (&*too_long, 413), (bad_chunk, 400)] {
        let mut raw = desk.raw();
        raw.send(posts(&["/a", "/b"]) + bad);
        desk.wait_seen(&["/a", "/b"]);
        desk.answer_all(&["/b", "/a"]);
        expect(&mut raw, &["/a", "/b"]);
        let answer = raw.response();
        assert_eq!((answer.status, answer.field("connection")), (status, Some("close")), "{bad}");
        assert!(raw.rest().is_empty());
        desk.shared.seen.lock().unwrap().clear();
    }
    let mut raw = desk.raw();
    raw.send(posts(&["/a"]) + &post("https://x/b", "body"));
    desk.wait_seen(&["/a"]);
    desk.answer("/a", Kind::Text);
    expect(&mut raw, &["/a"]);
    assert_eq!(raw.response().status, 421);
}

#[test]
fn a_client_that_ends_its_output_gets_the_answers_under_way() {
    let desk = Desk::start();
    let mut raw = desk.raw();
    raw.send(posts(&["/a", "/b"])).half_close();
    desk.wait_seen(&["/a", "/b"]);
    desk.answer_all(&["/b", "/a"]);
    expect(&mut raw, &["/a", "/b"]);
    assert!(raw.rest().is_empty());
    let mut raw = desk.raw();
    raw.send(posts(&["/c"]) + "POST /d HT").half_close();
    desk.wait_seen(&["/a", "/b", "/c"]);
    desk.answer("/c", Kind::Text);
    expect(&mut raw, &["/c"]);
    assert_eq!(raw.response().status, 400);
}

#[test]
fn a_client_that_leaves_is_given_up_if_the_handler_wants_it() {
    let all: Vec<String> = (0..40).map(|n| format!("/{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for gives_up in [true, false] {
        let desk = Desk::with(quick(), gives_up);
        // With few requests the server reads on, and with many it does not.
        for count in [2, 40] {
            let mut raw = desk.raw();
            let handled = &all[..count.min(32)];
            raw.send(posts(&all[..count]));
            desk.wait_seen(handled);
            drop(raw);
            if gives_up {
                eventually("it is given up", || !desk.is_awaited("/0"));
            } else {
                desk.stays(handled);
                assert!(handled.iter().all(|path| desk.is_awaited(path)));
            }
            desk.shared.seen.lock().unwrap().clear();
        }
    }
}

#[test]
fn answers_under_way_are_sent_when_the_server_stops() {
    let desk = Desk::start();
    let (mut one, mut other) = (desk.raw(), desk.raw());
    one.send(posts(&["/a", "/b", "/c"]));
    desk.wait_seen(&["/a", "/b", "/c"]);
    other.send(posts(&["/d"]) + &get("/ready/e"));
    desk.wait_seen(&["/a", "/b", "/c", "/d"]);
    let stopper = desk.stopper();
    stopper.stop();
    eventually("no new connection is accepted", || {
        std::net::TcpStream::connect(desk.running.addresses()[0].to_string()).is_err()
    });
    // Nothing more is handled on a connection that drains.
    one.offer(posts(&["/smuggled"]));
    desk.answer_all(&["/b", "/a"]);
    expect(&mut one, &["/a", "/b"]);
    desk.answer_all(&["/c", "/d"]);
    expect_last(&mut one, "/c");
    expect_last(&mut other, "/d");
    assert_eq!(desk.seen(), ["/a", "/b", "/c", "/d"]);
}
