//! Runs every example: finite ones to their end, servers on a free port with clients from other
//! projects. Here are the examples of one technique, and of one crate alone.

#![allow(clippy::unwrap_used)]

mod drawings;
mod other_servers;
mod running;
mod servers;
mod sse;
mod uses;
mod websockets;
mod wpt_server;

use running::{Running, has};

fn run(name: &'static str) -> String {
    Running::start(name, &[]).end()
}

mod techniques {
    use super::{has, run};

    const EVERYTHING: &str = "received: one, two, three, four\n";

    #[test]
    fn short_polling() {
        has(
            &run("01_short_polling"),
            &[
                "> GET /c/demo?since=earliest",
                "< HTTP/1.1 200",
                "connection closed",
                "HTTP/1.1 304",
                "HTTP/1.1 200",
                EVERYTHING,
            ],
        );
    }

    #[test]
    fn long_polling() {
        let printed = run("02_long_polling");
        has(
            &printed,
            &["wait=25", "connection closed", "· waiting", "· published: four", "HTTP/1.1 200", EVERYTHING],
        );
        assert_eq!(printed.matches("> GET").count(), 3, "one request for each answer");
    }

    #[test]
    fn sse() {
        let printed = run("03_sse");
        has(
            &printed,
            &["Accept: text/event-stream", "< data: two", "connection closed", "> Last-Event-ID: "],
        );
        has(&printed, &["< data: three", "· published: four", "< data: four", EVERYTHING]);
    }

    #[test]
    fn websocket() {
        let printed = run("04_websocket");
        has(
            &printed,
            &["> Upgrade: websocket", "< HTTP/1.1 101", "< 81 2", "> 88 82 ", "< 88 02", "connection closed"],
        );
        has(&printed, &["connection closed", "· published: four", EVERYTHING]);
    }

    #[test]
    fn streaming() {
        let printed = run("05_streaming");
        has(
            &printed,
            &["feed=stream", "(a chunk of ", "\"data\":\"two\"", "connection closed", "· published: four"],
        );
        has(&printed, &["\"data\":\"four\"", EVERYTHING]);
    }
}

mod crates_alone {
    use super::{Running, has, run};

    #[test]
    fn grammar_fields() {
        let printed = run("grammar_fields");
        has(
            &printed,
            &["application/json\n    weight 1000", "note = a, \"b\"", "weight 0 of 1000: not wanted"],
        );
        has(&printed, &["\"say \\\"hi\\\", twice\"", "\"+5\"", "refused", "\"fF\"", "255"]);
    }

    #[test]
    fn chunked_body() {
        let printed = run("chunked_body");
        has(&printed, &["written: 4\\r\\ntide\\r\\n14\\r\\n", "data tide", "trailer Digest = sha-256=abc"]);
        has(&printed, &["end of the body", "left for the next message: GET /next"]);
        let (_, refused) = printed.split_once("refused:\n").unwrap();
        assert_eq!(refused.matches(" at byte ").count(), 5, "{refused}");
    }

    #[test]
    fn http1_client_and_server() {
        let (_server, address) = Running::serve("http1_server");
        let printed = Running::start("http1_client", &[&address, "/tide?high"]).end();
        has(&printed, &["GET /tide?high HTTP/1.1", "status 200 OK", "data   GET /tide?high HTTP/1.1"]);
        has(&printed, &["4\r\ntide\r\n4\r\nwire\r\n0\r\n", "status 200 OK", "POST", "4 bytes of body"]);
    }

    #[test]
    fn ws_frames() {
        let printed = run("ws_frames");
        // The masked and the unmasked "Hello" of RFC 6455 §5.7.
        has(&printed, &["> 81 85 37 fa 21 3d 7f 9f 4d 51 58\n", "\"Hello\"", "< 81 05 48 65 6c 6c 6f\n"]);
        has(&printed, &["< 8a 01 3f", "a whole message: \"tidewire\"", "close code 1002"]);
        has(&printed, &["closed: client true, server true"]);
    }

    #[test]
    fn sse_encode_decode() {
        let printed = run("sse_encode_decode");
        has(&printed, &["id: tide-42\nevent: high\ndata: 3.2 m\ndata: 14:05\n\n", "read back:"]);
        has(&printed, &["reconnect after 2000 ms", "high \"3.2 m\\n14:05\", id \"tide-42\"", "is refused"]);
    }

    #[test]
    fn channel_log() {
        let printed = run("channel_log");
        has(&printed, &["slow: 1 lost between 1ka-1 and 1ka-2", "slow: 1ka-4", "slow: continues"]);
        has(&printed, &["slow: starts again after 1kb-0 (unknown-epoch)", "slow: 1kb-1 \"calm\""]);
    }
}
