//! The handlers that the public web-platform-tests expect of a server, so that its suites
//! `eventsource/` and `websockets/` can be aimed at Tidewire:
//! `cargo run -p tidewire-examples --example wpt_server -- 127.0.0.1:8666`.
//!
//! `eventsource/` asks for them below the origin of the page: serve the suite's files yourself, and
//! pass `/eventsource/resources/` on to here. `websockets/` wants an address: substitute this one's
//! port for the `ports[ws][0]` of its templates.
//!
//! EventSource, under `/eventsource/resources/`:
//!
//! | handler | answers |
//! |---|---|
//! | `message.py?mime&message&newline&sleep` | `message` as it stands and a blank line (none with `newline=none`), as `mime`, after `sleep` ms |
//! | `message2.py` | events, comments and unknown fields, piece by piece every two seconds, without end |
//! | `last-event-id.py?idvalue` | an event with that id; to who comes back, an event with the `Last-Event-ID` that was sent |
//! | `last-event-id2.py?type` | ids that persist (1), are reset by an empty `id:` (2), by an `id` without a colon (3) |
//! | `status-error.py?status` | that status, with an event |
//! | `status-reconnect.py?status&id&ok_first` | that status and a `retry:`, and once more 200 with an event; a cookie tells which |
//! | `reconnect-fail.py?id` | `opened`, then `reconnected`, then 204; a cookie tells which |
//! | `cors.py?run&origin&credentials` | `message`, `status-reconnect`, `redirect` or `cache-control`, with the fields of CORS |
//! | `cors-cookie.py?ident&origin&credentials` | whether the cookie came: set by the first answer, unset by the second; no stream the third time |
//! | `accept.event_stream`, `cache-control.event_stream` | an event with that field of the request |
//!
//! WebSocket; unless it says otherwise, the server then closes with 1000, and a close of the
//! client's is echoed with its code and reason:
//!
//! | handler | does |
//! |---|---|
//! | `/echo` | echoes; speaks `echo`; closes after the echo of `Goodbye` |
//! | `/echo_raw` | writes what messages hold to the socket, as it stands; ends after `exit` |
//! | `/empty-message` | says `pass` if the first message is an empty text, else `fail` |
//! | `/protocol`, `/protocol_array` | chooses the first subprotocol offered, and says it |
//! | `/origin`, `/echo-query`, `/echo-cookie` | says the `Origin`, what stands after `?`, the `Cookie` or `(none)` |
//! | `/remote-close?code&reason&abrupt` | closes so; with `abrupt`, pings and hangs up without a close |
//! | `/delayed-passive-close` | answers a close a second later |
//! | `/passive-close-abort` | answers a close by hanging up |
//! | `/receive-many-with-backpressure` | waits 100 ms before each message, and says its length |
//! | `/send-backpressure` | sends 16 MiB in 16 messages, and says how many seconds it took |
//! | `/set-cookie?name`, `/set-cookie-secure?name`, `/set-cookie_http?name` | sets the cookie `ws_test_name`; waits for a message |
//! | `/set-cookies-samesite?value&clear` | sets a cookie of each kind of `SameSite`; waits for a message |
//! | `/msg_channel?uuid&direction` | a queue from those who `write` to the one who may `read` |
//! | `/basic_auth` | 401 without `foo` and `bar` |
//! | `/handshake_no_extensions`, `/handshake_sleep_2` | agrees on no extension; answers after two seconds |
//! | `/simple_handshake` | 101 and a close (1001, `PASS`) in one packet |
//! | `/wrong_accept_key` | 101 with a wrong `Sec-WebSocket-Accept` |
//! | `/invalid` | something that is no HTTP, before the 101 |
//!
//! All else is 404. There is no protection here: for tests, on loopback.

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
    /// Turns true when the server stops.
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

    /// A task for each connection, on the worker that accepted it. It ends when the client is gone
    /// or the server stops.
    fn detached(&self, connection: Parked, ticket: Ticket) {
        let (mut stop, queues) = (self.stop.subscribe(), self.queues.clone());
        tokio::task::spawn_local(async move {
            let io = connection.into_io();
            let serve = async {
                // An error means that the client is gone, and there is nobody to tell.
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
