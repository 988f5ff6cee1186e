//! The answers of the writer: of a group that is committed, of one that has failed, and of requests
//! that are not tried.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidewire_store::{ChannelName, Opened};

use crate::request::{Failure, Reply, Request};
use crate::writer::{Health, Writer};

impl Writer {
    /// Why a group is not even tried.
    pub(crate) fn refuses(&self) -> Option<Failure> {
        match &self.health {
            Health::Good => None,
            Health::Full(at) => (at.elapsed() < self.tuning.full_retry).then_some(Failure::Full),
            Health::Stopped(failed) => Some(Failure::Failed(failed.clone())),
        }
    }

    /// Answers a request that is not tried.
    pub(crate) fn refuse(&mut self, request: Request, failure: &Failure) {
        let reply = match request {
            Request::Release { name, .. } => {
                if let Some(log) = self.logs.find(&name).and_then(|slot| self.logs.get_mut(slot)) {
                    log.is_open = false;
                }
                return;
            }
            Request::Read { request, respond } => Reply::Read(request, respond),
            Request::Open { name, now_ms, respond } => {
                let opened = self.open_shown(&name, now_ms);
                Reply::Open(name, now_ms, respond, opened)
            }
            Request::Append { respond, .. } => Reply::Append(respond, Err(failure.append())),
            Request::Create { respond, .. } => Reply::Create(respond, Err(failure.create())),
            Request::Delete { respond, .. } => Reply::Delete(respond, Err(failure.failed())),
            Request::Touch { respond, .. } => Reply::Touch(respond, Err(failure.failed())),
            Request::Sweep { respond, .. } => Reply::Sweep(respond, Err(failure.failed())),
        };
        self.replies.push(reply);
    }

    /// What there is under a name, as of the last commit.
    fn open_shown(&mut self, name: &ChannelName, now_ms: u64) -> Opened {
        if let Some(log) = self.logs.find(name).and_then(|slot| self.logs.get_mut(slot)) {
            if log.is_deleted {
                return Opened::SoftDeleted;
            }
            log.is_open = true;
            return Opened::Log(log.info());
        }
        let names = self.shared.names();
        if names.is_deleted(name, now_ms) {
            return Opened::Deleted;
        }
        Opened::Absent { start: names.start(name) }
    }

    /// Answers the requests of a group. `failure`: none was carried out.
    pub(crate) fn answer(&mut self, failure: Option<&Failure>) {
        let mut replies = std::mem::take(&mut self.replies);
        for reply in replies.drain(..) {
            // A panic drops the responder, which tells that there is no answer. The thread goes on.
            if catch_unwind(AssertUnwindSafe(|| self.answer_one(reply, failure))).is_err() {
                tracing::error!("whoever was told of an answer of the store has panicked");
            }
        }
        self.replies = replies;
    }

    fn answer_one(&mut self, reply: Reply, failure: Option<&Failure>) {
        match (reply, failure) {
            (Reply::Open(name, now_ms, respond, _), Some(_)) => {
                let opened = self.open_shown(&name, now_ms);
                respond.answer(Ok(opened));
            }
            (Reply::Open(_, _, respond, opened), None) => respond.answer(Ok(opened)),
            (Reply::Append(respond, _), Some(failure)) => respond.answer(Err(failure.append())),
            (Reply::Append(respond, result), None) => respond.answer(result),
            (Reply::Create(respond, _), Some(failure)) => respond.answer(Err(failure.create())),
            (Reply::Create(respond, result), None) => respond.answer(result),
            (Reply::Delete(respond, _), Some(failure)) => respond.answer(Err(failure.failed())),
            (Reply::Delete(respond, result), None) => respond.answer(result),
            (Reply::Touch(respond, _), Some(failure)) => respond.answer(Err(failure.failed())),
            (Reply::Touch(respond, result), None) => respond.answer(result),
            (Reply::Sweep(respond, _), Some(failure)) => respond.answer(Err(failure.failed())),
            (Reply::Sweep(respond, result), None) => respond.answer(result),
            (Reply::Read(request, respond), _) => self.reads.read(request, respond),
        }
    }
}
