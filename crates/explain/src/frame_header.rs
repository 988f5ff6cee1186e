//! The header of a WebSocket frame, bit by bit.

use tidewire_ws::frame::{Header, Opcode};

use crate::note::{NoteKind, Notes};
use crate::text::{byte_count, grouped, hex};

/// Adds the notes of a header that starts at the offset `at`. `compressed`: its message is
/// compressed.
pub(crate) fn whole(at: u64, raw: &[u8], header: &Header, compressed: bool, notes: &mut Notes) {
    let name = name(header.opcode);
    let end = at + raw.len() as u64;
    notes.add((at, end), 0, NoteKind::FrameHeader, BASE, format!("{name} frame"), summary(header));

    let (first, second) = ((at, at + 1), (at + 1, at + 2));
    let label = format!("FIN = {}", u8::from(header.fin));
    notes.add(first, 1, NoteKind::Fin, BASE, label, fin(header));
    let (label, meaning, section) = reserved_bits(header, compressed);
    notes.add(first, 1, NoteKind::Rsv, section, label, meaning);
    let label = format!("opcode = 0x{:x}", raw[0] & 0xf);
    let group = if header.opcode.is_control() { "a control frame" } else { "a data frame" };
    notes.add(first, 1, NoteKind::Opcode, BASE, label, format!("{name}, {group}"));

    let (label, meaning) = match header.masking_key {
        Some(_) => ("MASK = 1", "a client masks every frame"),
        None => ("MASK = 0", "a server never masks"),
    };
    notes.add(second, 1, NoteKind::Mask, "RFC 6455 §5.1", label, meaning);
    let key_len = if header.masking_key.is_some() { 4 } else { 0 };
    let length_end = end - key_len;
    let label = format!("length = {}", raw[1] & 0x7f);
    notes.add((at + 1, length_end), 1, NoteKind::Length, BASE, label, length(raw[1] & 0x7f, header.len));
    if let Some(key) = header.masking_key {
        let label = format!("masking key {}", hex(&key));
        let meaning = "byte i of the payload is XORed with byte i mod 4 of the key";
        notes.add((length_end, end), 1, NoteKind::MaskingKey, "RFC 6455 §5.3", label, meaning);
    }
}

/// Adds the note of a header that is incomplete, or wrong after `raw`.
pub(crate) fn partial(at: u64, raw: &[u8], notes: &mut Notes) {
    if !raw.is_empty() {
        let span = (at, at + raw.len() as u64);
        notes.add(span, 0, NoteKind::Part, BASE, hex(raw), "the beginning of a frame header");
    }
}

const fn name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation",
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Close => "close",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
    }
}

/// `5 bytes of payload, masked`
fn summary(header: &Header) -> String {
    let mut text = format!("{} of payload", byte_count(header.len));
    for (is_so, flag) in [
        (!header.fin, ", not the last"),
        (header.rsv1, ", compressed"),
        (header.masking_key.is_some(), ", masked"),
    ] {
        if is_so {
            text.push_str(flag);
        }
    }
    text
}

fn fin(header: &Header) -> &'static str {
    match (header.fin, header.opcode) {
        (false, Opcode::Continuation) => "the message continues in another continuation frame",
        (false, _) => "the first of several frames: continuations follow",
        (true, Opcode::Continuation) => "the last frame of its message",
        (true, opcode) if opcode.is_control() => "a control frame is never fragmented",
        (true, _) => "the whole message is in this frame",
    }
}

/// Returns the label, the meaning and the section of RSV1 to RSV3.
fn reserved_bits(header: &Header, compressed: bool) -> (&'static str, &'static str, &'static str) {
    match (header.rsv1, compressed && !header.opcode.is_control()) {
        (true, _) => ("RSV1-3 = 100", "RSV1: the message is compressed (permessage-deflate)", "RFC 7692 §6"),
        (false, true) => {
            ("RSV1-3 = 000", "only the first frame of a compressed message has RSV1", "RFC 7692 §6.1")
        }
        (false, false) => ("RSV1-3 = 000", "no extension changes this frame", BASE),
    }
}

/// Returns what the 7 bits of the length say.
fn length(seven_bits: u8, len: u64) -> String {
    match seven_bits {
        126 => format!("126: the length is in the next 16 bits, {}", grouped(len)),
        127 => format!("127: the length is in the next 64 bits, {}", grouped(len)),
        _ => format!("the payload is {}", byte_count(len)),
    }
}

const BASE: &str = "RFC 6455 §5.2";
