//! The decoder of the HTTP messages of one direction: the connection of http1, in the role of their
//! recipient.
//!
//! Such a connection reads in turns: a server reads the next request when it has answered the last
//! one, and a client reads a response when it has asked for one. Here nobody sends, so each turn of
//! the other side is taken with a message that goes nowhere.

use tidewire_http1::{
    BodyLength, Client, Connection, Error, Event, FieldBlock, Fields, Limits, Request, Response, Server,
};

use crate::direction::Direction;
use crate::request_context::RequestContext;

/// Decodes requests as a server does, or responses as a client does.
#[derive(Debug)]
pub(crate) enum HttpDecoder {
    Requests(Box<Connection<Server>>),
    Responses(Box<Connection<Client>>),
}

impl HttpDecoder {
    pub(crate) fn new(direction: Direction, limits: Limits) -> Self {
        match direction {
            Direction::Up => Self::Requests(Box::new(Connection::new(limits))),
            Direction::Down => Self::Responses(Box::new(Connection::new(limits))),
        }
    }

    pub(crate) fn decode<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        match self {
            Self::Requests(server) => server.decode(input, fields),
            Self::Responses(client) => client.decode(input, fields),
        }
    }

    /// Whether the next message is a response to a request that was given already.
    pub(crate) fn expects_response(&self) -> bool {
        matches!(self, Self::Responses(client) if client.is_sent())
    }

    /// The next message is the response to this request, unless one to an earlier request is
    /// expected.
    pub(crate) fn expect_response(&mut self, request: &RequestContext) {
        match self {
            Self::Responses(client) if !client.is_sent() => send_request(client, request),
            Self::Responses(_) | Self::Requests(_) => {}
        }
    }

    /// The message is complete; whether another one can follow.
    pub(crate) fn next_message(&mut self) -> bool {
        match self {
            Self::Requests(server) => {
                send_response(server);
                server.next_exchange()
            }
            Self::Responses(client) => client.next_exchange(),
        }
    }

    /// The input has ended.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        match self {
            Self::Requests(server) => server.finish().map(|_| ()),
            Self::Responses(client) => client.finish().map(|_| ()),
        }
    }
}

fn send_request(client: &mut Connection<Client>, request: &RequestContext) {
    let mut out = Vec::new();
    let mut block = FieldBlock::new();
    if request.upgrade.is_some() {
        block.push("Upgrade", "websocket").expect("a token");
    }
    if request.closes {
        client.close();
    }
    let (method, target) = match (request.is_head, request.is_connect) {
        (true, _) => ("HEAD", "/"),
        (_, true) => ("CONNECT", "host:80"),
        _ => ("GET", "/"),
    };
    let blocks = [&block];
    let request = Request::new(method, target, "host").with_fields(&blocks);
    let sent =
        client.send_request(&request, BodyLength::Empty, &mut out).and_then(|()| client.send_end(&mut out));
    debug_assert!(sent.is_ok(), "{sent:?}");
}

fn send_response(server: &mut Connection<Server>) {
    let mut out = Vec::new();
    // A 2xx would make a tunnel of a CONNECT.
    let response = Response::new(404);
    let sent =
        server.send_head(&response, BodyLength::Empty, &mut out).and_then(|()| server.send_end(&mut out));
    debug_assert!(sent.is_ok(), "{sent:?}");
}
