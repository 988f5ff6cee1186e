//! The table itself: rows, groups, and the way of a row from its arrival to its end.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use slab::Slab;
use tidewire_channel::Cursor;
use tidewire_http1::Fields;
use tidewire_server::{Inbox, Parked};

use super::TICK;
use super::again::LastPoll;
use super::delivery::{Addresses, Watched, address};
use super::group::{Group, Key, Shape};
use super::subscriber::{Role, Subscriber, Subscription, Then, Wrote};
use crate::channel::Channel;
use crate::context::SiteContext;
use crate::feeds::Flow;
use crate::positions::{Channels, Positions};

/// Reads of one socket in one turn; the others want theirs.
const READS_A_TURN: usize = 8;

/// What is read of a client that sends while it waits for an answer or reads a stream: one pipelined head, not more. Behind a poll the rest
/// waits in the socket until the answer is out. Behind a stream nothing is ever answered, and who floods is dropped.
const MAX_UNREAD: usize = 16 * 1024;

/// How long a closed connection may take to hang up.
const LINGER_MS: u64 = 2_000;

pub(crate) struct Table {
    pub(super) context: SiteContext,
    pub(super) worker: u16,
    pub(super) rows: Slab<Subscriber>,
    pub(super) groups: Slab<Group>,
    pub(super) by_key: HashMap<Key, u32>,
    pub(super) watched: HashMap<usize, Watched, Addresses>,
    pub(super) ready: Inbox<u32>,
    /// When to look at which row's deadline: not later than it is.
    pub(super) deadlines: BTreeSet<(u64, u32)>,
    scratch: Vec<u8>,
    /// The held poll that was asked last.
    pub(super) last_poll: Option<LastPoll>,
    /// For the heads that the table reads itself.
    pub(super) fields: RefCell<Fields>,
    /// The clock of the hub, which is that of the logs.
    pub(super) now_ms: u64,
    /// The same without the time in which this worker did not run. Deadlines of clients use it.
    pub(super) ran_ms: u64,
    /// How late the present tick is.
    pub(super) late_ms: u64,
    /// The last tick was late and ended no connection.
    pub(super) spared: bool,
    /// The places of those that inflate a message, counted by its references.
    pub(super) inflating: Rc<()>,
    pub(super) next_tick_ms: u64,
    pub(super) tick: u64,
    pub(super) draining: bool,
}

impl Table {
    pub(crate) fn new(context: SiteContext, worker: u16) -> Self {
        let now_ms = context.hub.now_ms();
        Table {
            context,
            worker,
            rows: Slab::new(),
            groups: Slab::new(),
            by_key: HashMap::new(),
            watched: HashMap::default(),
            ready: Inbox::new(),
            deadlines: BTreeSet::new(),
            scratch: vec![0; 64 * 1024],
            last_poll: None,
            fields: RefCell::default(),
            now_ms,
            ran_ms: now_ms,
            late_ms: 0,
            spared: false,
            inflating: Rc::default(),
            next_tick_ms: now_ms + TICK.as_millis() as u64,
            tick: 0,
            draining: false,
        }
    }

    pub(crate) fn ready(&self) -> Inbox<u32> {
        self.ready.clone()
    }

    /// Takes a connection in: it starts lagging at the position that its request left it at, and catches up.
    pub(crate) fn add(&mut self, mut connection: Parked, subscription: Subscription) {
        self.look_at_the_clock();
        let Subscription { shape, channels, positions, wait, mut websocket, gzip, ended } = subscription;
        if let Some(websocket) = &mut websocket {
            websocket.enter(self.ran_ms);
        }
        let mut rest = connection.take_rest();
        let group = self.group(channels, shape);
        let entry = self.rows.vacant_entry();
        let key = entry.key() as u32;
        entry.insert(Subscriber {
            connection,
            waker: self.ready.waker(key),
            role: Role::Lagging { group, positions },
            pending: Bytes::new(),
            then: Then::Stay,
            due_ms: 0,
            listed_ms: 0,
            moved_ms: self.ran_ms,
            websocket,
            gzip,
        });
        self.enter(group);
        if let Some(wait) = wait {
            self.hold(key, wait);
        }
        if ended {
            self.say_goodbye(key, true);
        } else {
            self.advance(group);
            self.catch_up(key);
        }
        if !rest.is_empty() {
            self.received(key, &mut rest);
        }
        self.read(key);
    }

    /// A channel has news: its groups move to its head, with all their live members.
    pub(crate) fn on_news(&mut self, channel: &Arc<Channel>) {
        let Some(watched) = self.watched.get_mut(&address(channel)) else { return };
        // It is gone already where this news took it. But news may come late: the last group left while it lay in the inbox, and another came
        // and registered anew.
        if let Some(wait) = watched.wait.take() {
            channel.unwatch(wait);
        }
        for group in watched.groups.clone() {
            if self.groups.get(group as usize).is_some_and(|g| g.has(channel)) {
                self.advance(group);
            }
        }
    }

    /// A socket is ready to take or to give.
    pub(crate) fn on_ready(&mut self, key: u32) {
        let Some(row) = self.rows.get_mut(key as usize) else { return };
        if !row.pending.is_empty() {
            let before = row.pending.len();
            let wrote = row.flush();
            if row.pending.len() != before {
                row.moved_ms = self.ran_ms;
            }
            match wrote {
                Wrote::All => self.settle(key),
                Wrote::Some => {}
                Wrote::Failed => return self.remove(key),
            }
        } else {
            self.catch_up(key);
        }
        self.read(key);
    }

    /// What follows a write of a slice: nothing, or the end of the subscription.
    pub(super) fn after_write(&mut self, key: u32, wrote: Wrote, flow: Flow) {
        if wrote == Wrote::Failed {
            return self.remove(key);
        }
        if flow == Flow::End {
            let then = self.leave(key);
            self.end(key, then, wrote);
        }
    }

    /// The subscription of a row that has left its group is over, but for what is pending of its last bytes.
    pub(super) fn end(&mut self, key: u32, then: Then, wrote: Wrote) {
        let row = &mut self.rows[key as usize];
        row.then = then;
        row.role = if then == Then::Resume { Role::Idle } else { Role::Closing };
        if wrote == Wrote::All {
            self.settle(key);
        }
    }

    /// Nothing is pending any more: what was to come next comes now.
    pub(super) fn settle(&mut self, key: u32) {
        let Some(row) = self.rows.get_mut(key as usize) else { return };
        if let Some(bytes) = row.websocket.as_mut().and_then(|ws| ws.take_output()) {
            match row.offer(&bytes) {
                Wrote::All => {}
                Wrote::Some => {
                    row.moved_ms = self.ran_ms;
                    return self.demote(key);
                }
                Wrote::Failed => return self.remove(key),
            }
        }
        match std::mem::replace(&mut row.then, Then::Stay) {
            Then::Stay => self.catch_up(key),
            Then::Resume => {
                let rest = row.connection.take_rest();
                if rest.is_empty() && !self.draining {
                    row.due_ms = self.ran_ms + self.context.settings.idle_timeout.as_millis() as u64;
                } else {
                    self.resume(key, &rest);
                }
            }
            Then::Close => {
                let mut cx = Context::from_waker(&row.waker);
                let _ = row.connection.poll_shutdown(&mut cx);
                row.due_ms = self.ran_ms + LINGER_MS;
            }
        }
    }

    /// Gives a connection back to the request cycle.
    pub(super) fn resume(&mut self, key: u32, bytes: &[u8]) {
        self.unlist_deadline(key);
        self.rows.remove(key as usize).connection.resume(bytes);
    }

    /// Reads what the client sent, and notices when it left.
    pub(super) fn read(&mut self, key: u32) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut reads = 0;
        while let Some(row) = self.rows.get_mut(key as usize) {
            if row.websocket.as_ref().is_some_and(|ws| ws.is_full()) {
                // The client does not take what it is owed, so nothing more is taken from it. Writing goes on first.
                break;
            }
            if row.websocket.is_none() && row.connection.unread_len() > MAX_UNREAD {
                break;
            }
            let has_more = row.websocket.as_ref().is_some_and(|ws| ws.has_more());
            if reads == READS_A_TURN || has_more && reads > 0 {
                self.ready.push(key);
                break;
            }
            reads += 1;
            if has_more {
                self.received(key, &mut []);
                continue;
            }
            match row.connection.poll_read(&mut Context::from_waker(&row.waker), &mut scratch) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) if n > 0 => self.received(key, &mut scratch[..n]),
                Poll::Ready(_) => self.remove(key),
            }
        }
        self.scratch = scratch;
    }

    /// Bytes from the client.
    fn received(&mut self, key: u32, bytes: &mut [u8]) {
        let Some(row) = self.rows.get_mut(key as usize) else { return };
        if row.websocket.is_some() {
            return self.websocket_received(key, bytes);
        }
        match row.role {
            Role::Closing => {}
            Role::Idle if row.pending.is_empty() => self.next_request(key, bytes),
            // The next request while this answer is not complete.
            _ => {
                row.connection.unread(bytes);
                let floods = row.connection.unread_len() > MAX_UNREAD;
                let shape = row.group().map(|group| &self.groups[group as usize].shape);
                if floods && matches!(shape, Some(Shape::Stream { .. })) {
                    self.remove(key);
                }
            }
        }
    }

    /// Writes something between two messages to a row that has nothing pending.
    pub(super) fn interject(&mut self, key: u32, bytes: &Bytes) {
        let row = &mut self.rows[key as usize];
        match row.offer(bytes) {
            Wrote::All => {}
            Wrote::Some => {
                row.moved_ms = self.ran_ms;
                self.demote(key);
            }
            Wrote::Failed => self.remove(key),
        }
    }

    /// A live row has something pending: it is behind from now on.
    fn demote(&mut self, key: u32) {
        let Role::Live { group: id, slot } = self.rows[key as usize].role else { return };
        self.vacate(id, slot);
        let group = &self.groups[id as usize];
        let row = &mut self.rows[key as usize];
        row.leave_body(group.sum);
        row.role = Role::Lagging { group: id, positions: group.positions.clone() };
    }

    /// Takes a member out of the live ones.
    fn vacate(&mut self, id: u32, slot: u32) {
        let live = &mut self.groups[id as usize].live;
        live.swap_remove(slot as usize);
        if let Some(&moved) = live.get(slot as usize) {
            self.rows[moved as usize].role = Role::Live { group: id, slot };
        }
    }

    /// Writes the last bytes of a subscription, after whatever is pending.
    pub(super) fn answer(&mut self, key: u32, bytes: Bytes) {
        let row = &mut self.rows[key as usize];
        let wrote = if row.pending.is_empty() {
            row.offer(&bytes)
        } else {
            row.pending = [&row.pending[..], &bytes[..]].concat().into();
            Wrote::Some
        };
        row.moved_ms = self.ran_ms;
        self.after_write(key, wrote, Flow::End);
    }

    /// Leaves the group; says what the shape wants afterwards.
    fn leave(&mut self, key: u32) -> Then {
        let row = &mut self.rows[key as usize];
        let Some(id) = row.group() else { return Then::Close };
        if let Role::Live { slot, .. } = std::mem::replace(&mut row.role, Role::Closing) {
            self.vacate(id, slot);
        }
        self.sign_off(id)
    }

    /// One member less; says what the shape wants afterwards.
    pub(super) fn sign_off(&mut self, id: u32) -> Then {
        let group = &mut self.groups[id as usize];
        group.members -= 1;
        for channel in group.channels.0.iter() {
            channel.remove_subscriber();
        }
        match &group.shape {
            Shape::LongPoll(shape) if !shape.closes() && !self.draining => Then::Resume,
            _ => Then::Close,
        }
    }

    /// Moves a member to other channels. It lags from then on, and gets nothing before [`go_on`](Self::go_on).
    ///
    /// `positions` makes the new positions from the present ones, which are read here, in the same
    /// step as the move. Messages that are delivered between reading the positions and the move
    /// would come twice.
    pub(super) fn change_channels(
        &mut self,
        key: u32,
        channels: Channels,
        shape: Shape,
        positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>,
    ) {
        let positions = Positions(positions(self.positions(key).0.into()).into());
        self.leave(key);
        let id = self.group(channels, shape);
        self.enter(id);
        self.rows[key as usize].role = Role::Lagging { group: id, positions };
    }

    /// Sends a member that changed its channels the frames that wait, and then the messages that it
    /// has not read.
    pub(super) fn go_on(&mut self, key: u32) {
        if let Some(group) = self.rows.get(key as usize).and_then(Subscriber::group) {
            self.advance(group);
        }
        if self.rows.get(key as usize).is_some_and(|row| row.pending.is_empty()) {
            self.settle(key);
        }
    }

    /// Forgets a row and closes its connection.
    pub(super) fn remove(&mut self, key: u32) {
        if self.rows.contains(key as usize) {
            self.leave(key);
            self.unlist_deadline(key);
            self.rows.remove(key as usize);
        }
    }

    /// What a member has.
    pub(super) fn positions(&self, key: u32) -> Positions {
        match &self.rows[key as usize].role {
            Role::Lagging { positions, .. } => positions.clone(),
            Role::Live { group, .. } => self.groups[*group as usize].positions.clone(),
            Role::Idle | Role::Closing => Positions(Box::new([])),
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn keys(&self) -> Vec<u32> {
        self.rows.iter().map(|(key, _)| key as u32).collect()
    }
}
