//! The trait of a store.

use std::fmt;
use std::sync::Arc;

use tidewire_channel::{Budget, Since};

use crate::answer::Answer;
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created};
use crate::error::{AppendError, CreateError, Failed, ReadError};
use crate::info::{Opened, Page};
use crate::name::ChannelName;

/// Keeps the logs of channels.
///
/// **Its promise.** When an append is answered, its messages are kept: in the memory of the
/// process, on a disk, or in another server, as the store says. The hub shows a message to nobody
/// before. A store that does not know whether it has kept its promise answers with
/// [`Outcome::Unknown`](crate::Outcome::Unknown).
///
/// **It works by itself.** Nobody needs to poll an answer, and dropping an answer cancels nothing.
/// A method returns at once and does not block: what takes time happens elsewhere, and the answer
/// comes [later](crate::later). So a store must not call back into the hub from a method, nor while
/// it holds a lock: answers and [`Listener::changed`] run code of the hub.
///
/// **Order.** Appends to one log, and its creations and deletions, are carried out in the order in
/// which they were made. A read that is made after an append was answered sees its messages.
///
/// **Time.** `now_ms` is the hub's clock everywhere: milliseconds since 1970 that never step back
/// while the hub runs. Only [`sweep`](Self::sweep) may get an earlier time.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Tells what there is under a name, and creates nothing. The hub uses the channel until
    /// [`release`](Self::release): meanwhile, the store forgets nothing of it, other than what its
    /// settings say. The hub opens a name that it has not opened, and makes the two calls for a
    /// name one after the other.
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>>;

    /// The hub does not use the channel any more. The store may forget a log of which it keeps
    /// nothing: no message, no key, no producer, and no settings that a creation has set.
    fn release(&self, name: &ChannelName, now_ms: u64);

    /// Appends. Creates the log if there is none. All of it happens, or nothing does.
    ///
    /// # Errors
    /// In the answer: [`AppendError`].
    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>>;

    /// Whether an append with this would surely append nothing, as far as the store knows without
    /// waiting. Then a publisher need not wait for room. It may always be `false`.
    fn is_known(&self, name: &ChannelName, once: &Once, now_ms: u64) -> bool {
        let _ = (name, once, now_ms);
        false
    }

    /// Reads messages from a position on. A read without a budget for messages still tells how the
    /// position continues. [`Since::Now`] reads none. It is no use of the log that prolongs its
    /// life: [`touch`](Self::touch) is.
    ///
    /// **A message that the store has lost**, as by a fault of a disk, is told as a gap. The page
    /// before it ends there, with `more` set. A read from there on continues with
    /// [`Continuity::Gap`](tidewire_channel::Continuity::Gap): `from` is the position that was
    /// asked for, `to` is the position after the lost messages, and `missed` is their number. The
    /// page starts at `to`, although `from` is not before `info.earliest`. It may have no message
    /// although more follow. So several lost messages next to each other are one gap or several.
    /// A read of [`Since::Earliest`] that begins with a lost message has a gap, too. A read without
    /// a budget for messages may overlook what is lost.
    ///
    /// # Errors
    /// In the answer: [`ReadError`].
    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>>;

    /// Creates a log with settings, and perhaps with the first messages of another log and messages
    /// of its own. All of it happens, or nothing does. If the log exists with the same settings and
    /// origin, this changes nothing.
    ///
    /// # Errors
    /// In the answer: [`CreateError`].
    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>>;

    /// Deletes a log. Returns whether there was one. A log with forks is kept for them, and its
    /// name is in use until the last of them is deleted.
    ///
    /// # Errors
    /// In the answer: [`Failed`].
    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>>;

    /// Notes that the log was read, so that its sliding expiry begins again.
    ///
    /// # Errors
    /// In the answer: [`Failed`].
    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>>;

    /// Does a piece of the regular work: frees what is too old, and deletes logs whose expiry has
    /// come. One call does a bounded amount of work, so that it may run on a worker. Call it until
    /// [`Swept::more`] is `false`, every few seconds.
    ///
    /// The time may be earlier than that of other calls. Every [`touch`](Self::touch) that was made
    /// before this call counts, and the hub has told of all uses until that time.
    ///
    /// # Errors
    /// In the answer: [`Failed`].
    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>>;

    /// Sets who is told that another node has changed a log. A store of one process never tells.
    fn listen(&self, listener: Arc<dyn Listener>) {
        drop(listener);
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        (**self).open(name, now_ms)
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        (**self).release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        (**self).append(name, append)
    }

    fn is_known(&self, name: &ChannelName, once: &Once, now_ms: u64) -> bool {
        (**self).is_known(name, once, now_ms)
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        (**self).read(name, since, budget, now_ms)
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        (**self).create(name, create)
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        (**self).delete(name, now_ms)
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        (**self).touch(name, now_ms)
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        (**self).sweep(now_ms)
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        (**self).listen(listener);
    }
}

/// What a piece of the regular work has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The logs that were deleted, because their expiry has come. Their readers must be told.
    pub expired: Vec<ChannelName>,
    /// Whether there is more to do now.
    pub more: bool,
}

/// Is told what happens in a store that several nodes share.
pub trait Listener: Send + Sync + 'static {
    /// Another node has changed this log: appended to it, closed, created or deleted it.
    fn changed(&self, name: &ChannelName);
}
