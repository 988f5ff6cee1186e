//! The decoder of the HTTP messages of one direction: a connection of http1 in the role of the
//! recipient.
//!
//! Such a connection takes turns: a server reads the next request after it has answered the last
//! one, and a client reads a response after it has sent a request. This decoder only reads. So when
//! it is the turn of the other side, it encodes a message for that side and discards the bytes.

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

    /// Returns whether the next message is a response to a request that was already set.
    pub(crate) fn expects_response(&self) -> bool {
        matches!(self, Self::Responses(client) if client.is_sent())
    }

    /// Sets the request of the next response, unless one is already set.
    pub(crate) fn expect_response(&mut self, request: &RequestContext) {
        match self {
            Self::Responses(client) if !client.is_sent() => send_request(client, request),
            Self::Responses(_) | Self::Requests(_) => {}
        }
    }

    /// Ends a complete message. Returns whether another message can follow.
    pub(crate) fn next_message(&mut self) -> bool {
        match self {
            Self::Requests(server) => {
                send_response(server);
                server.next_exchange().is_ok()
            }
            Self::Responses(client) => client.next_exchange().is_ok(),
        }
    }

    /// Takes the end of the input.
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
    let sent = client.send_request(&request, BodyLength::Empty, &mut out);
    debug_assert!(sent.is_ok(), "{sent:?}");
}

fn send_response(server: &mut Connection<Server>) {
    let mut out = Vec::new();
    // Not a 2xx: that would turn a CONNECT into a tunnel.
    let response = Response::new(404);
    let sent = server.send_head(&response, BodyLength::Empty, &mut out);
    debug_assert!(sent.is_ok(), "{sent:?}");
}
