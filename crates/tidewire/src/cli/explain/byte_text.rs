//! Bytes and bits as text.

use tidewire_explain::NoteKind;

/// Returns the bits of a frame header that a note describes. The other bits are shown as dots.
pub(super) fn bits(kind: NoteKind, raw: &[u8]) -> String {
    let mask = match kind {
        NoteKind::Fin | NoteKind::Mask => 0x80,
        NoteKind::Rsv => 0x70,
        NoteKind::Opcode => 0x0f,
        NoteKind::Length => 0x7f,
        _ => return String::new(),
    };
    let Some(&byte) = raw.first() else { return String::new() };
    let digits = |bits: std::ops::Range<u32>| -> String {
        bits.map(|index| {
            let bit = 0x80 >> index;
            match (mask & bit != 0, byte & bit != 0) {
                (true, true) => '1',
                (true, false) => '0',
                (false, _) => '·',
            }
        })
        .collect()
    };
    format!("{} {} ", digits(0..4), digits(4..8))
}

/// Returns a byte as one character.
pub(super) const fn character(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte as char,
        b'\r' => '␍',
        b'\n' => '␊',
        b'\t' => '␉',
        0 => '␀',
        _ => '·',
    }
}

/// Returns ` 'x'`, or an empty text for a byte that is not ASCII or a rare control character.
pub(super) fn in_quotes(byte: u8) -> String {
    match byte {
        b' ' => " (a space)".into(),
        b'\r' => " (CR)".into(),
        b'\n' => " (LF)".into(),
        b'\t' => " (a tab)".into(),
        0 => " (NUL)".into(),
        b'!'..=b'~' => format!(" '{}'", char::from(byte)),
        _ => String::new(),
    }
}
