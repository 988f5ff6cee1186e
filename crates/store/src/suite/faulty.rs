//! A store that delays, fails and reorders.
//!
//! ```text
//!                    ┌── HoldRequest ──► held ── release ──┐
//!   request ──► plan ┤                                     ├──► inner store ──┬── HoldAnswer ─► held ──┬─► answer
//!                    ├── no fault ─────────────────────────┘                  ├── LoseAnswer ──────────┼─► unknown
//!                    │                                                        └── DropAnswer ──────────┼─► nothing
//!                    ├── Fail ────────────────────────────────────────────────────────────────────────►┼─► failed
//!                    ├── LoseRequest ─────────────────────────────────────────────────────────────────►┼─► unknown
//!                    └── DropRequest ─────────────────────────────────────────────────────────────────►┴─► nothing
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tidewire_channel::{Budget, Since};

use super::random::Random;
use crate::answer::{Answer, Responder, later};
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created};
use crate::error::{AppendError, CreateError, Failed, ReadError};
use crate::info::{Opened, Page};
use crate::name::ChannelName;
use crate::store::{Listener, Store, Swept};

/// A store around another one that does what a test tells it to: it delays, fails, loses answers,
/// and gives answers in another order. It counts requests. Without a plan, it passes all on.
///
/// Requests that change one log are carried out in the order in which they were made, as
/// [`Store`] demands, also if they are held.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_store::suite::{Fault, FaultyStore, RequestKind};
/// use tidewire_store::*;
///
/// let store = FaultyStore::new(MemoryStore::new(Limits::DEFAULT));
/// let name = ChannelName::new("tide")?;
/// let message = Arc::new(Message::new("high".into(), 0));
/// let append = || Append::new(0, Batch::One(message.clone()), Arc::default());
///
/// store.plan(RequestKind::Append, Fault::HoldRequest);
/// let answer = store.append(&name, append());
/// assert_eq!(store.held().len(), 1);
/// store.release_all();
/// assert_eq!(answer.wait().expect("it was released")?.cursor.seq(), 1);
///
/// store.plan(RequestKind::Append, Fault::LoseAnswer);
/// let lost = store.append(&name, append()).wait().expect("it answers");
/// assert!(matches!(lost, Err(AppendError::Failed(Failed { outcome: Outcome::Unknown, .. }))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FaultyStore<S> {
    inner: Arc<S>,
    state: Mutex<State<S>>,
    /// Signals that a request was held.
    news: Condvar,
}

/// What kind a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// [`Store::open`]
    Open,
    /// [`Store::append`]
    Append,
    /// [`Store::read`]
    Read,
    /// [`Store::create`]
    Create,
    /// [`Store::delete`]
    Delete,
    /// [`Store::touch`]
    Touch,
    /// [`Store::sweep`]
    Sweep,
}

impl RequestKind {
    /// Whether it may change the log, so that its order counts.
    const fn changes(self) -> bool {
        matches!(self, Self::Append | Self::Create | Self::Delete)
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It is carried out and answered when the test releases it.
    HoldRequest,
    /// It is carried out now, and answered when the test releases it.
    HoldAnswer,
    /// It is not carried out. The answer says so.
    Fail,
    /// It is not carried out. The answer says that nobody knows.
    LoseRequest,
    /// It is carried out. The answer says that nobody knows.
    LoseAnswer,
    /// It is not carried out, and there is no answer.
    DropRequest,
    /// It is carried out, and there is no answer.
    DropAnswer,
}

impl Fault {
    /// The faults that end a request.
    pub const FINAL: [Self; 5] =
        [Self::Fail, Self::LoseRequest, Self::LoseAnswer, Self::DropRequest, Self::DropAnswer];

    /// Whether the request is carried out.
    const fn carries_out(self) -> bool {
        matches!(self, Self::HoldAnswer | Self::LoseAnswer | Self::DropAnswer)
    }
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: RequestKind,
    /// Its log. A sweep has none.
    pub name: Option<ChannelName>,
    /// The position of a read.
    pub since: Option<Since>,
}

/// A request that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number: requests are counted from 0 on.
    pub number: usize,
    /// Its kind.
    pub kind: RequestKind,
    /// Its log. A sweep has none.
    pub name: Option<ChannelName>,
    /// Whether it was carried out, so that only its answer is held.
    pub is_done: bool,
}

/// How often a seeded store does something other than to carry a request out and answer it: in
/// percent of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests that are held, before or after they are carried out.
    pub hold: u64,
    /// Requests that fail, in one of the ways of [`Fault::FINAL`].
    pub fail: u64,
}

struct State<S> {
    planned: Vec<(RequestKind, VecDeque<Fault>)>,
    always: Vec<(RequestKind, Fault)>,
    random: Option<(Random, Rates)>,
    seen: Vec<Seen>,
    held: Vec<(Held, Box<dyn HeldRequest<S>>)>,
    listener: Option<Arc<dyn Listener>>,
}

impl<S: Store> FaultyStore<S> {
    /// A store that passes all on, until a test plans something else.
    pub fn new(inner: S) -> Self {
        let state = State {
            planned: Vec::new(),
            always: Vec::new(),
            random: None,
            seen: Vec::new(),
            held: Vec::new(),
            listener: None,
        };
        Self { inner: Arc::new(inner), state: Mutex::new(state), news: Condvar::new() }
    }

    /// A store whose faults follow from a seed. Release what it holds with
    /// [`release_random`](Self::release_random).
    pub fn seeded(inner: S, seed: u64, rates: Rates) -> Self {
        let store = Self::new(inner);
        store.lock().random = Some((Random::new(seed), rates));
        store
    }

    /// The store inside: to look at it without a fault, or to play another node.
    pub fn inner(&self) -> &Arc<S> {
        &self.inner
    }

    /// Plans a fault for the next request of this kind that has none. A plan goes before
    /// [`always`](Self::always). A change of a log for which others wait is held behind them, and
    /// takes no plan.
    pub fn plan(&self, kind: RequestKind, fault: Fault) {
        let mut state = self.lock();
        match state.planned.iter_mut().find(|(planned, _)| *planned == kind) {
            Some((_, faults)) => faults.push_back(fault),
            None => state.planned.push((kind, [fault].into())),
        }
    }

    /// Sets what happens to all requests of this kind from now on.
    pub fn always(&self, kind: RequestKind, fault: Option<Fault>) {
        let mut state = self.lock();
        state.always.retain(|(known, _)| *known != kind);
        state.always.extend(fault.map(|fault| (kind, fault)));
    }

    /// Ends all plans and random faults. What is held stays so.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.planned.clear();
        state.always.clear();
        state.random = None;
    }

    /// The requests made so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// The number of requests of a kind made so far.
    pub fn count(&self, kind: RequestKind) -> usize {
        self.lock().seen.iter().filter(|seen| seen.kind == kind).count()
    }

    /// The requests that are held, oldest first.
    pub fn held(&self) -> Vec<Held> {
        self.lock().held.iter().map(|(held, _)| held.clone()).collect()
    }

    /// Waits until this number of requests is held, and returns them. Blocks the thread.
    ///
    /// # Panics
    /// After a minute.
    pub fn wait_held(&self, count: usize) -> Vec<Held> {
        let few = |state: &mut State<S>| state.held.len() < count;
        let waited = self.news.wait_timeout_while(self.lock(), Duration::from_secs(60), few);
        let (state, time_out) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        let held: Vec<_> = state.held.iter().map(|(held, _)| held.clone()).collect();
        assert!(!time_out.timed_out(), "{count} requests should be held, and these are: {held:?}");
        held
    }

    /// Releases a request that is held: carries it out if it was not, and answers. Returns whether
    /// there was such a request. Requests to the same log that were made before it, and change the
    /// log, are carried out first. Their answers stay held.
    pub fn release(&self, number: usize) -> bool {
        self.finish(number, None)
    }

    /// The same, but the request fails in this way now. A request that was carried out already can
    /// only lose its answer.
    pub fn release_with(&self, number: usize, fault: Fault) -> bool {
        self.finish(number, Some(fault))
    }

    /// Releases all requests, oldest first, also those that are made meanwhile. Returns their
    /// number.
    pub fn release_all(&self) -> usize {
        let mut count = 0;
        while let Some(first) = self.held().first() {
            count += usize::from(self.release(first.number));
        }
        count
    }

    /// Releases one of the requests, which follows from the seed. Returns `false` if none is held.
    pub fn release_random(&self) -> bool {
        let number = {
            let mut state = self.lock();
            let State { random, held, .. } = &mut *state;
            let count = held.len();
            if count == 0 {
                return false;
            }
            let place = random.as_mut().map_or(0, |(random, _)| random.below(count));
            held[place].0.number
        };
        self.release(number)
    }

    /// Tells the listener that another node has changed a log.
    pub fn tell(&self, name: &ChannelName) {
        let listener = self.lock().listener.clone();
        listener.into_iter().for_each(|listener| listener.changed(name));
    }

    /// Makes a request.
    fn request<T: Fallible>(
        &self,
        seen: Seen,
        run: impl FnOnce(&S) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let Seen { kind, name, .. } = seen.clone();
        let mut state = self.lock();
        let number = state.seen.len();
        state.seen.push(seen);
        let waits = |held: &Held| held.kind.changes() && !held.is_done && held.name == name;
        let waits = kind.changes() && state.held.iter().any(|(held, _)| waits(held));
        // It keeps its place behind the others.
        let fault = if waits { Some(Fault::HoldRequest) } else { state.next_fault(kind) };
        drop(state);
        let Some(fault) = fault else { return run(&self.inner) };
        let (responder, answer) = later();
        let mut request = Request::Waiting(Box::new(run), responder);
        if fault.carries_out() {
            request.carry_out(&self.inner);
        }
        if matches!(fault, Fault::HoldRequest | Fault::HoldAnswer) {
            let is_done = fault == Fault::HoldAnswer;
            self.lock().held.push((Held { number, kind, name, is_done }, Box::new(request)));
            self.news.notify_all();
        } else {
            Box::new(request).answer(Some(fault));
        }
        Answer::Later(answer)
    }

    fn finish(&self, number: usize, fault: Option<Fault>) -> bool {
        // Carried out, in order: what was made before it.
        let mut state = self.lock();
        let Some(place) = state.held.iter().position(|(held, _)| held.number == number) else { return false };
        let target = state.held[place].0.clone();
        let is_run = target.is_done || fault.is_none_or(Fault::carries_out);
        for (held, request) in &mut state.held {
            let is_before = held.number < number && held.kind.changes() && held.name == target.name;
            if is_run && target.kind.changes() && is_before && !held.is_done {
                request.carry_out(&self.inner);
                held.is_done = true;
            }
        }
        let (_, mut request) = state.held.remove(place);
        if is_run && !target.is_done {
            request.carry_out(&self.inner);
        }
        drop(state);
        // The answer runs code of the hub, so no lock is held.
        request.answer(fault);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<S> State<S> {
    fn next_fault(&mut self, kind: RequestKind) -> Option<Fault> {
        let planned = self.planned.iter_mut().find(|(planned, _)| *planned == kind);
        if let Some(fault) = planned.and_then(|(_, faults)| faults.pop_front()) {
            return Some(fault);
        }
        if let Some((_, fault)) = self.always.iter().find(|(always, _)| *always == kind) {
            return Some(*fault);
        }
        let (random, rates) = self.random.as_mut()?;
        let dice = random.below(100) as u64;
        if dice < rates.hold {
            return Some([Fault::HoldRequest, Fault::HoldAnswer][random.below(2)]);
        }
        (dice < rates.hold + rates.fail).then(|| Fault::FINAL[random.below(Fault::FINAL.len())])
    }
}

/// A request that is held, whatever it returns.
trait HeldRequest<S>: Send {
    fn carry_out(&mut self, inner: &S);
    fn answer(self: Box<Self>, fault: Option<Fault>);
}

type Run<S, T> = Box<dyn FnOnce(&S) -> Answer<T> + Send>;

enum Request<S, T> {
    Waiting(Run<S, T>, Responder<T>),
    Done(Answer<T>, Responder<T>),
    /// Only while it is carried out.
    Running,
}

impl<S, T: Fallible> HeldRequest<S> for Request<S, T> {
    fn carry_out(&mut self, inner: &S) {
        *self = match std::mem::replace(self, Self::Running) {
            Self::Waiting(run, responder) => Self::Done(run(inner), responder),
            other => other,
        };
    }

    fn answer(self: Box<Self>, fault: Option<Fault>) {
        let (answer, responder) = match *self {
            Self::Waiting(_, responder) => (None, responder),
            Self::Done(answer, responder) => (Some(answer), responder),
            Self::Running => return,
        };
        let unknown = || T::failed(Failed::unknown("the test lost the answer"));
        match (fault, answer) {
            (Some(Fault::DropRequest | Fault::DropAnswer), _) => drop(responder),
            (Some(Fault::Fail), None) => responder.answer(T::failed(Failed::clean("the test said so"))),
            (Some(Fault::Fail | Fault::LoseRequest | Fault::LoseAnswer), _) | (_, None) => {
                responder.answer(unknown());
            }
            (_, Some(answer)) => answer.pass_to(responder),
        }
    }
}

/// A result that can be a failure of the store.
trait Fallible: Send + 'static {
    fn failed(failed: Failed) -> Self;
}

impl<T: Send + 'static, E: From<Failed> + Send + 'static> Fallible for Result<T, E> {
    fn failed(failed: Failed) -> Self {
        Err(failed.into())
    }
}

fn seen(kind: RequestKind, name: &ChannelName) -> Seen {
    Seen { kind, name: Some(name.clone()), since: None }
}

impl<S: Store> Store for FaultyStore<S> {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        let asked = name.clone();
        self.request(seen(RequestKind::Open, name), move |inner| inner.open(&asked, now_ms))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.inner.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let asked = name.clone();
        self.request(seen(RequestKind::Append, name), move |inner| inner.append(&asked, append))
    }

    fn is_known(&self, name: &ChannelName, once: &Once, now_ms: u64) -> bool {
        self.inner.is_known(name, once, now_ms)
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        let asked = name.clone();
        let seen = Seen { since: Some(since), ..seen(RequestKind::Read, name) };
        self.request(seen, move |inner| inner.read(&asked, since, budget, now_ms))
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        let asked = name.clone();
        self.request(seen(RequestKind::Create, name), move |inner| inner.create(&asked, create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        let asked = name.clone();
        self.request(seen(RequestKind::Delete, name), move |inner| inner.delete(&asked, now_ms))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        let asked = name.clone();
        self.request(seen(RequestKind::Touch, name), move |inner| inner.touch(&asked, now_ms))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        let seen = Seen { kind: RequestKind::Sweep, name: None, since: None };
        self.request(seen, move |inner| inner.sweep(now_ms))
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.lock().listener = Some(listener.clone());
        self.inner.listen(listener);
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}
