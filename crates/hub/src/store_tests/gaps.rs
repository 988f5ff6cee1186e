//! A store that has lost messages inside a log: every feed tells it as a gap, and goes on.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tidewire_channel::{Budget, Continuity, Cursor, Since};
use tidewire_store::suite::{BadRows, Fault, FaultyStore, RequestKind};
use tidewire_store::{Limits, MemoryStore};

use super::setup::{
    all, ask, get, hub_with_short_windows, name, publish, publish_many, read_until, serve, texts, websocket,
};
use crate::flight::at_once;
use crate::hub::Hub;
use crate::upload::Upload;

type Bad = Arc<FaultyStore<BadRows<MemoryStore>>>;

/// The messages of a log. The last two are in memory, unless the hub has restarted.
const COUNT: u64 = 10;

fn store() -> Bad {
    Arc::new(FaultyStore::new(BadRows::new(MemoryStore::new(Limits::DEFAULT))))
}

/// A log of the messages `<1>`, `<2>` …, of which these are lost. Returns the position before it.
fn log_without(lost: &[u64], restarts: bool) -> (Bad, Arc<Hub>, Cursor) {
    let store = store();
    let hub = hub_with_short_windows(&store);
    let start = hub.channel(&name("a")).unwrap().head();
    publish_many(&hub, (1..=COUNT).map(|number| format!("<{number}>")));
    lost.iter().for_each(|&seq| store.inner().spoil(&name("a"), seq));
    let hub = if restarts { hub_with_short_windows(&store) } else { hub };
    (store, hub, start)
}

/// What a reader must be told: numbers of messages, and `-` for each that is lost.
fn expected(lost: &[u64]) -> String {
    (1..=COUNT).map(|seq| if lost.contains(&seq) { "-".to_owned() } else { format!("{seq} ") }).collect()
}

/// What a reader was told. Several gaps next to each other are as good as one.
fn told(text: &str) -> String {
    let mut told = String::new();
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
    for (at, mark) in text.match_indices(['<', ':']) {
        if mark == "<" && text[at + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            told += &format!("{} ", number(&text[at + 1..]));
        } else if text[..at].ends_with("\"missed\"") {
            let missed: usize = number(&text[at + 1..]).parse().unwrap();
            told += &"-".repeat(missed);
        }
    }
    told
}

/// Runs this while a thread answers what the store holds.
fn while_answered(store: &Bad, run: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.release_all();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // The thread ends also if a check fails.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// The logs of these tests: which messages are lost, and whether the hub has restarted since.
const CASES: [(&[u64], bool); 8] = [
    (&[4], false),
    (&[1], false),
    (&[8], false),
    (&[2, 4, 5, 6, 8], false),
    (&[1, 2, 3, 4, 5, 6, 7, 8], false),
    (&[7], true),
    (&[10], true),
    (&[1, 2, 9, 10], true),
];

#[test]
fn streams_tell_a_gap_and_go_on() {
    for is_slow in [false, true] {
        for (lost, restarts) in CASES {
            let (store, hub, start) = log_without(lost, restarts);
            store.always(RequestKind::Read, is_slow.then_some(Fault::HoldAnswer));
            let (running, address) = serve(&hub);
            let stream = |feed: &str| get(&format!("/c/a?feed={feed}&since={start}"));
            let requests = [
                stream("sse"),
                stream("sse&objects=1"),
                stream("stream"),
                stream("xhr"),
                stream("multipart"),
                stream("replace"),
                get(&format!("/c/a,b?feed=stream&since={start}.{start}")),
                get("/c/a?feed=stream&since=earliest"),
                websocket(&format!("/c/a?since={start}"), true),
            ];
            while_answered(&store, || {
                let mut sockets: Vec<_> = requests.iter().map(|request| ask(address, request)).collect();
                publish(&hub, "<11>");
                for (request, socket) in requests.iter().zip(&mut sockets) {
                    let got = told(&read_until(socket, "<11>"));
                    let want = format!("{}11 ", expected(lost));
                    assert_eq!(got, want, "without {lost:?}, restarted: {restarts}: {request}");
                }
            });
            store.heal();
            running.stop().unwrap();
        }
    }
}

/// One whole answer.
fn answer(address: SocketAddr, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (mut socket, mut answer) = (ask(address, &request), String::new());
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn polls_are_told_a_gap_and_where_to_go_on() {
    for is_slow in [false, true] {
        for (lost, restarts) in CASES {
            let (store, hub, start) = log_without(lost, restarts);
            store.always(RequestKind::Read, is_slow.then_some(Fault::HoldAnswer));
            let (running, address) = serve(&hub);
            while_answered(&store, || {
                for target in ["/c/a?", "/c/a?feed=longpoll&wait=0&", "/c/a,a2?"] {
                    let (mut got, mut since) = (String::new(), start.to_string());
                    if target.contains(',') {
                        since = format!("{since}.{start}");
                    }
                    let mut answers = 0;
                    while !got.contains("10 ") && !got.ends_with(&expected(lost)) {
                        let answer = answer(address, &format!("{target}limit=3&since={since}"));
                        let object = json(&answer);
                        got += &told(&answer);
                        let next = if answer.starts_with("HTTP/1.1 410 ") { "earliest" } else { "cursor" };
                        since = object[next].as_str().unwrap().to_owned();
                        answers += 1;
                        assert!(answers < 30, "{target} told {got:?} without {lost:?}");
                    }
                    assert_eq!(got, expected(lost), "{target} without {lost:?}");
                }
                // Without a cursor, the answer is what there is.
                let answer = answer(address, "/c/a");
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                assert_eq!(json(&answer)["gap"].is_null(), !lost.contains(&1));
            });
            store.heal();
            running.stop().unwrap();
        }
    }
}

/// A long poll that waits has everything, so only an append of another node can be lost for it.
#[test]
fn messages_that_are_lost_before_the_window_has_them_are_a_gap() {
    let (store, hub, _) = log_without(&[], false);
    let channel = hub.channel(&name("a")).unwrap();
    let head = channel.head();
    for number in 11..=13 {
        store.plan(RequestKind::Append, Fault::LoseAnswer);
        store.plan(RequestKind::Read, Fault::Fail);
        hub.publish(&name("a"), super::setup::message(format!("<{number}>")), None).unwrap_err();
    }
    store.inner().spoil(&name("a"), 11);
    store.inner().spoil(&name("a"), 12);
    hub.sweep();
    let page = channel.read(head.into(), Budget::UNLIMITED);
    assert!(matches!(page.continuity, Continuity::Gap { from, missed: 2, .. } if from == head), "{page:?}");
    assert_eq!(texts(&page), ["<13>"]);
    assert_eq!(channel.head().seq(), 13);
}

#[test]
fn a_reader_without_a_position_is_told_what_the_log_has_lost() {
    let (_, hub, start) = log_without(&[1, 2], false);
    let channel = hub.channel(&name("a")).unwrap();
    let gap = Continuity::Gap { from: start, to: place(&hub, 2), missed: 2 };
    assert_eq!(channel.read(Since::Earliest, Budget::messages(1)).continuity, gap);
    assert_eq!(texts(&all(&channel))[0], "<3>");
}

/// The position after a message.
fn place(hub: &Hub, seq: u64) -> Cursor {
    Cursor::new(hub.channel(&name("a")).unwrap().head().epoch(), seq)
}

/// A bare WebSocket is closed, and its client goes on at the cursor in the reason.
#[test]
fn a_bare_websocket_is_closed_at_a_gap() {
    let (_, hub, start) = log_without(&[4], false);
    let (running, address) = serve(&hub);
    let mut socket = ask(address, &websocket(&format!("/c/a?since={start}"), false));
    let mut bytes = Vec::new();
    while bytes.windows(2).all(|two| two != 4410_u16.to_be_bytes()) || !bytes.ends_with(b"-4") {
        let mut more = [0; 4096];
        let n = socket.read(&mut more).unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend(&more[..n]);
    }
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(told(&text), "1 2 3 ");
    let cursor = place(&hub, 4);
    assert!(text.ends_with(&cursor.to_string()), "{text}");
    let mut socket = ask(address, &websocket(&format!("/c/a?since={cursor}"), false));
    assert_eq!(told(&read_until(&mut socket, "<10>")), "5 6 7 8 9 10 ");
    drop(socket);
    running.stop().unwrap();
}

/// Everything until the body is cut, or until `until`.
fn raw(address: SocketAddr, target: &str, until: &str) -> String {
    let mut socket = ask(address, &get(target));
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(until) {
        let mut more = [0; 4096];
        match socket.read(&mut more) {
            Ok(0) => break,
            Ok(n) => bytes.extend(&more[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(bytes).unwrap()
}

const CUT: &str = "(never sent)";

#[test]
fn raw_bytes_are_cut_at_a_gap_and_refused_in_front_of_one() {
    for is_slow in [false, true] {
        let (store, hub, start) = log_without(&[1, 4], false);
        store.always(RequestKind::Read, is_slow.then_some(Fault::HoldAnswer));
        let (running, address) = serve(&hub);
        while_answered(&store, || {
            let [first, third, fourth] = [1, 3, 4].map(|seq| place(&hub, seq));
            let refused = raw(address, &format!("/c/a?feed=raw&since={start}"), "\"earliest\":\"");
            assert!(refused.starts_with("HTTP/1.1 410 "), "{refused}");
            // A reader without a cursor begins with the oldest message that there is.
            let begun = raw(address, "/c/a?feed=raw&since=earliest", CUT);
            assert!(begun.starts_with("HTTP/1.1 200 ") && !begun.ends_with("0\r\n\r\n"), "{begun}");
            assert_eq!(told(&begun), "2 3 ");
            assert!(begun.contains(&format!("Tidewire-Cursor: {first}\r\n")), "{begun}");
            let refused = raw(address, &format!("/c/a?feed=raw&since={third}"), "\"gap\"");
            assert!(refused.starts_with("HTTP/1.1 410 "), "{refused}");
            assert!(refused.contains(&format!(r#""earliest":"{fourth}""#)), "{refused}");
            let rest = raw(address, &format!("/c/a?feed=raw&since={fourth}"), "<10>");
            assert_eq!(told(&rest), "5 6 7 8 9 10 ");
        });
        store.heal();
        running.stop().unwrap();
    }
}

/// A piece or the mark of an upload is lost: its readers do not take what is left for the whole.
#[test]
fn an_upload_that_has_lost_a_piece_or_its_mark_does_not_look_complete() {
    for lost in [2, 4] {
        let store = store();
        let before = hub_with_short_windows(&store);
        let upload = at_once(Upload::begin(&before, &name("a"), None)).unwrap();
        for piece in ["<1>", "<2>", "<3>"] {
            at_once(upload.piece(piece.into())).unwrap();
        }
        at_once(upload.end(true)).unwrap();
        let complete = {
            let (running, address) = serve(&hub_with_short_windows(&store));
            let complete = raw(address, "/c/a?feed=raw", "\r\n0\r\n\r\n");
            running.stop().unwrap();
            complete
        };
        assert!(complete.ends_with("\r\n0\r\n\r\n"), "{complete}");
        store.inner().spoil(&name("a"), lost);
        let (running, address) = serve(&hub_with_short_windows(&store));
        let cut = raw(address, "/c/a?feed=raw", CUT);
        assert!(told(&cut).starts_with("1 ") && !cut.ends_with("\r\n0\r\n\r\n"), "{cut}");
        running.stop().unwrap();
    }
}
