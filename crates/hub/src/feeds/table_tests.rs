//! The table of `mod.rs` says what each feed writes. These tests write it.

use tidewire_ws::{Client, Connection, Event, Limits};

use super::feed::{ChannelEnd, Discontinuity, Ending, Flow};
use super::{Delivery, FeedName, HttpFormat, StreamFormat};

/// The rows of the table: the label, and the cells after the message.
fn rows() -> Vec<(&'static str, [&'static str; 6])> {
    let lines = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let cells = lines.map(|line| line.trim_end_matches(" |").split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| cells[0] != "`feed=`")
        .map(|cells| {
            let [label, _, _, _, cells @ ..] = &cells[..] else { panic!("{cells:?}") };
            (*label, cells.try_into().unwrap_or_else(|_| panic!("{cells:?}")))
        })
        .collect()
}

/// Every stream, with its label in the table.
fn streams() -> Vec<(String, StreamFormat)> {
    let mut all = Vec::new();
    for (feed, name) in FeedName::ALL.iter().zip(FeedName::NAMES) {
        if let Delivery::Stream(format) = feed.delivery(false) {
            all.push((format!("`{name}`"), StreamFormat::Http(format)));
        }
    }
    all.push(("`sse` with `objects=1`".to_owned(), StreamFormat::Http(HttpFormat::SseObjects)));
    for deflate in [false, true] {
        all.push(("WebSocket, bare".to_owned(), StreamFormat::WsBare { deflate }));
        all.push(("WebSocket, `tidewire.v1`".to_owned(), StreamFormat::WsV1 { deflate }));
    }
    all
}

/// Bytes of a feed as the table shows them.
fn shown(format: StreamFormat, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing more".to_owned();
    }
    if let StreamFormat::Http(_) = format {
        return format!("`{}`", bytes.escape_ascii());
    }
    let (mut bytes, mut at, mut frames) = (bytes.to_vec(), 0, Vec::new());
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    while let (used, Some(event)) = client.decode(&mut bytes[at..]).unwrap() {
        at += used;
        frames.push(match event {
            Event::Ping(b"") => "ping".to_owned(),
            Event::Text(text) => format!("`{text}`"),
            Event::Close { code: Some(code), .. } => format!("close {code}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(at, bytes.len());
    frames.join(", ")
}

#[test]
fn the_table_has_a_row_for_each_feed_and_no_other() {
    let mut labels: Vec<_> = FeedName::NAMES.iter().map(|name| format!("`{name}`")).collect();
    labels.extend(streams().into_iter().map(|(label, _)| label));
    for label in &labels {
        assert!(
            rows().iter().any(|(row, _)| row == label),
            "feed {label}: add a row to the table in crates/hub/src/feeds/mod.rs"
        );
    }
    for (row, _) in rows() {
        assert!(labels.iter().any(|label| label == row), "crates/hub/src/feeds/mod.rs: no feed is {row}");
    }
}

#[test]
fn the_table_says_what_each_feed_writes() {
    for (label, format) in streams() {
        let rows = rows();
        let Some((_, [gap, heartbeat, stop, ended, all_ended, deleted])) =
            rows.iter().find(|(row, _)| *row == label)
        else {
            panic!("feed {label}: add a row to the table in crates/hub/src/feeds/mod.rs");
        };
        let feed = format.feed();
        let place = format!("feed {label}: correct its row in the table in crates/hub/src/feeds/mod.rs");
        let (mut beat, mut last, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        feed.heartbeat(&mut beat);
        assert!(!beat.is_empty(), "feed {label}: proxies cut a stream without heartbeats");
        let same = |column: &str, says: &str, bytes: &[u8]| {
            let writes = shown(format, bytes);
            assert!(says == writes, "{place}, {column}: the table says {says}, the feed writes {writes}");
        };
        same("heartbeat", heartbeat, &beat);
        for (column, says, ending) in [
            ("the server stops", stop, Ending::Stop { retry_ms: 7 }),
            ("all have ended", all_ended, Ending::AllEnded),
        ] {
            last.clear();
            feed.end(&mut last, &ending);
            same(column, says, &last);
        }
        let (mut unit, mut cut) = (Vec::new(), Vec::new());
        feed.end_of_channel(&mut unit, &ChannelEnd { cursor: "e-5", channel: Some("c") });
        feed.end(&mut cut, &Ending::Deleted { channel: Some("c") });
        for (column, says, bytes) in [("a channel has ended", ended, &unit), ("deleted", deleted, &cut)] {
            let written = String::from_utf8_lossy(bytes);
            let is_object = written.contains("\"type\":") || written.contains("\"c\"");
            assert!(
                is_object == (says.starts_with("a ") || says.starts_with("`event: ")),
                "{place}, {column}: the table says {says}, the feed writes {written:?}"
            );
            match says.split_once(['`', ' ']) {
                Some(("", event)) if event.starts_with("event: ") => {
                    assert!(written.contains(event.trim_end_matches('`')), "{place}, {column}: {written:?}");
                }
                _ if *says == "–" => assert!(bytes.is_empty(), "{place}, {column}: {written:?}"),
                _ if !is_object => same(column, says, bytes),
                _ => {}
            }
            if let Some((_, code)) = says.split_once("close ") {
                let code: u16 = code.parse().unwrap();
                let has_code = bytes.windows(2).any(|two| *two == code.to_be_bytes());
                assert!(has_code, "{place}, {column}: the feed does not close with {code}");
            }
        }
        let flow = feed.discontinuity(&mut lost, &Discontinuity::Gap { from: "e-1", missed: 3 }, "e-4");
        if flow == Flow::End {
            same("gap", gap, &lost);
        } else {
            let written = String::from_utf8_lossy(&lost);
            let says = written.contains("e-4");
            assert!(says, "feed {label}: a gap must say the cursor to go on from: {written}");
            assert!(!gap.starts_with("close"), "{place}: gap");
        }
    }
}

#[test]
fn feeds_that_are_no_streams_have_no_heartbeat() {
    for (feed, name) in FeedName::ALL.iter().zip(FeedName::NAMES) {
        if let Delivery::Stream(_) = feed.delivery(false) {
            continue;
        }
        let rows = rows();
        let row = rows.iter().find(|(label, _)| *label == format!("`{name}`"));
        assert_eq!(row.expect("a row for each feed").1[1], "–", "{name}");
    }
}
