//! What a connection reports about an unfinished message, for deadlines of the caller.

use tidewire_ws::{Client, Connection, Limits};

/// Two messages, with control frames between the fragments. For each byte there is the number of
/// payload bytes of its message that were received up to it.
const INPUT: [(&[u8], &[u64]); 7] = [
    (b"\x01\x03Hel", &[0, 0, 1, 2, 3]),
    (b"\x89\x02hi", &[3, 3, 3, 3]),
    (b"\x00\x00", &[3, 3]),
    (b"\x8a\x00", &[3, 3]),
    (b"\x80\x02lo", &[3, 3, 4, 0]),
    (b"\x89\x01x", &[0, 0, 0]),
    (b"\x82\x02xy", &[0, 0, 1, 0]),
];

#[test]
fn unfinished_len_counts_the_received_bytes_of_a_message() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut input = Vec::new();
    for (frame, came) in INPUT {
        for (byte, came) in frame.iter().zip(came) {
            input.push(*byte);
            loop {
                let (n, event) = client.decode(&mut input).unwrap();
                let more = event.is_some();
                input.drain(..n);
                if !more {
                    break;
                }
            }
            assert_eq!(client.unfinished_len(), *came, "{frame:x?}");
        }
    }
}

/// The bytes of a finished message do not count for the next one.
#[test]
fn the_message_limit_applies_to_each_message_separately() {
    let limits = Limits::DEFAULT.with_max_message(4).with_max_frame(4);
    let mut client = Connection::<Client>::new(limits);
    for frame in [&b"\x01\x02ab"[..], b"\x80\x02cd", b"\x81\x04abcd", b"\x01\x04abcd"] {
        client.decode(&mut frame.to_vec()).unwrap();
    }
    assert!(client.decode(&mut b"\x80\x01e".to_vec()).is_err());
}
