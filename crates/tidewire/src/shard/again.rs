//! The next request of a connection whose held poll was answered, served without leaving the table.
//!
//! A long-polling client asks again at once, and what it asks is a GET like the last one. Giving the socket back to the request
//! cycle for it would cost a task, its buffers and a new row for each message. So the table reads that one kind of request itself,
//! with the same parser and the same code that answers it; every other kind goes back to the cycle, unread.

use std::time::{Duration, Instant};

use tidewire_http1::{
    BodyLength, Connection, Event, Limits, Method, RequestHead, Server, TargetForm, Version,
};
use tidewire_server::{Body, Reply, Request};

use super::subscriber::{Errand, Role, Subscription, Then, Ticket};
use super::table::Table;
use crate::answers::is_plain;
use crate::name::ChannelName;
use crate::reader::Positions;
use crate::subscribe;

impl Table {
    /// Serves the request in `bytes` if it is a poll, else gives the connection back.
    pub(super) fn next_request(&mut self, key: u32, bytes: &[u8]) {
        match self.poll_again(key, bytes) {
            Some(Again::Known { group, wait }) => self.join_live(key, group, wait),
            Some(Again::New(
                Reply::Detach { head: None, ticket: Ticket(Errand::Subscribe(subscription)), .. },
                target,
            )) => self.rejoin(key, subscription, target),
            Some(Again::New(Reply::Ready(response), _)) => {
                let mut out = Vec::new();
                response.write_to(false, &mut out);
                self.rows[key as usize].then = Then::Resume;
                self.interject(key, &out.into());
                if self.rows.get(key as usize).is_some_and(|row| row.pending.is_empty()) {
                    self.settle(key);
                }
            }
            _ => self.resume(key, bytes),
        }
    }

    /// The answer to a lone, complete GET on channels. A GET changes nothing, so an answer that the table cannot carry out is
    /// thrown away and made again by the request cycle.
    fn poll_again(&self, key: u32, bytes: &[u8]) -> Option<Again> {
        let mut fields = self.fields.borrow_mut();
        let mut http = Connection::<Server>::new(Limits::default());
        let head = match http.decode(bytes, &mut fields) {
            Ok((used, Some(Event::Request(head)))) if used == bytes.len() => head,
            _ => return None,
        };
        if self.is_draining() || !is_simple(&head) {
            return None;
        }
        let is_plain = is_plain(&head);
        if let Some(known) = self.last_poll.as_ref().filter(|last| is_plain && *last.target == *head.target())
        {
            let group = &self.groups[known.group as usize];
            if group.positions == known.positions && self.is_watched(group) {
                return Some(Again::Known { group: known.group, wait: known.wait });
            }
        }
        let names = ChannelName::list(head.path().strip_prefix(b"/c/")?).ok()?;
        let access = self.place.settings.origins.check(&head);
        let peer = self.rows[key as usize].connection.peer();
        let request = Request { head: &head, body: Body::empty(), peer, at: Instant::now() };
        let reply = subscribe::handle(&self.place, &names, &access, &request).ok()?;
        Some(Again::New(reply, is_plain.then(|| head.target().into())))
    }

    fn rejoin(&mut self, key: u32, subscription: Subscription, target: Option<Box<[u8]>>) {
        let Subscription { shape, channels, positions, wait, .. } = subscription;
        let group = self.group(channels, shape);
        self.enter(group);
        let asked = positions.clone();
        self.rows[key as usize].role = Role::Lagging { group, positions };
        if let Some(wait) = wait {
            self.hold(key, wait);
            self.last_poll = target.map(|target| LastPoll { target, group, positions: asked, wait });
        }
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

/// How the table answers a request that it read itself.
#[allow(clippy::large_enum_variant, reason = "it lives for one match")]
enum Again {
    /// As the last one: a place in this group, for so long.
    Known { group: u32, wait: Duration },
    /// As any other, and its target if that alone decided.
    New(Reply<Ticket>, Option<Box<[u8]>>),
}

/// The held poll that was asked last. After a message all its readers ask the same next question, word for word; who asks it second
/// need not be understood again.
pub(super) struct LastPoll {
    target: Box<[u8]>,
    pub(super) group: u32,
    positions: Positions,
    wait: Duration,
}

fn is_simple(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get
        && head.target_form() == TargetForm::Origin
        && head.version() == Version::Http11
        && head.body() == BodyLength::Empty
        && head.keep_alive()
        && head.upgrade().is_none()
}
