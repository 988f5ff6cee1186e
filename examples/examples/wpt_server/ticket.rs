use tidewire_ws::{Connection, Server};

use crate::behaviour::Behaviour;

/// What happens on a connection after its head is written.
pub enum Ticket {
    /// The stream of `message2.py`.
    Endless,
    /// A WebSocket, and what the server does on it.
    WebSocket(Box<Connection<Server>>, Behaviour),
}
