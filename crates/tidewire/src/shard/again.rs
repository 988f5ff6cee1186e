//! The next request of a connection whose held poll was answered, served without leaving the table.
//!
//! A long-polling client asks again at once, and what it asks is a GET like the last one. Giving the socket back to the request
//! cycle for it would cost a task, its buffers and a new row for each message. So the table reads that one kind of request itself,
//! with the same parser and the same code that answers it; every other kind goes back to the cycle, unread.

use tidewire_http1::{BodyLength, Connection, Event, Limits, Method, RequestHead, Server, Version};
use tidewire_server::{Body, Reply, Request};

use super::subscriber::{Role, Then, Ticket};
use super::table::Table;
use crate::name::ChannelName;
use crate::subscribe;

impl Table {
    /// Serves the request in `bytes` if it is a poll, else gives the connection back.
    pub(super) fn next_request(&mut self, key: u32, bytes: &[u8]) {
        match self.poll_again(key, bytes) {
            Some(Reply::Detach { head: None, ticket, .. }) => self.rejoin(key, ticket),
            Some(Reply::Ready(response)) => {
                let mut out = Vec::new();
                response.write_to(false, &mut out);
                self.clear_deadline(key);
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
    fn poll_again(&self, key: u32, bytes: &[u8]) -> Option<Reply<Ticket>> {
        let mut fields = self.fields.borrow_mut();
        let mut http = Connection::<Server>::new(Limits::default());
        let head = match http.decode(bytes, &mut fields) {
            Ok((used, Some(Event::Request(head)))) if used == bytes.len() => head,
            _ => return None,
        };
        if self.is_draining() || !is_simple(&head) {
            return None;
        }
        let names = ChannelName::list(head.path().strip_prefix(b"/c/")?).ok()?;
        let access = self.place.settings.origins.check(&head);
        let peer = self.rows[key as usize].connection.peer();
        subscribe::handle(&self.place, &names, &access, &Request { head: &head, body: Body::empty(), peer })
            .ok()
    }

    fn rejoin(&mut self, key: u32, ticket: Ticket) {
        let Ticket { shape, channels, positions, deadline_ms, .. } = ticket;
        self.clear_deadline(key);
        let group = self.group(channels, shape);
        self.enter(group);
        self.rows[key as usize].role = Role::Lagging { group, positions };
        if let Some(at) = deadline_ms {
            self.set_deadline(key, at);
        }
        self.advance(group);
        self.catch_up(key);
    }
}

fn is_simple(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get
        && head.version() == Version::Http11
        && head.body() == BodyLength::Empty
        && head.keep_alive()
        && head.upgrade().is_none()
}
