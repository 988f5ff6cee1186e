//! The handlers that the public web-platform-tests expect of a server. With them, the suites
//! `eventsource/` and `websockets/` can test Tidewire.
//!
//! ```text
//! cargo run -p tidewire-examples --example wpt_server -- 127.0.0.1:8666
//! ```
//! `eventsource/` requests the handlers from the origin of its page: serve the files of the suite
//! yourself, and pass `/eventsource/resources/` on to this server. `websockets/` needs a port:
//! replace `ports[ws][0]` in its templates by the port of this server.
//!
//! EventSource, under `/eventsource/resources/`:
//!
//! | handler | answers |
//! |---|---|
//! | `message.py?mime&message&newline&sleep` | `message` unchanged and a blank line (none with `newline=none`), as `mime`, after `sleep` ms |
//! | `message2.py` | events, comments and unknown fields in pieces, every two seconds, without end |
//! | `last-event-id.py?idvalue` | an event with that id; after a reconnect, an event with the `Last-Event-ID` of the request |
//! | `last-event-id2.py?type` | ids that persist (1), are reset by an empty `id:` (2) or by an `id` without a colon (3) |
//! | `status-error.py?status` | that status, with an event |
//! | `status-reconnect.py?status&id&ok_first` | first that status and a `retry:`, then 200 with an event; a cookie keeps the state |
//! | `reconnect-fail.py?id` | `opened`, then `reconnected`, then 204; a cookie keeps the state |
//! | `cors.py?run&origin&credentials` | `message`, `status-reconnect`, `redirect` or `cache-control`, with CORS fields |
//! | `cors-cookie.py?ident&origin&credentials` | whether the cookie came; the first answer sets it, the second removes it, the third is no stream |
//! | `accept.event_stream`, `cache-control.event_stream` | an event with that field of the request |
//!
//! WebSocket. Unless the table says otherwise, the server closes with 1000 at the end, and echoes a
//! close of the client with its code and reason:
//!
//! | handler | does |
//! |---|---|
//! | `/echo` | echoes; has the subprotocol `echo`; closes after the echo of `Goodbye` |
//! | `/echo_raw` | writes the content of messages to the socket, unchanged; ends after `exit` |
//! | `/empty-message` | sends `pass` if the first message is an empty text, else `fail` |
//! | `/protocol`, `/protocol_array` | chooses the first offered subprotocol, and sends its name |
//! | `/origin`, `/echo-query`, `/echo-cookie` | sends the `Origin`, the query, the `Cookie` or `(none)` |
//! | `/remote-close?code&reason&abrupt` | closes with that code and reason; with `abrupt`, sends a ping and disconnects without a close |
//! | `/delayed-passive-close` | answers a close one second later |
//! | `/passive-close-abort` | answers a close by disconnecting |
//! | `/receive-many-with-backpressure` | waits 100 ms before it reads each message, and sends the length |
//! | `/send-backpressure` | sends 16 MiB in 16 messages, and then how many seconds it took |
//! | `/set-cookie?name`, `/set-cookie-secure?name`, `/set-cookie_http?name` | sets the cookie `ws_test_name`; waits for a message |
//! | `/set-cookies-samesite?value&clear` | sets a cookie of each kind of `SameSite`; waits for a message |
//! | `/msg_channel?uuid&direction` | a queue from many clients that `write` to one client that may `read` |
//! | `/basic_auth` | 401 unless the user is `foo` with the password `bar` |
//! | `/handshake_no_extensions`, `/handshake_sleep_2` | agrees on no extension; answers after two seconds |
//! | `/simple_handshake` | 101 and a close (1001, `PASS`) in one packet |
//! | `/wrong_accept_key` | 101 with a wrong `Sec-WebSocket-Accept` |
//! | `/invalid` | something that is not HTTP, before the 101 |
//!
//! Everything else is 404. The server has no protection: use it for tests on loopback only.

mod behaviour;
mod eventsource;
mod msg_channel;
mod query;
mod socket;
mod ticket;
mod websocket;

use std::sync::Arc;

use tidewire_server::{Handler, Listen, Parked, Problem, Reply, Request, Server, Signals};
use tokio::sync::watch;

use msg_channel::Queues;
use ticket::Ticket;

struct WptServer {
    queues: Arc<Queues>,
    /// Becomes true when the server stops.
    stop: watch::Sender<bool>,
}

impl Handler for WptServer {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        let path = String::from_utf8_lossy(request.head.path()).into_owned();
        let reply = match path.strip_prefix("/eventsource/resources/") {
            Some(name) => eventsource::answer(name, request.head),
            None => websocket::answer(&path, request.head),
        };
        reply.unwrap_or_else(|problem: Problem| problem.into_response().into())
    }

    /// Starts a task for each connection, on the worker that accepted it. The task ends when the
    /// client is gone or the server stops.
    fn detached(&self, connection: Parked, ticket: Ticket) {
        let (mut stop, queues) = (self.stop.subscribe(), self.queues.clone());
        tokio::task::spawn_local(async move {
            let io = connection.into_io();
            let serve = async {
                // An error means that the client is gone.
                let _ = match ticket {
                    Ticket::Endless => eventsource::endless(io).await,
                    Ticket::WebSocket(connection, behaviour) => {
                        behaviour::run(io, *connection, behaviour, &queues).await
                    }
                };
            };
            tokio::select! {
                () = serve => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    fn drain(&self) {
        self.stop.send_replace(true);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8666").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("wpt_server on http://{}", server.addresses()[0]);
    let queues = Arc::new(Queues::default());
    let make = move |_| WptServer { queues: queues.clone(), stop: watch::Sender::new(false) };
    server.serve(make)?.join_until(signals)?;
    Ok(())
}
