//! `/msg_channel`: queues between pages that have no other way to reach each other.
//!
//! A queue has any number of writers and one reader. Messages are JSON. When a writer sends
//! `["message", BODY]`, the reader gets `BODY`. `["disconnectReader", null]` closes the reader, and
//! `["delete", null]` deletes the queue. A reader may send `["close", null]`. Unread messages are
//! kept for the next reader.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::Notify;

use crate::socket::{Message, Socket};

/// The largest number of messages in one queue.
const MAX_WAITING: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

/// The queues by name, shared by all workers.
#[derive(Default)]
pub struct Queues(Mutex<HashMap<String, Arc<Queue>>>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    has_reader: bool,
    writers: usize,
}

enum Item {
    Message(Value),
    Close,
}

/// Serves one end of a queue until it is closed.
pub async fn run(socket: &mut Socket, uuid: &str, direction: Direction, queues: &Queues) -> io::Result<()> {
    let Some(end) = queues.open(uuid, direction) else {
        return socket.close(Some(1008), "this channel has a reader").await;
    };
    match direction {
        Direction::Read => read(socket, &end.queue).await,
        Direction::Write => write(socket, &end).await,
    }
}

async fn read(socket: &mut Socket, queue: &Queue) -> io::Result<()> {
    loop {
        let item = lock(&queue.state).items.pop_front();
        match item {
            Some(Item::Message(body)) => socket.send(&Message::Text(body.to_string())).await?,
            Some(Item::Close) => return Ok(()),
            None => tokio::select! {
                // At most one reader waits here. If none waits, `Notify` keeps a permit, so no
                // message is missed.
                () = queue.news.notified() => {}
                message = socket.receive() => match message? {
                    Some(Message::Text(text)) if command(&text).is_some_and(|(name, _)| name == "close") => {
                        return Ok(());
                    }
                    Some(_) => {}
                    None => return Ok(()),
                }
            },
        }
    }
}

async fn write(socket: &mut Socket, end: &End<'_>) -> io::Result<()> {
    while let Some(message) = socket.receive().await? {
        let Message::Text(text) = message else { continue };
        let item = match command(&text) {
            Some((name, body)) if name == "message" => Item::Message(body),
            Some((name, _)) if name == "disconnectReader" => Item::Close,
            Some((name, _)) if name == "delete" => {
                lock(&end.queues.0).remove(&end.uuid);
                continue;
            }
            _ => return socket.close(Some(1007), "send [\"message\", BODY]").await,
        };
        {
            let mut state = lock(&end.queue.state);
            if state.items.len() < MAX_WAITING {
                state.items.push_back(item);
                end.queue.news.notify_one();
                continue;
            }
        }
        return socket.close(Some(1013), "nobody reads this channel").await;
    }
    Ok(())
}

/// `[NAME, BODY]`.
fn command(text: &str) -> Option<(String, Value)> {
    serde_json::from_str(text).ok()
}

/// One end of a queue. The last end that closes removes the queue, unless it has unread messages.
struct End<'a> {
    queues: &'a Queues,
    queue: Arc<Queue>,
    uuid: String,
    direction: Direction,
}

impl Queues {
    fn open(&self, uuid: &str, direction: Direction) -> Option<End<'_>> {
        // The lock is held until the end is registered, so that another end does not remove the
        // queue meanwhile.
        let mut queues = lock(&self.0);
        let queue = queues.entry(uuid.to_owned()).or_default().clone();
        let mut state = lock(&queue.state);
        match direction {
            Direction::Read if state.has_reader => return None,
            Direction::Read => state.has_reader = true,
            Direction::Write => state.writers += 1,
        }
        drop(state);
        Some(End { queues: self, queue, uuid: uuid.to_owned(), direction })
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues.0);
        let mut state = lock(&self.queue.state);
        match self.direction {
            Direction::Read => state.has_reader = false,
            Direction::Write => state.writers -= 1,
        }
        let idle = !state.has_reader && state.writers == 0 && state.items.is_empty();
        // The queue may have been deleted and created anew by another client.
        if idle && queues.get(&self.uuid).is_some_and(|known| Arc::ptr_eq(known, &self.queue)) {
            queues.remove(&self.uuid);
        }
    }
}

/// No code panics while it holds a lock, so the data of a poisoned lock is valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
