//! Writes answers to the output of a connection, as far as possible without waiting.

use std::time::Instant;

use http_body::Body as _;
use tidewire_http1::{BodyLength, Connection, FieldBlock, Response as Head, Server};

use super::log;
use super::request_body::RequestBody;
use crate::output::Output;
use crate::response::ResponseBody;
use crate::shared::Shared;
use crate::{PreparedResponse, Problem, Response, StreamBody};

/// Everything that an answer is written with.
pub(super) struct ResponseWriter<'a> {
    pub(super) http: &'a mut Connection<Server>,
    pub(super) output: &'a mut Output,
    pub(super) shared: &'a Shared,
    pub(super) request_body: &'a RequestBody,
    pub(super) now: Instant,
    /// Whether answers to later requests follow, which were handled already. Then this answer
    /// closes the connection only if the handler says so.
    pub(super) more: bool,
}

/// How far an answer was written.
pub(super) enum Written {
    All,
    /// Only the head. This body comes next.
    Head(StreamBody),
    /// Only the head, because its status has no body. The handler gave a body nevertheless.
    Cut,
}

/// The response cannot be sent. Nothing was written.
pub(super) struct Unsendable;

impl ResponseWriter<'_> {
    #[inline]
    pub(super) fn respond(&mut self, response: Response) -> Result<Written, Unsendable> {
        let length = match &response.body {
            ResponseBody::Whole(content) => content.length(response.status),
            ResponseBody::Stream(body) => {
                body.size_hint().exact().map_or(BodyLength::Chunked, BodyLength::Length)
            }
        };
        self.send_head(&response, length, self.shared.limits.idle_seconds())?;
        let sent = match response.body {
            ResponseBody::Whole(content) => content.send(self.http, self.output),
            // The head is the whole answer: to a HEAD, or with a length of 0.
            ResponseBody::Stream(_) if self.http.is_sent() => return Ok(Written::All),
            ResponseBody::Stream(body) => return Ok(Written::Head(body)),
        };
        Ok(if sent.is_ok() { Written::All } else { Written::Cut })
    }

    /// Writes a prepared answer. It was checked when it was prepared.
    #[inline]
    pub(super) fn respond_shared(&mut self, prepared: &PreparedResponse) -> Result<(), Unsendable> {
        if self.must_close() {
            self.http.close();
        }
        let idle = self.shared.limits.idle_seconds();
        if !self.shared.draining.get()
            && prepared.send(self.http, self.shared.date.borrow_mut().get(self.now), idle, self.output.own())
        {
            return Ok(());
        }
        let length = BodyLength::Length(prepared.body.len() as u64);
        self.send_fields(prepared.status, &prepared.fields, length, idle)?;
        prepared.body.clone().send(self.http, self.output).map_err(|_| Unsendable)
    }

    /// Writes the last answer of the connection.
    pub(super) fn refuse(&mut self, problem: Problem) {
        self.http.close();
        let response = problem.into_response();
        if let ResponseBody::Whole(content) = &response.body
            && self.send_head(&response, BodyLength::Length(content.len() as u64), 0).is_ok()
        {
            let _ = content.clone().send(self.http, self.output);
        }
    }

    /// Writes the last answer of the connection, instead of one that cannot be sent.
    pub(super) fn refuse_unsendable(&mut self) {
        log::unsendable_response();
        self.refuse(Problem::new(
            500,
            "The server made an answer that cannot be sent. This is a fault of the server.",
        ));
    }

    /// Writes the head of an answer. `idle` is how many seconds the connection may be idle
    /// afterwards, or 0 if no further request comes on it.
    #[inline]
    pub(super) fn send_head(
        &mut self,
        response: &Response,
        length: BodyLength,
        idle: u32,
    ) -> Result<(), Unsendable> {
        if response.broken {
            return Err(Unsendable);
        }
        if response.close || self.must_close() {
            self.http.close();
        }
        self.send_fields(response.status, &response.fields, length, idle)
    }

    #[inline]
    fn must_close(&self) -> bool {
        self.request_body.cannot_be_drained(self.shared.limits.drain_bytes)
    }

    fn send_fields(
        &mut self,
        status: u16,
        fields: &FieldBlock,
        length: BodyLength,
        idle: u32,
    ) -> Result<(), Unsendable> {
        if self.shared.draining.get() && !self.more {
            self.http.close();
        }
        // Reserve once for a whole head.
        self.output.own().reserve(512);
        let mut date = self.shared.date.borrow_mut();
        let blocks = [date.get(self.now).0, fields];
        let head = Head::new(status).with_fields(&blocks).with_idle_timeout(idle);
        self.http.send_head(&head, length, self.output.own()).map_err(|_| Unsendable)
    }
}
