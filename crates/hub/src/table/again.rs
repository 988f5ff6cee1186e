//! The next request of a connection whose held poll was answered, served without leaving the table.
//!
//! A long-polling client asks again at once, and what it asks is a GET like the last one. Giving the socket back to the request
//! cycle for it would cost a task, its buffers and a new row for each message. So the table reads that one kind of request itself,
//! with the same parser and the same code that answers it; every other kind goes back to the cycle, unread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire_channel::Cursor;
use tidewire_http1::{
    BodyLength, Connection, Event, Limits, Method, RequestHead, Server, TargetForm, Version,
};
use tidewire_server::{Body, Reply, Request, Response};

use super::subscriber::{Role, Subscription, Then, Ticket};
use super::table::Table;
use crate::api::subscribe;
use crate::channel::Channel;
use crate::name::ChannelName;
use crate::positions::Positions;
use crate::request_fields::depends_on_target_only;

impl Table {
    /// Serves the request in `bytes` if it is a poll, else gives the connection back.
    pub(super) fn next_request(&mut self, key: u32, bytes: &[u8]) {
        match self.poll_again(key, bytes) {
            Some(Again::Held { group, wait }) => self.join_live(key, group, wait),
            Some(Again::Answered(answer)) => self.answer_again(key, &answer),
            Some(Again::New(Reply::Detach { head: None, ticket: Ticket(subscription), .. }, asked)) => {
                self.rejoin(key, subscription, asked)
            }
            Some(Again::New(Reply::Ready(response), asked)) => {
                let mut out = Vec::new();
                response.write_to(Some(self.context.settings.idle_timeout), &mut out);
                let answer = out.into();
                if let Some(asked) = asked {
                    self.keep_answer(asked, &response, &answer);
                }
                self.answer_again(key, &answer);
            }
            _ => self.resume(key, bytes),
        }
    }

    /// The answer to a lone, complete GET on channels. A GET changes nothing, so an answer that the table cannot carry out is
    /// thrown away and made again by the request cycle.
    fn poll_again(&self, key: u32, bytes: &[u8]) -> Option<Again> {
        if self.is_draining() {
            return None;
        }
        // Word for word the last one: it means what that one meant, and need not be parsed.
        if let Some(last) = self.last_poll.as_ref().filter(|last| *last.asked.request == *bytes)
            && let Some(again) = self.as_last(last)
        {
            return Some(again);
        }
        let mut fields = self.fields.borrow_mut();
        let mut http = Connection::<Server>::new(Limits::default());
        let head = match http.decode(bytes, &mut fields) {
            Ok((used, Some(Event::Request(head)))) if used == bytes.len() => head,
            _ => return None,
        };
        if !is_simple(&head) {
            return None;
        }
        let is_plain = depends_on_target_only(&head);
        if let Some(last) =
            self.last_poll.as_ref().filter(|last| is_plain && *last.asked.target == *head.target())
            && let Some(again) = self.as_last(last)
        {
            return Some(again);
        }
        let names = ChannelName::list(head.path().strip_prefix(b"/c/")?).ok()?;
        let known = match &names[..] {
            [name] if is_plain => self.context.hub.find_channel(name),
            _ => None,
        };
        let bounds = known.and_then(|channel| Some((channel.bounds(self.now_ms)?, channel)));
        let access = self.context.settings.origins.check(&head);
        let peer = self.rows[key as usize].connection.peer();
        let request = Request { head: &head, body: Body::empty(), peer, at: Instant::now() };
        let reply = subscribe::handle(&self.context, &names, &access, &request).ok()?;
        let asked = || Asked { request: bytes.into(), target: head.target().into(), bounds };
        Some(Again::New(reply, is_plain.then(asked)))
    }

    /// What became of the last poll is what becomes of the same one now, if nothing happened since.
    fn as_last(&self, last: &LastPoll) -> Option<Again> {
        match &last.outcome {
            Outcome::Held { group: id, positions, wait } => {
                let group = &self.groups[*id as usize];
                let limit = self.context.hub.config().max_subscribers;
                let has_room = group.channels.0.iter().all(|channel| channel.subscribers() < limit);
                (has_room && group.positions == *positions && self.is_watched(group))
                    .then_some(Again::Held { group: *id, wait: *wait })
            }
            Outcome::Answered { answer, until_ms } => {
                let (bounds, channel) = last.asked.bounds.as_ref()?;
                (self.now_ms < *until_ms && channel.bounds(self.now_ms) == Some(*bounds))
                    .then(|| Again::Answered(answer.clone()))
            }
        }
    }

    /// Keeps the answer to a poll for those who ask the same.
    fn keep_answer(&mut self, asked: Asked, response: &Response, answer: &Bytes) {
        let Some((bounds, channel)) = &asked.bounds else { return };
        // A message that came meanwhile may be in the answer or not: it is not for others to have.
        if response.status() == 200
            && answer.len() <= MAX_ANSWER
            && channel.bounds(self.now_ms) == Some(*bounds)
        {
            // Its Date is not to be older than a second.
            let outcome = Outcome::Answered { answer: answer.clone(), until_ms: self.now_ms + 1_000 };
            self.last_poll = Some(LastPoll { asked, outcome });
        }
    }

    fn answer_again(&mut self, key: u32, answer: &Bytes) {
        self.rows[key as usize].then = Then::Resume;
        self.interject(key, answer);
        if self.rows.get(key as usize).is_some_and(|row| row.pending.is_empty()) {
            self.settle(key);
        }
    }

    fn rejoin(&mut self, key: u32, subscription: Subscription, asked: Option<Asked>) {
        let Subscription { shape, channels, positions, wait, .. } = subscription;
        let group = self.group(channels, shape);
        self.enter(group);
        if let Some(wait) = wait {
            self.hold(key, wait);
            let outcome = Outcome::Held { group, positions: positions.clone(), wait };
            self.last_poll = asked.map(|asked| LastPoll { asked, outcome });
        }
        self.rows[key as usize].role = Role::Lagging { group, positions };
        self.advance(group);
        self.catch_up(key);
    }

    /// The same poll as the last one, while nothing happened: straight to the others that wait.
    fn join_live(&mut self, key: u32, id: u32, wait: Duration) {
        self.enter(id);
        let group = &mut self.groups[id as usize];
        let slot = group.live.len() as u32;
        group.live.push(key);
        self.rows[key as usize].role = Role::Live { group: id, slot };
        self.hold(key, wait);
    }
}

/// Longest answer that is kept: one stays with each worker until there is another.
const MAX_ANSWER: usize = 256 * 1024;

/// How the table answers a request that it read itself.
#[allow(clippy::large_enum_variant, reason = "it lives for one match")]
enum Again {
    /// As the last one: a context in this group, for so long.
    Held { group: u32, wait: Duration },
    /// As the last one, at once.
    Answered(Bytes),
    /// As any other, and what was asked if the target alone decided.
    New(Reply<Ticket>, Option<Asked>),
}

/// The poll that was asked last. After a message all its readers ask the same next question, word for word; who asks it second
/// need not be understood again.
pub(super) struct LastPoll {
    asked: Asked,
    outcome: Outcome,
}

/// A poll that its target alone decides.
struct Asked {
    /// All of its bytes.
    request: Box<[u8]>,
    target: Box<[u8]>,
    /// The one channel that it is about, and what that held before the poll was looked at.
    bounds: Option<((Cursor, Cursor), Arc<Channel>)>,
}

enum Outcome {
    /// It waits in this group, which had this position.
    Held { group: u32, positions: Positions, wait: Duration },
    /// There was something for it already.
    Answered { answer: Bytes, until_ms: u64 },
}

impl LastPoll {
    /// Whether it waits in this group.
    pub(super) fn is_held_in(&self, id: u32) -> bool {
        matches!(self.outcome, Outcome::Held { group, .. } if group == id)
    }
}

fn is_simple(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get
        && head.target_form() == TargetForm::Origin
        && head.version() == Version::Http11
        && head.body() == BodyLength::Empty
        && head.keep_alive()
        && head.upgrade().is_none()
}
