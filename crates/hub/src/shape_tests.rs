//! What readers get is the same with forms and without: every format against a naive twin, and what
//! is compressed against what it inflates to.

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use tidewire_channel::Budget;
use tidewire_chunked::ChunkHead;
use tidewire_sse::Event;
use tidewire_testkit::Rng;
use tidewire_ws::deflate::Params;
use tidewire_ws::{Connection, Kind, Limits, Role, encode_message};

use crate::feeds::{HttpFormat, StreamFormat, Wire, ws};
use crate::form::FormKind;
use crate::forms::Forms;
use crate::gzip::{self, Sum};
use crate::hub::Hub;
use crate::json_text::Place;
use crate::message::Message;
use crate::name::ChannelName;
use crate::object::write_message_head;
use crate::out::{DEFLATED_LEN, SHARED_LEN};
use crate::positions::{Channels, Positions, Start};
use crate::reader::Bounds;
use crate::shape::Shape;
use crate::{HubConfig, Retention};

const WS_BARE: StreamFormat = StreamFormat::WsBare { deflate: false };
const WS_V1: StreamFormat = StreamFormat::WsV1 { deflate: false };

/// Formats that compress nothing.
const PLAIN: [StreamFormat; 8] = [
    StreamFormat::Http(HttpFormat::Sse),
    StreamFormat::Http(HttpFormat::SseObjects),
    StreamFormat::Http(HttpFormat::JsonLines),
    StreamFormat::Http(HttpFormat::Xhr),
    StreamFormat::Http(HttpFormat::MultipartMixed),
    StreamFormat::Http(HttpFormat::Iframe),
    WS_BARE,
    WS_V1,
];

/// A channel with payloads of many kinds and lengths, and those that two connections read: the same
/// messages, under other heads.
struct Stock {
    hub: Arc<Hub>,
    forms: Forms,
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
        Stock { forms: Forms::new(hub.counters.forms.clone()), hub, lists, messages }
    }

    /// All that the log has for a list, batch by batch; and the sum of it.
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

    /// The same, made message by message without forms.
    fn naive(&self, format: StreamFormat, chunked: bool, list: usize) -> Vec<u8> {
        let mut positions = self.lists[list].start(&Start::Earliest);
        let mut all = Vec::new();
        for message in &self.messages {
            let last = positions.0.last_mut().unwrap();
            *last = tidewire_channel::Cursor::new(last.epoch(), last.seq() + 1);
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
    let mut rng = Rng::new(12);
    let mut messages = Vec::new();
    for len in
        [0, 1, DEFLATED_LEN - 1, DEFLATED_LEN, SHARED_LEN - 1, SHARED_LEN, SHARED_LEN + 1, 16_384, 70_000]
    {
        // What is text, what doubles and more, what a place escapes, and what does not compress.
        for text in ["a", "\u{1}", "\"", "é€🌊\u{2028}\u{85}", "<script>", "--tidewire", "\r\n", "1\n"] {
            let mut text = text.repeat(len / text.len() + 1);
            text.truncate((0..=len).rev().find(|&at| text.is_char_boundary(at)).unwrap());
            messages.push(Message::new(text.into(), 0));
        }
        let noise: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
        messages.push(Message::new(noise.into(), 0).with_content_type("a/b").unwrap());
        let letters: Vec<u8> = (0..len).map(|_| b' ' + rng.below(64) as u8).collect();
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
        Event { id: Some(&cursor), event, data: Some(data), ..Event::default() }.encode_to(&mut out).unwrap();
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
        StreamFormat::Http(_) => [&object(Place::Line)[..], b"\n"].concat(),
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

/// The messages of a WebSocket, by the decoder of our own.
fn received(mut bytes: Vec<u8>) -> Vec<(bool, Vec<u8>)> {
    let limits = Limits { max_message: 1 << 20, max_frame: 1 << 20, ..Limits::DEFAULT };
    let params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let mut client = Connection::new(Role::Client, limits).with_deflate(params, &ws::DEFLATE);
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

fn bounds(bytes: usize) -> Bounds<'static> {
    Bounds { budget: Budget::bytes(bytes), or_one: true, ceiling: None, first: 0 }
}

#[test]
fn every_format_does_what_the_naive_twin_does() {
    let stock = Stock::new();
    for format in PLAIN {
        for (list, chunked) in [(0, false), (1, true)] {
            let (batches, sum) = stock.batches(Wire { format, chunked, gzip: false }, list);
            assert!(batches.concat() == stock.naive(format, chunked, list), "{format:?}, list {list}");
            assert_eq!(sum, Sum::default());
        }
    }
    // The heads of both lists stand around the same forms, of payloads with SHARED_LEN and more.
    let long = stock.messages.iter().filter(|message| message.data().len() >= SHARED_LEN).count() as u64;
    let formed = stock.hub.work().formed;
    assert!(formed <= 4 * long, "{formed} forms of {long} payloads: a line, a script, a part, a text");
}

#[test]
fn what_is_deflated_inflates_to_what_is_not() {
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
fn a_gzip_body_of_forms_is_the_body_without_them() {
    let stock = Stock::new();
    for format in [HttpFormat::Sse, HttpFormat::SseObjects, HttpFormat::JsonLines].map(StreamFormat::Http) {
        for list in 0..2 {
            let (batches, sum) = stock.batches(Wire { format, chunked: false, gzip: true }, list);
            let mut body = [&gzip::HEAD[..], &batches.concat()].concat();
            gzip::end(sum, &mut body);
            let mut plain = Vec::new();
            // The trailer is checked there.
            GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            assert!(plain == stock.naive(format, false, list), "{format:?}, list {list}");
            assert!(body.len() < plain.len() / 2, "{} of {} bytes", body.len(), plain.len());
        }
    }
}

#[test]
fn a_reader_of_a_compressed_stream_is_given_little_at_a_time() {
    let hub = Hub::new(HubConfig::default(), 1);
    let name = ChannelName::new("a").unwrap();
    let mut rng = Rng::new(3);
    for _ in 0..900 {
        let noise: Vec<u8> = (0..300).map(|_| b' ' + rng.below(64) as u8).collect();
        hub.publish(&name, Message::new(noise.into(), 0), None).unwrap();
    }
    let channels = Channels([hub.channel(&name).unwrap()].into());
    let (forms, mut positions) = (Forms::new(hub.counters.forms.clone()), channels.start(&Start::Earliest));
    let format = StreamFormat::Http(HttpFormat::JsonLines);
    let shape = Shape::Stream { wire: Wire { format, chunked: true, gzip: true }, labelled: false };
    let mut batches = 0;
    while let (Some(batch), _) = shape.encode(&channels, &mut positions, bounds(256 * 1024), &forms) {
        // It has no units, so that all of it is kept by a reader that does not take it.
        let mut rest = batch.rope.clone();
        let kept = batch.keep_unit(&mut rest, 0, &positions.clone());
        assert!(kept == positions && rest.len() <= 20 * 1024, "{} bytes are kept", rest.len());
        batches += 1;
    }
    assert!(positions == channels.heads() && batches < 40, "{batches} batches");
}

#[test]
fn a_batch_that_is_cut_anywhere_is_gone_on_with_after_its_unit() {
    let stock = Stock::new();
    let format = StreamFormat::WsV1 { deflate: true };
    for list in 0..2 {
        let channels = &stock.lists[list];
        let shape = Shape::Stream { wire: Wire { format, chunked: false, gzip: false }, labelled: list > 0 };
        let whole = stock.batches(Wire { format, chunked: false, gzip: false }, list).0.concat();
        let mut rng = Rng::new(5);
        for most in [0, 1, 2_000, usize::MAX / 4] {
            let (mut positions, mut taken) = (channels.start(&Start::Earliest), Vec::new());
            while let (Some(batch), _) = shape.encode(channels, &mut positions, bounds(20_000), &stock.forms)
            {
                let mut rest = batch.rope.clone();
                let written = rng.below(rest.len());
                taken.extend(&rest.to_vec()[..written]);
                rest.advance(written);
                positions = batch.keep_unit(&mut rest, most, &positions.clone());
                taken.extend(rest.to_vec());
            }
            assert!(taken == whole, "list {list}, {most} bytes kept");
        }
    }
}
