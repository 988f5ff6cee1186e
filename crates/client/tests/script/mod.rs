//! A server that plays a script: for each connection in turn, what to read and which bytes to
//! write.

#![allow(dead_code, unused_imports, clippy::unwrap_used)] // each test file uses its part

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tidewire_client::{Error, Event, Subscription};
use tidewire_testkit::deadline::Deadline;
pub(crate) use tidewire_testkit::deadline::PATIENCE;

/// What a connection does next.
pub(crate) enum Step {
    /// Reads one request, with its body.
    Request,
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Answers a WebSocket handshake, with these bytes right behind it.
    Upgrade(Vec<u8>),
    /// Reads this many bytes and logs them in hexadecimal.
    Read(usize),
    /// Waits this many milliseconds.
    Pause(u64),
    /// Waits until the test sends a message or drops the sender.
    Wait(Receiver<()>),
    /// Closes the connection and logs `closed`.
    Close,
    /// Keeps the connection until the client closes it.
    Hold,
}

pub(crate) use Step::{Close, Hold, Pause, Read as ReadBytes, Request, Upgrade, Wait};

/// Text to send.
pub(crate) fn send(text: impl AsRef<[u8]>) -> Step {
    Step::Send(text.as_ref().to_vec())
}

/// The bytes of a step, for [`always`].
pub(crate) fn bytes(step: Step) -> Vec<u8> {
    match step {
        Step::Send(bytes) => bytes,
        _ => panic!("only Step::Send has bytes"),
    }
}

/// The head of a streamed answer, and its first chunks.
pub(crate) fn stream(media_type: &str, pieces: &[&str]) -> Step {
    let mut out =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in pieces {
        out.push_str(&chunk(piece));
    }
    send(out)
}

pub(crate) fn chunk(piece: &str) -> String {
    format!("{:x}\r\n{piece}\r\n", piece.len())
}

/// A whole answer.
pub(crate) fn answer(status: &str, fields: &str, body: &str) -> Step {
    send(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// A JSON answer of a poll.
pub(crate) fn poll(messages: &[u32], cursor: &str) -> Step {
    let messages: Vec<String> = messages.iter().map(|n| object(*n)).collect();
    let body = format!("{{\"messages\":[{}],\"cursor\":\"{cursor}\",\"gap\":null}}", messages.join(","));
    answer("200 OK", "Content-Type: application/json\r\n", &body)
}

/// A refusal with a problem document.
pub(crate) fn problem(status: &str, fields: &str, detail: &str) -> Step {
    let (code, title) = status.split_once(' ').unwrap();
    let body = format!("{{\"title\":\"{title}\",\"status\":{code},\"detail\":\"{detail}\"}}");
    answer(status, &format!("Content-Type: application/problem+json\r\n{fields}"), &body)
}

/// Message `n` as a JSON object.
pub(crate) fn object(n: u32) -> String {
    format!("{{\"type\":\"message\",\"cursor\":\"e-{n}\",\"time\":7,\"data\":\"m{n}\"}}")
}

/// Message `n` as an event.
pub(crate) fn event(n: u32) -> String {
    format!("id: e-{n}\ndata: {}\n\n", object(n))
}

/// A text frame of a server.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    tidewire_ws::encode_message(tidewire_ws::Kind::Text, text.as_bytes(), &mut out);
    out
}

/// A frame that closes a WebSocket.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut out = vec![0x88, (2 + reason.len()) as u8];
    out.extend(code.to_be_bytes());
    out.extend(reason.as_bytes());
    out
}

/// A refusal that has these members besides its status.
pub(crate) fn refusal(status: &str, members: &str) -> Step {
    let (code, title) = status.split_once(' ').unwrap();
    let body = format!("{{\"title\":\"{title}\",\"status\":{code},\"detail\":\"So.\",{members}}}");
    answer(status, "Content-Type: application/problem+json\r\n", &body)
}

/// Plays one script for each connection, in the order in which they come. Later connections are
/// refused.
pub(crate) struct Server {
    pub(crate) url: String,
    log: Receiver<String>,
}

pub(crate) fn serve(scripts: Vec<Vec<Step>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/c/demo", listener.local_addr().unwrap());
    let (sender, log) = channel();
    thread::spawn(move || {
        for script in scripts {
            let (socket, _) = listener.accept().unwrap();
            // A script that does not hold its connection ends before the next one begins.
            let sender = sender.clone();
            let play = move || play(socket, script, |line| drop(sender.send(line)));
            thread::spawn(play);
        }
    });
    Server { url, log }
}

/// Answers every request on every connection, up to a limit that only a client that spins reaches.
/// The answer depends on the number of the request, from 0, and on its text. The log has the time
/// of each request.
pub(crate) struct Always {
    pub(crate) url: String,
    log: Receiver<(String, Instant)>,
}

pub(crate) fn always(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> Always {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/c/demo", listener.local_addr().unwrap());
    let (sender, log) = channel();
    // One connection at a time, as in a subscription.
    thread::spawn(move || {
        let mut count = 0;
        while let Ok((mut socket, _)) = listener.accept() {
            life().limit(&socket);
            let mut input = BufReader::new(socket.try_clone().unwrap());
            while count < MAX_REQUESTS
                && let Some((text, _)) = request(&mut input)
            {
                let bytes = answer(count, &text);
                count += 1;
                if sender.send((text, Instant::now())).is_err() {
                    return;
                }
                if socket.write_all(&bytes).is_err() {
                    break;
                }
            }
        }
    });
    Always { url, log }
}

/// How long a connection of a script lives at most, so that a thread does not wait for ever.
fn life() -> Deadline {
    Deadline::after(PATIENCE * 3)
}

/// More requests than any test needs.
const MAX_REQUESTS: usize = 200;

impl Always {
    /// The next request, and when it came.
    pub(crate) fn received(&self) -> (String, Instant) {
        Deadline::soon().receive("a request", &self.log).expect("the server goes on")
    }

    /// How many requests have come since the last call.
    pub(crate) fn count(&self) -> usize {
        self.log.try_iter().count()
    }
}

impl Server {
    /// The next entry of the log: a request line with the fields that a test may check, or bytes.
    pub(crate) fn received(&self) -> String {
        Deadline::soon().receive("a request or bytes", &self.log).expect("a script goes on")
    }

    /// The next entry of the log, if there is one.
    pub(crate) fn try_received(&self) -> Option<String> {
        self.log.try_recv().ok()
    }
}

fn play(socket: TcpStream, script: Vec<Step>, log: impl Fn(String)) {
    life().limit(&socket);
    let mut input = BufReader::new(socket.try_clone().unwrap());
    let mut output = socket;
    let mut key = String::new();
    for step in script {
        let done = match step {
            Step::Request => request(&mut input).map(|(text, found)| {
                key = found;
                log(text);
            }),
            Step::Send(bytes) => output.write_all(&bytes).ok(),
            Step::Upgrade(early) => {
                let accept = tidewire_ws::handshake::accept_key(key.as_bytes());
                let mut out = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: tidewire.v1\r\n\r\n",
                    accept.escape_ascii()
                )
                .into_bytes();
                out.extend(early);
                output.write_all(&out).ok()
            }
            Step::Read(n) => {
                let mut bytes = vec![0; n];
                input.read_exact(&mut bytes).ok().map(|()| log(format!("{bytes:02x?}")))
            }
            Step::Pause(ms) => {
                thread::sleep(Duration::from_millis(ms));
                Some(())
            }
            Step::Wait(told) => {
                let _ = told.recv_timeout(life().left());
                Some(())
            }
            Step::Close => {
                drop((input, output));
                return log("closed".to_owned());
            }
            Step::Hold => input.read_to_end(&mut Vec::new()).ok().map(drop),
        };
        if done.is_none() {
            return;
        }
    }
}

/// Returns the request line with the fields that a test may check and the body, and the WebSocket
/// key.
fn request(input: &mut impl BufRead) -> Option<(String, String)> {
    let (mut text, mut length, mut key) = (String::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if text.is_empty() {
            text = line.strip_suffix(" HTTP/1.1").expect("a request line").to_owned();
            continue;
        }
        let Some((name, value)) = line.split_once(": ") else { break };
        match name {
            "Content-Length" => length = value.parse().unwrap(),
            "Sec-WebSocket-Key" => value.clone_into(&mut key),
            "Content-Type" | "Idempotency-Key" | "Authorization" | "user-agent" | "Producer-Id"
            | "Producer-Epoch" | "Producer-Seq" => text.push_str(&format!(" {name}={value}")),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    if length > 0 {
        text.push_str(&format!(" {}", String::from_utf8_lossy(&body)));
    }
    Some((text, key))
}

/// The next event.
pub(crate) async fn next(subscription: &mut Subscription) -> Result<Event, Error> {
    let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
    next.unwrap_or_else(|_| panic!("no event within {PATIENCE:?}"))
}

/// The next events, each as a short text.
pub(crate) async fn take(subscription: &mut Subscription, n: usize) -> Vec<String> {
    take_until(subscription, |texts| texts.len() == n).await
}

/// The next events until there are enough, each as a short text. The deadline is for all of them.
pub(crate) async fn take_until(
    subscription: &mut Subscription,
    enough: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    let (mut texts, deadline) = (Vec::new(), Deadline::soon());
    while !enough(&texts) {
        deadline.check("enough events", || format!("{texts:?}"));
        let next = tokio::time::timeout(deadline.left(), subscription.next()).await;
        texts.push(text(&next.unwrap_or_else(|_| deadline.fail("enough events", format!("{texts:?}")))));
    }
    texts
}

pub(crate) fn text(event: &Result<Event, Error>) -> String {
    match event {
        Ok(Event::Message(message)) => {
            format!("{} {}", message.cursor, String::from_utf8_lossy(&message.data))
        }
        Ok(Event::Gap { from, cursor, missed }) => format!("gap {from} {cursor} {missed}"),
        Ok(Event::Reset { reason, cursor }) => format!("reset {reason} {cursor}"),
        Ok(Event::Connected { feed, cursor }) => {
            format!("{feed} at {}", cursor.as_ref().map_or("-", |cursor| cursor.as_str()))
        }
        Ok(Event::Disconnected { feed, reason, .. }) => format!("{feed} failed: {reason}"),
        Ok(Event::End { channel, cursor }) => {
            format!("end of {} {cursor}", channel.as_deref().unwrap_or("-"))
        }
        Ok(Event::Deleted { channel }) => format!("deleted {}", channel.as_deref().unwrap_or("-")),
        Ok(other) => panic!("{other:?}"),
        Err(error) => format!("end: {error}"),
    }
}
