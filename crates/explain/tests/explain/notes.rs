//! The notes on literal bytes, protocol by protocol.

use tidewire_explain::{Annotator, Direction, Limits, Note, NoteKind, Start};

use crate::subject::notes_of;

/// `offset+len depth kind label`, one note per line.
fn brief(notes: &[Note]) -> Vec<String> {
    notes
        .iter()
        .map(|note| format!("{}+{} {} {:?} {}", note.offset, note.len, note.depth, note.kind, note.label))
        .collect()
}

fn up(bytes: &[u8]) -> Vec<Note> {
    notes_of(Annotator::new(), bytes, b"", Direction::Up).0
}

fn down(request: &[u8], bytes: &[u8]) -> Vec<Note> {
    notes_of(Annotator::new(), request, bytes, Direction::Down).0
}

fn meaning(notes: &[Note], kind: NoteKind) -> &str {
    let note = notes.iter().find(|note| note.kind == kind);
    &note.unwrap_or_else(|| panic!("no {kind:?} in {:?}", brief(notes))).meaning
}

const GET: &[u8] = b"GET /c/demo HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_request_with_a_body() {
    let notes = up(b"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  5 \r\n\r\nhello");
    assert_eq!(
        brief(&notes),
        [
            "0+17 0 RequestLine request line",
            "0+4 1 Method POST",
            "5+1 1 Target /",
            "7+8 1 Version HTTP/1.1",
            "17+9 0 Field Host: a",
            "26+21 0 Field content-LENGTH: 5",
            "47+2 0 EndOfHead empty line",
            "49+5 1 Data 5 bytes of content",
        ]
    );
    assert_eq!(notes[5].meaning, "the body is 5 bytes");
    assert_eq!((notes[5].section, notes[6].section), ("RFC 9110 §8.6", "RFC 9112 §6.3 (6)"));
}

#[test]
fn a_chunked_response_with_extensions_and_trailers() {
    let notes = down(
        GET,
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b;c\";d\r\nabc\r\n0\r\nDigest: x\r\n\r\n",
    );
    assert_eq!(
        brief(&notes)[3..],
        [
            "15+28 0 Field Transfer-Encoding: chunked",
            "43+2 0 EndOfHead empty line",
            "45+13 1 ChunkLine 3;a=\"b;c\";d",
            "45+1 2 ChunkSize 3",
            "46+8 2 ChunkExtension a=\"b;c\"",
            "54+2 2 ChunkExtension d",
            "58+3 2 Data 3 bytes of content",
            "61+2 1 ChunkEnd CR LF",
            "63+3 1 LastChunk 0",
            "66+11 1 Trailer Digest: x",
            "77+2 1 EndOfBody empty line",
        ]
    );
    assert_eq!(notes[0].meaning, "answers GET /c/demo");
}

#[test]
fn a_response_without_a_body_has_no_body_notes() {
    for (request, response, end) in [
        (
            &b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..],
            "answers a HEAD",
        ),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "a 304 has no body"),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n", "a 204 has no body"),
    ] {
        let (notes, annotator) = notes_of(Annotator::new(), request, response, Direction::Down);
        assert!(meaning(&notes, NoteKind::EndOfHead).contains(end), "{notes:?}");
        assert_eq!(annotator.refusal(Direction::Down), None);
    }
}

#[test]
fn pipelined_requests_and_their_answers_on_one_connection() {
    let requests = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /d";
    let answers = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\
        xHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\nmore";
    let mut annotator = Annotator::new();
    let up = [annotator.push(Direction::Up, requests), annotator.finish(Direction::Up)].concat();
    let down = [annotator.push(Direction::Down, answers), annotator.finish(Direction::Down)].concat();
    let first = |notes: &[Note], kind| -> Vec<String> {
        notes.iter().filter(|note| note.kind == kind).map(|note| note.meaning.clone()).collect()
    };
    assert_eq!(
        first(&down, NoteKind::StatusLine),
        ["answers GET /a", "answers GET /a", "answers HEAD /b", "answers GET /c"]
    );
    assert!(up.last().unwrap().label.contains("a request with \"Connection: close\""), "{:?}", up.last());
    assert_eq!((down.last().unwrap().kind, down.last().unwrap().len), (NoteKind::Unread, 4));
}

#[test]
fn an_answer_without_a_request_is_not_read() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let notes = down(GET, &answer.repeat(2));
    assert_eq!(
        (notes.last().unwrap().kind, notes.last().unwrap().section),
        (NoteKind::Unread, "RFC 9112 §9.2")
    );
    // Without any request, the input is a capture of one direction.
    let notes = down(b"", &answer.repeat(2));
    assert_eq!(notes.iter().filter(|note| note.kind == NoteKind::StatusLine).count(), 2);
    assert_eq!(notes[0].meaning, "the request was not seen: treated as the answer to a GET");
}

#[test]
fn an_event_stream_through_chunks() {
    let notes = down(
        GET,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
          Transfer-Encoding: chunked\r\n\r\n\
          6\r\nid: 7\n\r\n8\r\ndata: a\r\r\n2\r\n\n\n\r\n3\r\n:x\n\r\n7\r\nretry:9\r\n0\r\n\r\n",
    );
    let stream: Vec<_> =
        brief(&notes).into_iter().skip_while(|line| !line.contains("EndOfHead")).skip(1).collect();
    assert_eq!(
        stream,
        [
            "95+3 1 ChunkLine 6",
            "98+6 2 EventId id: 7",
            "104+2 1 ChunkEnd CR LF",
            "106+3 1 ChunkLine 8",
            "109+8 2 EventData data: a",
            "117+2 1 ChunkEnd CR LF",
            "119+3 1 ChunkLine 2",
            "122+1 2 Part LF",
            "123+1 2 Dispatch blank line",
            "124+2 1 ChunkEnd CR LF",
            "126+3 1 ChunkLine 3",
            "129+3 2 EventComment :x",
            "132+2 1 ChunkEnd CR LF",
            "134+3 1 ChunkLine 7",
            "137+7 2 Part the beginning of a line",
            "144+2 1 ChunkEnd CR LF",
            "146+3 1 LastChunk 0",
            "149+2 1 EndOfBody empty line",
        ]
    );
    assert_eq!(
        meaning(&notes, NoteKind::Dispatch),
        "dispatches \"message\" with 1 byte of data; lastEventId is 7"
    );
}

#[test]
fn every_line_of_an_event_stream() {
    let stream = b"\xef\xbb\xbfid: 7\nevent: tide\ndata: high\ndata\nretry: 10\nretry: x\n\
        what: x\n\n\nid: 8\n\ndata: cut";
    let annotator = Annotator::starting_with(Start::EventStream, Limits::DEFAULT);
    let notes = notes_of(annotator, b"", stream, Direction::Down).0;
    assert_eq!(
        brief(&notes),
        [
            "0+3 0 ByteOrderMark byte order mark",
            "3+6 0 EventId id: 7",
            "9+12 0 EventName event: tide",
            "21+11 0 EventData data: high",
            "32+5 0 EventData data",
            "37+10 0 EventRetry retry: 10",
            "47+9 0 EventRetry retry: x",
            "56+8 0 EventUnknown what: x",
            "64+1 0 Dispatch blank line",
            "65+1 0 EventEnd blank line",
            "66+6 0 EventId id: 8",
            "72+1 0 EventEnd blank line",
            "73+9 0 Part data: cut",
        ]
    );
    assert_eq!(notes[5].meaning, "wait 10 ms before reconnecting");
    assert_eq!(notes[6].meaning, "ignored: not a number");
    assert_eq!(notes[8].meaning, "dispatches \"tide\" with 5 bytes of data; lastEventId is 7");
    assert!(notes[11].meaning.ends_with("reconnects sends Last-Event-ID: 8"), "{:?}", notes[11]);
}

#[test]
fn json_lines_until_the_connection_closes() {
    let notes = down(
        GET,
        b"HTTP/1.0 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n\
          {\"type\":\"hello\",\"cursor\":\"e-1\"}\n\n\
          {\"type\":\"message\",\"cursor\":\"e-2\",\"data\":\"x\"}\n",
    );
    let lines: Vec<_> = notes.iter().skip_while(|note| note.kind != NoteKind::EndOfHead).skip(1).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0].meaning, "the stream begins after cursor e-1");
    assert_eq!(lines[1].kind, NoteKind::Heartbeat);
    assert_eq!(lines[2].meaning, "a message: 1 byte of text; the cursor after it is e-2");
}

const UPGRADE: &[u8] = b"GET /c/demo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidewire.v1\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

fn switching(accept: &str, more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
    .into_bytes()
}

#[test]
fn a_websocket_both_ways() {
    let mut annotator = Annotator::new();
    let asked = annotator.push(Direction::Up, UPGRADE);
    assert_eq!(asked.last().unwrap().meaning, "the head ends; what follows depends on the answer");
    let key = asked.iter().find(|note| note.label.starts_with("Sec-WebSocket-Key")).unwrap();
    assert!(key.meaning.ends_with("the right answer to them is s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{key:?}");
    // A frame before the answer gets no notes until the answer comes.
    assert_eq!(annotator.push(Direction::Up, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), []);
    let answer = switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: tidewire.v1\r\n");
    let notes = annotator.push(Direction::Down, &answer);
    let held: Vec<_> = notes.iter().filter(|note| note.direction == Direction::Up).cloned().collect();
    let at = UPGRADE.len() as u64;
    assert_eq!(
        brief(&held),
        [
            format!("{at}+6 0 FrameHeader text frame"),
            format!("{at}+1 1 Fin FIN = 1"),
            format!("{at}+1 1 Rsv RSV1-3 = 000"),
            format!("{at}+1 1 Opcode opcode = 0x1"),
            format!("{}+1 1 Mask MASK = 1", at + 1),
            format!("{}+1 1 Length length = 5", at + 1),
            format!("{}+4 1 MaskingKey masking key 37 fa 21 3d", at + 2),
            format!("{}+5 1 Payload payload, 5 bytes", at + 6),
            format!("{}+5 2 JsonLine tidewire.v1 object", at + 6),
        ]
    );
    assert_eq!(held[7].meaning, "unmasked: \"Hello\"");
    let accept = notes.iter().find(|note| note.label.starts_with("Sec-WebSocket-Accept")).unwrap();
    assert!(accept.meaning.contains("it is right"), "{accept:?}");

    let mut frame = vec![0x82, 126, 1, 0];
    frame.resize(4 + 256, 7);
    let notes =
        annotator.push(Direction::Down, &[&frame[..], b"\x89\x02hi\x88\x05\x03\xe8bye", b"x"].concat());
    assert_eq!(meaning(&notes, NoteKind::Length), "126: the length is in the next 16 bits, 256");
    assert_eq!(meaning(&notes, NoteKind::CloseCode), "normal: the purpose is fulfilled");
    assert_eq!(meaning(&notes, NoteKind::CloseReason), "\"bye\"");
    assert!(
        notes.iter().any(|note| note.meaning == "\"hi\"; the pong must have the same payload"),
        "{notes:?}"
    );
    let end = annotator.finish(Direction::Down);
    assert_eq!((end[0].kind, end[0].len), (NoteKind::Unread, 1));
}

#[test]
fn a_compressed_message_in_two_frames() {
    let mut annotator = Annotator::new();
    annotator.push(Direction::Up, UPGRADE);
    let answer =
        switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let notes = annotator.push(Direction::Down, &answer);
    let agreed = notes.iter().find(|note| note.label.starts_with("Sec-WebSocket-Extensions")).unwrap();
    assert!(agreed.meaning.starts_with("messages may be compressed"), "{agreed:?}");
    // RFC 7692 §7.2.3.1, with a ping in between.
    let notes = annotator.push(Direction::Down, b"\x41\x03\xf2\x48\xcd\x89\x00\x80\x04\xc9\xc9\x07\x00");
    let frames: Vec<_> = notes
        .iter()
        .filter(|note| note.kind == NoteKind::FrameHeader)
        .map(|note| note.meaning.as_str())
        .collect();
    assert_eq!(
        frames,
        ["3 bytes of payload, not the last, compressed", "0 bytes of payload", "4 bytes of payload"]
    );
    let inflated = notes.iter().find(|note| note.kind == NoteKind::Inflated).unwrap();
    assert_eq!((inflated.label.as_str(), inflated.meaning.as_str()), ("5 bytes inflated", "\"Hello\""));
}

#[test]
fn a_handshake_that_is_wrong_is_refused_at_its_field() {
    let mut annotator = Annotator::new();
    annotator.push(Direction::Up, UPGRADE);
    let answer = switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "");
    annotator.push(Direction::Down, &answer);
    let refusal = annotator.refusal(Direction::Down).unwrap();
    assert_eq!(refusal.kind, "Accept");
    assert!(answer[refusal.offset as usize..].starts_with(b"Sec-WebSocket-Accept"));
}

#[test]
fn an_upgrade_that_a_server_refuses_has_a_warning() {
    let notes = up(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_eq!(meaning(&notes, NoteKind::Warning), "a WebSocket server answers 426 Upgrade Required");
}

/// A request with an empty body may offer an upgrade. Frames follow it once the server has agreed.
#[test]
fn an_upgrade_with_content_length_zero_waits_for_the_answer() {
    let text = String::from_utf8(UPGRADE.to_vec()).unwrap();
    let with = |fields: &str| text.replace("\r\n\r\n", &format!("\r\n{fields}\r\n")).into_bytes();
    let mut annotator = Annotator::new();
    let notes = annotator.push(Direction::Up, &with("Content-Length: 0\r\n"));
    assert!(notes.iter().all(|note| note.kind != NoteKind::Warning), "{notes:?}");
    annotator.push(Direction::Down, &switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""));
    let notes = annotator.push(Direction::Up, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(notes[0].kind, NoteKind::FrameHeader, "{notes:?}");
    for fields in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
        let notes = up(&with(fields));
        assert_eq!(
            meaning(&notes, NoteKind::Warning),
            "a WebSocket server answers 400 Bad Request",
            "{fields}"
        );
    }
}

#[test]
fn after_a_declined_offer_the_client_sends_http() {
    let mut annotator = Annotator::new();
    annotator.push(Direction::Up, UPGRADE);
    assert_eq!(annotator.push(Direction::Up, GET), []);
    let notes = annotator.push(Direction::Down, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let next = notes.iter().find(|note| note.direction == Direction::Up).unwrap();
    assert_eq!((next.kind, next.offset), (NoteKind::RequestLine, UPGRADE.len() as u64));
}

#[test]
fn notes_are_json_for_a_page() {
    let notes = up(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let json = serde_json::to_value(&notes[1]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "direction": "up", "offset": 0, "len": 3, "depth": 1, "kind": "method", "label": "GET",
            "meaning": "asks for what is at the target", "section": "RFC 9110 §9.3.1"
        })
    );
}

#[test]
fn a_huge_message_costs_few_notes() {
    let mut annotator = Annotator::new();
    let mut notes = annotator
        .push(Direction::Up, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .len();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..95 {
        notes += annotator.push(Direction::Up, &piece).len();
    }
    assert!(notes < 95 * 17 + 10, "{notes} notes");
}
