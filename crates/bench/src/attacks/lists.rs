//! Readers whose channel lists are all different, or all the same: the cost of one message for all
//! of them, and the memory for readers that do not read.

use std::io::Result;

use super::bulk_readers::BulkReaders;
use super::clients::{Coding, Feed, open, open_narrow, post, request};
use super::ordinary::{pipeline, publish};
use super::row::{Attack, Outcome, Row, Setup};

/// The messages that are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// One megabyte. Each byte takes six bytes as JSON text.
    Escapes,
    /// One megabyte of lines.
    Text,
    /// A thousand messages of one kilobyte.
    Many,
}

/// What the readers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readers {
    Reading,
    Silent,
}

/// A message and its readers.
#[derive(Clone, Copy, Debug)]
struct Lists {
    feed: Feed,
    coding: Coding,
    content: Content,
    readers: Readers,
    distinct: bool,
}

pub(super) fn rows() -> Vec<Row> {
    use Coding::{Compressed, Plain};
    use Content::{Escapes, Many, Text};
    use Feed::{Bare, LongPoll, Sse, Stream, V1};
    use Readers::{Reading, Silent};
    let list = |feed, coding, content, readers, distinct| Lists { feed, coding, content, readers, distinct };
    let mut all = Vec::new();
    let kinds = [
        (Bare, Plain),
        (Bare, Compressed),
        (V1, Plain),
        (V1, Compressed),
        (Sse, Plain),
        (Sse, Compressed),
        (Stream, Plain),
        (Stream, Compressed),
        (LongPoll, Plain),
    ];
    for (feed, coding) in kinds {
        all.push(list(feed, coding, Escapes, Reading, true));
        all.push(list(feed, coding, Escapes, Silent, true));
        all.push(list(feed, coding, Many, Reading, true));
    }
    for (feed, coding) in [(V1, Compressed), (Sse, Plain), (Stream, Compressed), (LongPoll, Plain)] {
        all.push(list(feed, coding, Text, Reading, true));
        all.push(list(feed, coding, Text, Silent, true));
        // The cost for readers that share a list.
        all.push(list(feed, coding, Escapes, Reading, false));
        all.push(list(feed, coding, Escapes, Silent, false));
        all.push(list(feed, coding, Many, Reading, false));
    }
    let mut rows: Vec<Row> = all.into_iter().map(Lists::row).collect();
    rows.push(Row::new("lists sixteen stream many reading", &[], sixteen));
    rows.push(Row::new("lists latecomers stream escapes reading", &[], latecomers));
    rows.push(Row::new("lists leaving v1", &[], leaving));
    for feed in [Feed::Poll, LongPoll, Stream, Sse, V1] {
        rows.push(Row::new(format!("copies {} escapes silent", name(feed)), &[], move |setup| {
            copies(setup, feed)
        }));
    }
    rows
}

fn name(feed: Feed) -> &'static str {
    match feed {
        Feed::Bare => "bare",
        Feed::V1 => "v1",
        Feed::Sse => "sse",
        Feed::Stream => "stream",
        Feed::LongPoll => "longpoll",
        Feed::Poll => "poll",
    }
}

impl Lists {
    fn row(self) -> Row {
        let coding = match (self.coding, self.feed) {
            (Coding::Plain, _) => "plain",
            (Coding::Compressed, Feed::Bare | Feed::V1) => "deflate",
            (Coding::Compressed, _) => "gzip",
        };
        let lists = if self.distinct { "distinct" } else { "equal" };
        let words = format!("{:?} {:?}", self.content, self.readers).to_lowercase();
        let name = format!("lists {lists} {} {coding} {words}", name(self.feed));
        Row::new(name, &[], move |setup| self.prepare(setup))
    }

    fn prepare(self, setup: &mut Setup<'_>) -> Result<Attack> {
        let mut streams = Vec::new();
        for n in 0..setup.connections {
            let channels = if self.distinct { format!("hot,u{n}") } else { "hot,u".to_owned() };
            let request = request(self.feed, self.coding, &channels, "");
            let open = if self.readers == Readers::Silent { open_narrow } else { open };
            streams.push(open(&setup.server.address, &request)?);
        }
        match self.readers {
            Readers::Reading => setup.held.push(Box::new(BulkReaders::read(streams))),
            Readers::Silent => setup.held.push(Box::new(streams)),
        }
        Ok(Box::new(move |setup| {
            match self.content {
                Content::Escapes => publish(setup.server, "hot", &escapes())?,
                Content::Text => publish(setup.server, "hot", &text(1 << 20))?,
                Content::Many => publish_many(setup, "hot")?,
            }
            Ok(Outcome::default())
        }))
    }
}

/// One megabyte of U+0001.
fn escapes() -> Vec<u8> {
    vec![1; 1 << 20]
}

/// Lines that differ from each other.
fn text(len: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0_u32..)
        .flat_map(|n| format!("line {n}: \"{:08x}\"\n", n.wrapping_mul(0x9e37_79b9)).into_bytes())
        .take(len)
        .collect();
    text.truncate(len);
    text
}

/// A thousand messages of one kilobyte.
fn publish_many(setup: &Setup<'_>, channel: &str) -> Result<()> {
    let requests = post(channel, &text(1024)).repeat(1_000);
    pipeline(setup.server, requests, 1_000).map(|_| ())
}

/// Each reader has sixteen channels, and all get a message at the same time.
fn sixteen(setup: &mut Setup<'_>) -> Result<Attack> {
    let names: Vec<String> = (0..15).map(|n| format!("c{n}")).collect();
    let mut streams = Vec::new();
    for n in 0..setup.connections {
        let channels = format!("{},u{n}", names.join(","));
        streams.push(open(&setup.server.address, &request(Feed::Stream, Coding::Plain, &channels, ""))?);
    }
    setup.held.push(Box::new(BulkReaders::read(streams)));
    Ok(Box::new(move |setup| {
        let round: Vec<u8> = names.iter().flat_map(|name| post(name, &text(100))).collect();
        pipeline(setup.server, round.repeat(60), 60 * names.len())?;
        Ok(Outcome::default())
    }))
}

/// Readers that all connect at the same time and start at the oldest message, each with its own
/// list.
fn latecomers(setup: &mut Setup<'_>) -> Result<Attack> {
    publish(setup.server, "hot", &escapes())?;
    Ok(Box::new(|setup| {
        let mut streams = Vec::new();
        for n in 0..setup.connections {
            let request = request(Feed::Stream, Coding::Plain, &format!("hot,u{n}"), "since=earliest");
            streams.push(open(&setup.server.address, &request)?);
        }
        setup.held.push(Box::new(BulkReaders::read(streams)));
        Ok(Outcome::default())
    }))
}

/// Readers with their own lists that all leave at the same time.
fn leaving(setup: &mut Setup<'_>) -> Result<Attack> {
    let mut streams = Vec::new();
    for n in 0..setup.connections {
        let request = request(Feed::V1, Coding::Plain, &format!("hot,u{n}"), "");
        streams.push(open(&setup.server.address, &request)?);
    }
    Ok(Box::new(move |_| {
        drop(streams);
        // Also waits for the tick that cleans up.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        Ok(Outcome::default())
    }))
}

/// Short requests for a long message. The answers are not read.
fn copies(setup: &mut Setup<'_>, feed: Feed) -> Result<Attack> {
    publish(setup.server, "hot", &escapes())?;
    Ok(Box::new(move |setup| {
        let mut streams = Vec::new();
        for _ in 0..setup.connections.min(100) {
            let request = request(feed, Coding::Plain, "hot", "since=earliest");
            streams.push(open_narrow(&setup.server.address, &request)?);
        }
        setup.held.push(Box::new(streams));
        Ok(Outcome::default())
    }))
}
