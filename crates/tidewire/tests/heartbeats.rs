//! Every client reads across a heartbeat, on one channel and on several.
//!
//! The server sends a message, then a heartbeat, then two more messages. A recording proxy proves
//! that the heartbeat was on the wire in between. The client must deliver the messages, each once,
//! and nothing else: no error, no reconnect, no message that nobody published.
//!
//! All clients of a test read at the same time, so that the test takes two seconds. A test reports
//! the failures of all its clients.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use common::feeds::open_objects;
use common::server::{Running, command};
use common::websockets::websocket;
use common::{
    Deadline, Ended, Feed, FeedEvent, Output, Post, Reader, RecordingProxy, Server, after, open, tail,
};
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tidewire_client::{Client, Event, Options, Since};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

/// The channels of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    One,
    Several,
}

use Channels::{One, Several};

impl Channels {
    const BOTH: [Channels; 2] = [One, Several];

    /// As they stand in the URL.
    fn names(self) -> &'static str {
        match self {
            One => "one",
            Several => "a,b",
        }
    }

    /// The channel and the text of each message, in the order in which they are published. The
    /// heartbeat comes after the first.
    fn messages(self) -> [(&'static str, &'static str); 3] {
        match self {
            One => [("one", "before"), ("one", "after"), ("one", "end")],
            Several => [("a", "before"), ("b", "after"), ("a", "end")],
        }
    }
}

/// What the heartbeat of each feed looks like on the wire. If you change a heartbeat, change it
/// here too: then the tests show which clients cannot read it.
mod beats {
    pub(super) const COMMENT: Option<&[u8]> = Some(b"\r\n:\n\n\r\n");
    pub(super) const EMPTY_EVENT: Option<&[u8]> = Some(b"\r\ndata:\n\n\r\n");
    pub(super) const EMPTY_LINE: Option<&[u8]> = Some(b"1\r\n\n\r\n");
    pub(super) const EMPTY_PART: Option<&[u8]> = Some(b"\r\n\r\n\r\n--tidewire\r\n\r\n");
    pub(super) const FIELD_OF_A_PART: Option<&[u8]> = Some(b"\r\nTidewire-Beat: 1\r\n\r\n");
    pub(super) const PING: Option<&[u8]> = Some(b"\x89\x00");
    pub(super) const PING_AND_OBJECT: Option<&[u8]> = Some(b"\x89\x00\x81\x14{\"type\":\"heartbeat\"}");
    /// A poll has no heartbeat: it ends in time. But the other clients' heartbeats pass meanwhile.
    pub(super) const NONE: Option<&[u8]> = None;
}

/// The heartbeat of a feed of the readers that use other libraries.
fn heartbeat(feed: Feed) -> Option<&'static [u8]> {
    match feed {
        Feed::Sse => beats::COMMENT,
        Feed::Stream | Feed::Xhr | Feed::Iframe => beats::EMPTY_LINE,
        Feed::WsV1 => beats::PING_AND_OBJECT,
        Feed::WsBare => beats::PING,
        Feed::Mixed => beats::EMPTY_PART,
        Feed::Replace => beats::FIELD_OF_A_PART,
        Feed::Poll | Feed::LongPoll | Feed::Jsonp => beats::NONE,
    }
}

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(5);

/// A client that reads.
struct Listening {
    who: String,
    channels: Channels,
    /// Whether it says the channel of each message.
    labels: bool,
    proxy: RecordingProxy,
    heartbeat: Option<&'static [u8]>,
    /// What it delivers: messages, and all else that it says.
    says: Receiver<String>,
    /// A client that is a process, which ends with this value.
    _process: Option<Running>,
}

impl Listening {
    /// Waits for message `n`, which must be the next thing that the client says.
    fn expect(&self, n: usize, deadline: Deadline) -> Result<(), String> {
        let (channel, text) = self.channels.messages()[n];
        let expected = if self.labels { format!("{channel} {text}") } else { text.to_owned() };
        let came = match self.says.recv_timeout(deadline.left()) {
            Ok(said) if said == expected => return Ok(()),
            Ok(said) => said,
            Err(RecvTimeoutError::Disconnected) => "its end".to_owned(),
            Err(RecvTimeoutError::Timeout) => {
                format!("nothing; the wire had {}", tail(&self.proxy.after(0).0))
            }
        };
        Err(format!("{expected:?} must come, but it got: {came}"))
    }

    /// Waits until a heartbeat has passed after `mark`.
    fn across(&self, mark: usize) -> Result<(), String> {
        let Some(heartbeat) = self.heartbeat else { return Ok(()) };
        let deadline = Deadline::soon();
        loop {
            let outcome = self.proxy.has_passed(mark, heartbeat);
            let said: Vec<_> = self.says.try_iter().collect();
            match outcome {
                Some(Ok(())) if said.is_empty() => return Ok(()),
                Some(Err(problem)) => return Err(format!("{problem}; it said: {said:?}")),
                None if said.is_empty() && !deadline.is_over() => std::thread::sleep(LOOK),
                _ => {
                    let wire = tail(&self.proxy.after(mark).0);
                    return Err(format!("it took a heartbeat for a message: {said:?}; the wire had {wire}"));
                }
            }
        }
    }
}

/// The server, and the clients that read from it.
struct Site {
    server: Server,
    runtime: Runtime,
    listening: Vec<Listening>,
    failures: Vec<String>,
}

impl Site {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Site {
            server: Server::start(&["--comet", "--heartbeat", "1"]),
            runtime: runtime.unwrap(),
            listening: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The cursor of the beginning, so that it does not matter when a client connects.
    fn start_of(&self, channels: Channels) -> String {
        let request = format!("GET /c/{} HTTP/1.1\r\nHost: x\r\n\r\n", channels.names());
        self.server.raw().send(request).response().field("tidewire-cursor").unwrap().to_owned()
    }

    /// Adds a client. `begin` starts it at an address and a cursor.
    fn add(
        &mut self,
        who: String,
        channels: Channels,
        labels: bool,
        heartbeat: Option<&'static [u8]>,
        begin: impl FnOnce(&Runtime, String, String, Sender<String>) -> Option<Running>,
    ) {
        let proxy = RecordingProxy::start(&self.server.address);
        let (say, says) = channel();
        let since = self.start_of(channels);
        let process = begin(&self.runtime, proxy.address.clone(), since, say);
        let who = format!("{who}, {channels:?}");
        self.listening.push(Listening { who, channels, labels, proxy, heartbeat, says, _process: process });
    }

    fn publish(&self, n: usize) {
        for channels in Channels::BOTH {
            let (channel, text) = channels.messages()[n];
            Post::new(text).to(&self.server.address, channel);
        }
    }

    /// Keeps the clients that pass, and the failures of the others.
    fn check(&mut self, mut check: impl FnMut(&Listening) -> Result<(), String>) {
        for listening in std::mem::take(&mut self.listening) {
            match check(&listening) {
                Ok(()) => self.listening.push(listening),
                Err(problem) => self.failures.push(format!("{}: {problem}", listening.who)),
            }
        }
    }

    /// Publishes and checks. Fails the test if a client failed.
    fn run(mut self) {
        let deadline = Deadline::soon();
        self.publish(0);
        self.check(|listening| listening.expect(0, deadline));
        let mut marks: Vec<_> = self.listening.iter().map(|listening| listening.proxy.mark()).collect();
        self.check(|listening| listening.across(marks.remove(0)));
        for n in [1, 2] {
            let deadline = Deadline::soon();
            self.publish(n);
            self.check(|listening| listening.expect(n, deadline));
        }
        self.check(|listening| match listening.says.try_recv() {
            Ok(more) => Err(format!("more than was published: {more}")),
            Err(_) => Ok(()),
        });
        assert!(self.failures.is_empty(), "across a heartbeat:\n- {}", self.failures.join("\n- "));
    }
}

/// Reads for ever, and says what it gets: also why it ended, or why it panicked.
fn spawn(runtime: &Runtime, say: Sender<String>, read: impl Future<Output = String> + Send + 'static) {
    runtime.spawn(async move {
        let end = AssertUnwindSafe(read).catch_unwind().await;
        let end = end.unwrap_or_else(|panic| match panic.downcast::<String>() {
            Ok(text) => format!("a panic: {text}"),
            Err(_) => "a panic".to_owned(),
        });
        let _ = say.send(end);
    });
}

fn labelled(channel: Option<&str>, data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    channel.map_or(text.clone().into_owned(), |channel| format!("{channel} {text}"))
}

async fn read_on(reader: Result<Box<dyn Reader>, Ended>, say: Sender<String>) -> String {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(ended) => return format!("{ended:?}"),
    };
    loop {
        let said = match reader.next().await {
            Ok(FeedEvent::Message(message)) => labelled(message.channel.as_deref(), &message.payload),
            Ok(other) => format!("{other:?}"),
            Err(ended) => return format!("{ended:?}"),
        };
        let _ = say.send(said);
    }
}

#[test]
fn readers_of_other_libraries_read_across_a_heartbeat() {
    let mut site = Site::start();
    for channels in Channels::BOTH {
        for feed in Feed::ALL {
            // A bare payload does not say its channel, so the cursor of several cannot be counted.
            if (feed, channels) == (Feed::WsBare, Several) {
                continue;
            }
            let begin = move |runtime: &Runtime, address: String, since: String, say: Sender<String>| {
                let talk = say.clone();
                spawn(runtime, say, async move {
                    read_on(open(feed, &address, channels.names(), &since).await, talk).await
                });
                None
            };
            site.add(format!("{feed:?}"), channels, channels == Several, heartbeat(feed), begin);
        }
        let begin = move |runtime: &Runtime, address: String, since: String, say: Sender<String>| {
            let talk = say.clone();
            spawn(runtime, say, async move {
                read_on(open_objects(&address, channels.names(), &since).await, talk).await
            });
            None
        };
        let name = "event stream of objects".to_owned();
        site.add(name, channels, channels == Several, beats::EMPTY_EVENT, begin);
    }
    site.add("WsBare".to_owned(), Several, false, beats::PING, |runtime, address, since, say| {
        let talk = say.clone();
        spawn(runtime, say, async move {
            let mut socket = websocket(&address, Several.names(), Some(&since), false).await.unwrap();
            loop {
                match socket.next().await {
                    Some(Ok(Message::Ping(_))) => {}
                    Some(Ok(Message::Text(text))) => drop(talk.send(text.to_string())),
                    other => return format!("{other:?}"),
                }
            }
        });
        None
    });
    site.run();
}

#[test]
fn the_rust_client_reads_across_a_heartbeat() {
    use tidewire_client::Feed;
    let mut site = Site::start();
    for channels in Channels::BOTH {
        for feed in Feed::ALL {
            let heartbeat = match feed {
                Feed::WebSocket => beats::PING_AND_OBJECT,
                Feed::Sse => beats::EMPTY_EVENT,
                Feed::Stream => beats::EMPTY_LINE,
                _ => beats::NONE,
            };
            let begin = move |runtime: &Runtime, address: String, since: String, say: Sender<String>| {
                let talk = say.clone();
                let options = Options::DEFAULT
                    .with_feeds([feed])
                    .with_since(Since::After(since.parse().unwrap()))
                    .with_poll_interval(Duration::from_millis(50));
                let url = format!("http://{address}/c/{}", channels.names());
                spawn(runtime, say, async move {
                    let mut events = Client::new(&url).unwrap().subscribe(options);
                    let mut connected = false;
                    loop {
                        let said = match events.next().await {
                            Ok(Event::Message(message)) => {
                                labelled(message.channel.as_deref(), &message.data)
                            }
                            Ok(Event::Connected { .. }) if !std::mem::replace(&mut connected, true) => {
                                continue;
                            }
                            Ok(other) => format!("{other:?}"),
                            Err(error) => return format!("an error: {error}"),
                        };
                        let _ = talk.send(said);
                    }
                });
                None
            };
            site.add(feed.to_string(), channels, channels == Several, heartbeat, begin);
        }
    }
    site.run();
}

/// Says each line of an output of `tidewire sub`.
fn lines(pipe: impl Read + Send + 'static, say: Sender<String>, tell: fn(String) -> Option<String>) {
    std::thread::spawn(move || {
        for said in BufReader::new(pipe).lines().map_while(Result::ok).filter_map(tell) {
            let _ = say.send(said);
        }
    });
}

/// The message in a line of `--json`, or the line.
fn json_line(line: String) -> Option<String> {
    let object: Value = serde_json::from_str(&line).unwrap_or_default();
    let text = |name: &str| object[name].as_str();
    match (text("type"), text("data")) {
        (Some("message"), Some(data)) => Some(labelled(text("channel"), data.as_bytes())),
        _ => Some(line),
    }
}

#[test]
fn the_command_sub_reads_across_a_heartbeat() {
    let mut site = Site::start();
    for (feed, heartbeat) in [
        ("auto", beats::PING_AND_OBJECT),
        ("ws", beats::PING_AND_OBJECT),
        ("sse", beats::EMPTY_EVENT),
        ("stream", beats::EMPTY_LINE),
        ("longpoll", beats::NONE),
        ("poll", beats::NONE),
    ] {
        for (channels, json) in [(One, false), (One, true), (Several, false), (Several, true)] {
            let begin = move |_: &Runtime, address: String, since: String, say: Sender<String>| {
                let url = format!("http://{address}/c/{}", channels.names());
                let mut command = command(&["sub", &url, "--feed", feed, "--since", &since]);
                command.args(json.then_some("--json")).stderr(Stdio::piped());
                let mut child = command.spawn().unwrap();
                let tell = if json { json_line } else { Some };
                lines(child.stdout.take().unwrap(), say.clone(), tell);
                // The notice about the first connection. Another one is a reconnect.
                let mut notices = BufReader::new(child.stderr.take().unwrap());
                std::thread::spawn(move || {
                    let mut first = String::new();
                    let _ = notices.read_line(&mut first);
                    if !first.starts_with("tidewire: reading over ") {
                        let _ = say.send(first);
                    }
                    lines(notices, say, Some);
                });
                Some(Running(child))
            };
            let form = if json { "--json" } else { "text" };
            site.add(format!("{feed}, {form}"), channels, json && channels == Several, heartbeat, begin);
        }
    }
    site.run();
}

/// A running `tidewire explain`.
struct Explaining {
    url: String,
    proxy: RecordingProxy,
    heartbeat: Option<&'static [u8]>,
    /// How the output names the message before the heartbeat, the heartbeat, and the message after.
    names: [String; 3],
    output: Output,
    _process: Running,
}

/// How an explanation names a message: by its text, by its length, or by its cursor.
#[derive(Clone, Copy)]
enum Named {
    Text,
    Length,
    Cursor,
}

impl Named {
    fn names(self, texts: [&str; 2], cursors: &[String; 2]) -> [String; 2] {
        match self {
            Named::Text => texts.map(|text| format!("\"{text}\"")),
            Named::Length => texts.map(|text| format!("{} bytes of text", text.len())),
            Named::Cursor => cursors.each_ref().map(|cursor| format!("lastEventId is {cursor}")),
        }
    }
}

/// The notes beside the bytes are wrapped.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The output names the heartbeat, between the two messages.
#[test]
fn the_command_explain_names_the_heartbeat() {
    let site = Site::start();
    let [one, a, b] = ["one", "a", "b"].map(|channel| {
        // It begins the epoch of the channel.
        Post::new("first").to(&site.server.address, channel)
    });
    let mut clients = Vec::new();
    for channels in Channels::BOTH {
        let cursors = match channels {
            One => [after(&one, 1), after(&one, 2)],
            Several => [format!("{}.{b}", after(&a, 1)), format!("{}.{}", after(&a, 1), after(&b, 1))],
        };
        let since = if channels == One { one.clone() } else { format!("{a}.{b}") };
        let lines = if channels == One { Named::Text } else { Named::Cursor };
        for (query, named, heartbeat, note) in [
            ("feed=sse", lines, beats::COMMENT, "a comment: ignored, but it keeps the connection alive"),
            ("feed=sse&objects=1", Named::Cursor, beats::EMPTY_EVENT, "with 0 bytes of data"),
            ("feed=stream", Named::Length, beats::EMPTY_LINE, "a heartbeat: the connection is alive"),
            ("bare", Named::Text, beats::PING, "ping frame"),
            ("v1", Named::Length, beats::PING_AND_OBJECT, "a heartbeat: the connection is alive"),
        ] {
            let proxy = RecordingProxy::start(&site.server.address);
            let scheme = if query.contains('=') { "http" } else { "ws" };
            let target = format!("{}/c/{}", proxy.address, channels.names());
            let url = format!("{scheme}://{target}?since={since}&{query}");
            let mut command = command(&["explain", &url, "--width", "200", "--color", "never"]);
            if query == "v1" {
                command.args(["--subprotocol", "tidewire.v1"]);
            }
            let mut child = command.spawn().unwrap();
            let output = Output::of(child.stdout.take().unwrap());
            let texts = [channels.messages()[0].1, channels.messages()[1].1];
            let [first, second] = named.names(texts, &cursors);
            let names = [first, note.to_owned(), second];
            clients.push(Explaining { url, proxy, heartbeat, names, output, _process: Running(child) });
        }
    }
    site.publish(0);
    let mut marks = Vec::new();
    for client in &mut clients {
        let [first, ..] = &client.names;
        client.output.until(&format!("{first} in {}", client.url), |text| words(text).contains(first));
        marks.push(client.proxy.mark());
    }
    for (client, mark) in clients.iter().zip(marks) {
        let deadline = Deadline::soon();
        let outcome = loop {
            if let Some(outcome) = client.proxy.has_passed(mark, client.heartbeat.unwrap()) {
                break outcome;
            }
            deadline
                .check("a heartbeat", || format!("{}: {}", client.url, tail(&client.proxy.after(mark).0)));
            std::thread::sleep(LOOK);
        };
        outcome.unwrap_or_else(|problem| panic!("{}: {problem}", client.url));
    }
    site.publish(1);
    for Explaining { url, names: [first, note, second], mut output, .. } in clients {
        let is_there = |text: &str| words(text).contains(&second);
        let text = words(&output.until(&format!("{second} in {url}"), is_there));
        let (_, between) = text.split_once(&first).unwrap();
        let (between, _) = between.split_once(&second).unwrap();
        assert!(between.contains(&note), "{url}: the heartbeat is not called {note:?}: {between}");
    }
}
