//! Cached forms do not change what readers get. Every format is compared with a simple encoder, and
//! compressed output with what it inflates to.

use std::io::Read;
use std::sync::Arc;

use fastrand::Rng;
use flate2::read::GzDecoder;
use tidewire_channel::Budget;
use tidewire_chunked::ChunkHead;
use tidewire_sse::EventFields;
use tidewire_store::{ChannelName, Message};
use tidewire_ws::deflate::Params;
use tidewire_ws::{Client, Connection, Kind, Limits, encode_message};

use crate::feeds::{Delivery, FeedName, HttpFormat, StreamFormat, Wire, boundary, ws};
use crate::form::FormKind;
use crate::form_cache::FormCache;
use crate::gzip::{self, Sum};
use crate::hub::Hub;
use crate::json_text::Place;
use crate::object::write_message_head;
use crate::out::{DEFLATED_LEN, SHARED_LEN};
use crate::positions::{Channels, Positions, Start};
use crate::reader::Bounds;
use crate::shape::Shape;
use crate::{HubConfig, Retention};

const WS_BARE: StreamFormat = StreamFormat::WsBare { deflate: false };
const WS_V1: StreamFormat = StreamFormat::WsV1 { deflate: false };

/// All formats without compression.
fn plain() -> Vec<StreamFormat> {
    let mut all: Vec<_> = http().into_iter().map(StreamFormat::Http).collect();
    all.extend([WS_BARE, WS_V1]);
    all
}

/// All formats of HTTP.
fn http() -> Vec<HttpFormat> {
    let mut all = Vec::new();
    for feed in FeedName::ALL {
        for objects in [false, true] {
            match feed.delivery(objects) {
                Delivery::Stream(format) if !all.contains(&format) => all.push(format),
                _ => {}
            }
        }
    }
    all
}

/// A channel with payloads of many kinds and lengths, and two lists of channels that contain it.
/// Both lists get the same messages, with different heads.
struct Stock {
    hub: Arc<Hub>,
    forms: FormCache,
    lists: [Channels; 2],
    messages: Vec<Message>,
}

impl Stock {
    fn new() -> Self {
        let retention = Retention::DEFAULT.with_max_messages(usize::MAX).with_max_bytes(usize::MAX);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let [full, other] = ["full", "other"].map(|name| ChannelName::new(name).unwrap());
        let messages = messages();
        for message in &messages {
            hub.publish(&full, message.clone(), None).unwrap();
        }
        let [full, other] = [full, other].map(|name| hub.channel(&name).unwrap());
        let lists = [Channels([full.clone()].into()), Channels([other, full].into())];
        Stock { forms: FormCache::new(hub.counters.forms.clone()), hub, lists, messages }
    }

    /// All batches for a list, and the checksum of all of them.
    fn batches(&self, wire: Wire, list: usize) -> (Vec<Vec<u8>>, Sum) {
        let channels = &self.lists[list];
        let mut positions = channels.start(&Start::Earliest);
        let shape = Shape::Stream { wire, labelled: list > 0 };
        let (mut batches, mut sum) = (Vec::new(), Sum::default());
        while let (Some(batch), _) = shape.encode(channels, &mut positions, bounds(100_000), &self.forms) {
            sum = sum.then(batch.sum);
            batches.push(batch.rope.to_vec());
        }
        (batches, sum)
    }

    /// The epoch of the messages. The first message begins it.
    fn epoch(&self) -> tidewire_channel::Epoch {
        self.lists[0].0[0].head().epoch()
    }

    /// The same bytes, made message by message without cached forms.
    fn naive(&self, format: StreamFormat, chunked: bool, list: usize) -> Vec<u8> {
        let mut positions = self.lists[list].start(&Start::Earliest);
        let mut all = Vec::new();
        for message in &self.messages {
            let last = positions.0.last_mut().unwrap();
            *last = tidewire_channel::Cursor::new(self.epoch(), last.seq() + 1);
            let unit = naive_unit(format, &positions, (list > 0).then_some("full"), message);
            if chunked {
                let mut head = [0; ChunkHead::MAX_LEN];
                let len = ChunkHead::new(unit.len() as u64).unwrap().encode(&mut head).unwrap();
                all.extend([&head[..len], &unit, b"\r\n"].concat());
            } else {
                all.extend(unit);
            }
        }
        all
    }
}

fn messages() -> Vec<Message> {
    let mut rng = Rng::with_seed(12);
    let mut messages = Vec::new();
    for len in
        [0, 1, DEFLATED_LEN - 1, DEFLATED_LEN, SHARED_LEN - 1, SHARED_LEN, SHARED_LEN + 1, 16_384, 70_000]
    {
        // Plain text, text that doubles or more as JSON, text that a place escapes, and bytes that
        // do not compress.
        for text in ["a", "\u{1}", "\"", "é€🌊\u{2028}\u{85}", "<script>", "--tidewire", "\r\n", "1\n"] {
            let mut text = text.repeat(len / text.len() + 1);
            text.truncate((0..=len).rev().find(|&at| text.is_char_boundary(at)).unwrap());
            messages.push(Message::new(text.into(), 0));
        }
        let noise: Vec<u8> = (0..len).map(|_| rng.usize(..256) as u8).collect();
        messages.push(Message::new(noise.into(), 0).with_content_type("a/b").unwrap());
        let letters: Vec<u8> = (0..len).map(|_| b' ' + rng.usize(..64) as u8).collect();
        messages.push(Message::new(letters.into(), 0).with_event("e").unwrap());
    }
    messages
}

fn naive_unit(
    format: StreamFormat,
    positions: &Positions,
    channel: Option<&str>,
    message: &Message,
) -> Vec<u8> {
    let (cursor, mut out) = (positions.to_text(), Vec::new());
    let object = |place| {
        let mut json = Vec::new();
        write_message_head(message, &cursor, channel, place, &mut json);
        json.extend(FormKind::Json(place).make(message));
        json
    };
    let event = |event, data: &[u8]| {
        let (mut out, data) = (Vec::new(), std::str::from_utf8(data).unwrap());
        EventFields { id: Some(&cursor), event, data: Some(data), ..EventFields::default() }
            .encode_to(&mut out)
            .unwrap();
        out
    };
    match format {
        StreamFormat::Http(HttpFormat::Sse) => match message.text() {
            Some(text) if channel.is_none() => event(message.event(), text.as_bytes()),
            None if channel.is_none() => event(Some("envelope"), &object(Place::Line)),
            _ => event(message.event(), &object(Place::Line)),
        },
        StreamFormat::Http(HttpFormat::SseObjects) => event(None, &object(Place::Line)),
        StreamFormat::Http(HttpFormat::MultipartMixed) => {
            [b"Content-Type: application/json\r\n\r\n", &object(Place::Part)[..], b"\r\n--tidewire\r\n"]
                .concat()
        }
        StreamFormat::Http(HttpFormat::Iframe) => {
            [b"<script>t(", &object(Place::Script)[..], b")</script>\n"].concat()
        }
        StreamFormat::Http(HttpFormat::MultipartReplace) => {
            let media = message.content_type().unwrap_or("application/octet-stream");
            if message.data().is_empty() || boundary::is_in(message.data()) {
                return [b"Tidewire-Message: ", &object(Place::Part)[..], b"\r\n"].concat();
            }
            let channel = channel.map(|name| format!("Tidewire-Channel: {name}\r\n")).unwrap_or_default();
            let head = format!(
                "Tidewire-Cursor: {cursor}\r\n{channel}Content-Type: {media}\r\nContent-Length: {}\r\n\r\n",
                message.data().len()
            );
            [head.as_bytes(), message.data(), b"\r\n--tidewire\r\n"].concat()
        }
        StreamFormat::Http(HttpFormat::JsonLines | HttpFormat::Xhr) => {
            [&object(Place::Line)[..], b"\n"].concat()
        }
        StreamFormat::WsBare { .. } => {
            let kind = if message.text().is_some() { Kind::Text } else { Kind::Binary };
            encode_message(kind, message.data(), &mut out);
            out
        }
        StreamFormat::WsV1 { .. } => {
            encode_message(Kind::Text, &object(Place::Line), &mut out);
            out
        }
    }
}

/// Decodes the messages of a WebSocket with our own decoder.
fn received(mut bytes: Vec<u8>) -> Vec<(bool, Vec<u8>)> {
    let limits = Limits::DEFAULT.with_max_message(1 << 20).with_max_frame(1 << 20);
    let params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let mut client = Connection::<Client>::new(limits).with_deflate(params, &ws::DEFLATE);
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let (used, event) = client.decode(&mut bytes[at..]).unwrap();
        match event {
            Some(tidewire_ws::Event::Text(text)) => all.push((true, text.as_bytes().to_vec())),
            Some(tidewire_ws::Event::Binary(data)) => all.push((false, data.to_vec())),
            other => assert_eq!(other, None),
        }
        at += used;
    }
    all
}

/// Fails at the first byte that differs, and shows 40 bytes of each. A comparison of all bytes
/// would print megabytes.
fn assert_same(written: &[u8], expected: &[u8], what: &str) {
    if written == expected {
        return;
    }
    let same = written.iter().zip(expected).take_while(|(one, other)| one == other).count();
    let part = |bytes: &[u8]| {
        let rest = &bytes[same..];
        rest[..rest.len().min(40)].escape_ascii().to_string()
    };
    panic!(
        "{what}: byte {same} differs (the lengths are {} and {})\n     written: {}\n    expected: {}",
        written.len(),
        expected.len(),
        part(written),
        part(expected)
    );
}

fn bounds(bytes: usize) -> Bounds<'static> {
    Bounds { budget: Budget::bytes(bytes), or_one: true, ceiling: None, first: 0 }
}

#[test]
fn every_format_matches_a_simple_encoder() {
    let stock = Stock::new();
    // Without chunks first: a chunk begins with its length, which would be the first difference.
    let formed = [(0, false), (1, false), (1, true)].map(|(list, chunked)| {
        for format in plain() {
            let (batches, sum) = stock.batches(Wire { format, chunked, gzip: false }, list);
            let (written, expected) = (batches.concat(), stock.naive(format, chunked, list));
            assert_same(&written, &expected, &format!("{format:?}, list {list}"));
            assert_eq!(sum, Sum::default());
        }
        stock.hub.work().formed
    });
    // Payloads of SHARED_LEN bytes and more have forms.
    let long = stock.messages.iter().filter(|message| message.data().len() >= SHARED_LEN).count() as u64;
    assert!(formed[0] >= long, "{formed:?} forms of {long} payloads");
    assert_eq!(formed, [formed[0]; 3], "both lists share the forms");
    // The forms that the formats use. Each variant of `FormKind` and `Place` adds one.
    const FORMS: [&str; 4] = ["a line", "a script", "a part", "lines of text"];
    let most = FORMS.len() as u64 * long;
    assert!(
        formed[0] <= most,
        "{formed:?} forms of {long} payloads, expected at most {most}: {}. If a variant of FormKind or \
         Place is new, add its form to this list. If not, formats do not share a form",
        FORMS.join(", ")
    );
}

#[test]
fn a_deflated_message_inflates_to_the_plain_one() {
    let stock = Stock::new();
    let pairs =
        [(WS_BARE, StreamFormat::WsBare { deflate: true }), (WS_V1, StreamFormat::WsV1 { deflate: true })];
    for (plain, format) in pairs {
        for list in 0..2 {
            let bytes = stock.batches(Wire { format, chunked: false, gzip: false }, list).0.concat();
            let twin = stock.naive(plain, false, list);
            assert!(bytes.len() < twin.len() / 2, "{} of {} bytes", bytes.len(), twin.len());
            assert!(received(bytes) == received(twin), "{format:?}, list {list}");
        }
    }
    let long = stock.messages.iter().filter(|message| message.data().len() >= DEFLATED_LEN).count() as u64;
    let work = stock.hub.work();
    assert!(work.formed <= 3 * long, "{work:?}: {long} payloads, as they are and as JSON");
}

#[test]
fn a_gzip_body_decodes_to_the_plain_body() {
    let stock = Stock::new();
    for format in http().into_iter().filter(|format| format.may_be_gzip()).map(StreamFormat::Http) {
        for list in 0..2 {
            let (batches, sum) = stock.batches(Wire { format, chunked: false, gzip: true }, list);
            let mut body = [&gzip::HEAD[..], &batches.concat()].concat();
            gzip::end(sum, &mut body);
            let mut plain = Vec::new();
            // The decoder checks the trailer.
            GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            assert_same(&plain, &stock.naive(format, false, list), &format!("{format:?}, list {list}"));
            assert!(body.len() < plain.len() / 2, "{} of {} bytes", body.len(), plain.len());
        }
    }
}

#[test]
fn a_compressed_batch_is_small() {
    let hub = Hub::new(HubConfig::default(), 1);
    let name = ChannelName::new("a").unwrap();
    let mut rng = Rng::with_seed(3);
    for _ in 0..900 {
        let noise: Vec<u8> = (0..300).map(|_| b' ' + rng.usize(..64) as u8).collect();
        hub.publish(&name, Message::new(noise.into(), 0), None).unwrap();
    }
    let channels = Channels([hub.channel(&name).unwrap()].into());
    let (forms, mut positions) =
        (FormCache::new(hub.counters.forms.clone()), channels.start(&Start::Earliest));
    let format = StreamFormat::Http(HttpFormat::JsonLines);
    let shape = Shape::Stream { wire: Wire { format, chunked: true, gzip: true }, labelled: false };
    let mut batches = 0;
    while let (Some(batch), _) = shape.encode(&channels, &mut positions, bounds(256 * 1024), &forms) {
        // The batch has no units, so a reader that accepts nothing keeps all of it.
        let mut rest = batch.rope.clone();
        let kept = batch.keep_unit(&mut rest, 0, &positions.clone());
        assert!(kept == positions && rest.len() <= 20 * 1024, "{} bytes are kept", rest.len());
        batches += 1;
    }
    assert!(positions == channels.heads() && batches < 40, "{batches} batches");
}

#[test]
fn a_reader_of_a_cut_batch_continues_in_the_log_after_the_cut_unit() {
    let stock = Stock::new();
    let format = StreamFormat::WsV1 { deflate: true };
    for list in 0..2 {
        let channels = &stock.lists[list];
        let shape = Shape::Stream { wire: Wire { format, chunked: false, gzip: false }, labelled: list > 0 };
        let whole = stock.batches(Wire { format, chunked: false, gzip: false }, list).0.concat();
        let mut rng = Rng::with_seed(5);
        for most in [0, 1, 2_000, usize::MAX / 4] {
            let (mut positions, mut taken) = (channels.start(&Start::Earliest), Vec::new());
            while let (Some(batch), _) = shape.encode(channels, &mut positions, bounds(20_000), &stock.forms)
            {
                let mut rest = batch.rope.clone();
                let written = rng.usize(..rest.len());
                taken.extend(&rest.to_vec()[..written]);
                rest.advance(written);
                positions = batch.keep_unit(&mut rest, most, &positions.clone());
                taken.extend(rest.to_vec());
            }
            assert!(taken == whole, "list {list}, {most} bytes kept");
        }
    }
}
