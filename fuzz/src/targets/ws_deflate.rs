//! Any bytes as compressed frames: the same however they are cut, no message over its limit. And any bytes as messages to
//! compress: they come back, whatever was negotiated and in whatever order.

use super::ws_subject::Messages;
use tidewire_testkit::split;
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::{Connection, Event, Limits, PreparedMessage, Role};

/// The first byte chooses what was negotiated.
pub fn run(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let bits = 9 + choice % 7;
    let params = Params {
        server_no_context_takeover: choice & 0x80 == 0,
        client_no_context_takeover: choice & 0x80 == 0,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let config = Config { threshold: 0, level: 1 + choice / 7 % 9, ..Config::DEFAULT };
    let limits = Limits { max_message: 5000, ..Limits::DEFAULT };
    let connection = |role| Connection::new(role, limits).with_deflate(params, &config);

    split::quick(|| Messages::new(connection(Role::Client)), data);
    split::quick(|| Messages::joining(connection(Role::Client).in_pieces()), data);
    let (mut client, mut input, mut at) = (connection(Role::Client), data.to_vec(), 0);
    while let Ok((n, Some(event))) = client.decode(&mut input[at..]) {
        at += n;
        match event {
            Event::Text(text) => assert!(text.len() <= 5000),
            Event::Binary(data) => assert!(data.len() <= 5000),
            _ => {}
        }
    }

    let (mut server, mut client) = (connection(Role::Server), connection(Role::Client));
    for (i, message) in data.split(|byte| *byte == b'|').enumerate() {
        let message = &message[..message.len().min(5000)];
        let mut wire = Vec::new();
        if i % 3 == 2 {
            let prepared = PreparedMessage::binary(message);
            wire.extend_from_slice(server.send_prepared(&prepared).expect("open"));
        } else {
            server.send_binary(message, [0; 4], &mut wire).expect("open");
        }
        let len = wire.len();
        assert_eq!(client.decode(&mut wire), Ok((len, Some(Event::Binary(message)))));
    }
}
