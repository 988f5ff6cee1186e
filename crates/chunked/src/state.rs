//! The state machine. Every byte of the framing is one step of [`State::after`].
//!
//! ```text
//!            ┌──────────────── a chunk line ────────────────┐
//!  SizeStart ─hex→ Size ─CR→ LineLf ─LF→ Data ··size bytes··→ DataCr ─CR→ DataLf ─LF→ SizeStart
//!                   │  ↑                  │
//!                  ";" └ or BWS           └ size 0: TrailerStart
//!                   ↓                                │
//!              extensions                            ├─CR→ EndLf ─LF→ Done
//!                                                    └─tchar→ TrailerName ─":"→ TrailerValue ─CR→ TrailerLf ─LF→ TrailerStart
//!
//!  extensions:  Semicolon ─";"→ NameStart ─tchar→ Name ─"="→ ValueStart ─tchar→ Value
//!                                                  │ BWS→ NameBws          └─DQUOTE→ Quoted ⇄ Escaped
//!                                                  │                                  └─DQUOTE→ ValueEnd
//!               from Name, Value and ValueEnd: BWS→ Semicolon (NameBws from Name), ";"→ NameStart, CR→ LineLf
//! ```
//!
//! Every step takes a byte, no state skips bytes, and LF is accepted only after CR. That is the
//! whole defence against request smuggling by chunk lines. Only [`State::after`] changes the state,
//! with two exceptions in the decoder: the end of the data, which is a count, and the size 0.

use crate::error::ErrorKind;
use tidewire_grammar::class::{is_field_vchar, is_hexdig, is_qdtext, is_tchar};

/// What may come next. RFC 9112 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The first digit of a chunk size.
    SizeStart,
    /// More digits, or the bytes that may follow the size.
    Size,
    /// `;` after whitespace that follows the size or an extension's value.
    Semicolon,
    /// The name of an extension.
    NameStart,
    Name,
    /// `=` or `;` after whitespace that follows an extension's name.
    NameBws,
    /// The value of an extension.
    ValueStart,
    Value,
    Quoted,
    /// The byte after a backslash in a quoted-string.
    Escaped,
    /// The bytes that may follow a closing quote.
    ValueEnd,
    /// LF of a chunk line.
    LineLf,
    /// Content.
    Data,
    /// CR after the content.
    DataCr,
    /// LF after the content.
    DataLf,
    /// A trailer field, or the CR of the empty line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    /// LF of a trailer field.
    TrailerLf,
    /// LF of the empty line.
    EndLf,
    /// Nothing: the body is complete.
    Done,
    /// Nothing: the body was refused.
    Failed(ErrorKind),
}

impl State {
    /// The next state, or why `byte` is not allowed here.
    ///
    /// The decoder leaves `Data` by a count, and never leaves `Done` and `Failed`: it does not call
    /// this in these states.
    #[inline]
    pub(crate) const fn after(self, byte: u8) -> Result<Self, ErrorKind> {
        use State::*;
        Ok(match (self, byte) {
            // RFC 9112 §7.1 (1): chunk-size = 1*HEXDIG. No sign, no prefix, no whitespace before
            // it.
            (SizeStart | Size, b) if is_hexdig(b) => Size,

            // RFC 9110 §5.6.3 (2): chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS
            // chunk-ext-val ] )
            (Size | Semicolon | ValueEnd | Value, b' ' | b'\t') => Semicolon,
            (Name | NameBws, b' ' | b'\t') => NameBws,
            (Size | Semicolon | Name | NameBws | Value | ValueEnd, b';') => NameStart,
            (NameStart, b' ' | b'\t') => NameStart,
            (NameStart | Name, b) if is_tchar(b) => Name,
            (Name | NameBws, b'=') => ValueStart,
            (ValueStart, b' ' | b'\t') => ValueStart,
            (ValueStart | Value, b) if is_tchar(b) => Value,
            (ValueStart, b'"') => Quoted,
            (Quoted, b'"') => ValueEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted, b) if is_qdtext(b) => Quoted,
            (Escaped, b) if is_field_vchar(b) || b == b' ' || b == b'\t' => Quoted,

            // The line may end only where the size or an extension may end.
            (Size | Name | Value | ValueEnd, b'\r') => LineLf,
            (LineLf, b'\n') => Data,

            // chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => SizeStart,

            // trailer-section = *( field-line CRLF ), and the CRLF that ends the body. No obs-fold:
            // a line that starts with whitespace has no name.
            (TrailerStart | TrailerName, b) if is_tchar(b) => TrailerName,
            (TrailerName, b':') => TrailerValue,
            (TrailerValue, b) if is_field_vchar(b) || b == b' ' || b == b'\t' => TrailerValue,
            (TrailerValue, b'\r') => TrailerLf,
            (TrailerLf, b'\n') => TrailerStart,
            (TrailerStart, b'\r') => EndLf,
            (EndLf, b'\n') => Done,

            (state, b) => return Err(state.refuse(b)),
        })
    }

    /// Why a byte is not allowed here.
    const fn refuse(self, byte: u8) -> ErrorKind {
        use State::*;
        match (self, byte) {
            (Quoted | Escaped, b'\r' | b'\n') => ErrorKind::OpenQuote,
            (LineLf | TrailerLf | EndLf, _)
            | (Size | Name | Value | ValueEnd | TrailerValue | TrailerStart, b'\n') => ErrorKind::LineEnd,
            (SizeStart | Size, _) => ErrorKind::Size,
            (Data | DataCr | DataLf, _) => ErrorKind::DataEnd,
            (TrailerStart | TrailerName, _) => ErrorKind::TrailerName,
            (TrailerValue, _) => ErrorKind::TrailerValue,
            (
                Semicolon | NameStart | Name | NameBws | ValueStart | Value | Quoted | Escaped | ValueEnd,
                _,
            ) => ErrorKind::Extension,
            (Done, _) => ErrorKind::UnexpectedEnd,
            (Failed(kind), _) => kind,
        }
    }

    /// Returns whether a byte that leads to this state counts towards
    /// [`Limits::max_overhead`](crate::Limits::max_overhead): all of an extension, and all of a
    /// trailer line with its CR. (The decoder counts the LF, which leaves `TrailerLf`.)
    #[inline]
    pub(crate) const fn is_overhead(self) -> bool {
        use State::*;
        matches!(
            self,
            Semicolon
                | NameStart
                | Name
                | NameBws
                | ValueStart
                | Value
                | Quoted
                | Escaped
                | ValueEnd
                | TrailerName
                | TrailerValue
                | TrailerLf
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9112 §7.1.1: chunk lines and trailers have CR and LF only as the CRLF at the end of the
    /// line.
    #[test]
    fn line_feed_is_accepted_only_after_carriage_return() {
        use State::*;
        let line = [
            SizeStart, Size, Semicolon, NameStart, Name, NameBws, ValueStart, Value, Quoted, Escaped,
            ValueEnd,
        ];
        for state in line.into_iter().chain([DataCr, TrailerStart, TrailerName, TrailerValue]) {
            assert!(state.after(b'\n').is_err(), "{state:?}");
        }
        for state in [LineLf, DataLf, TrailerLf, EndLf] {
            for byte in 0..=255 {
                assert_eq!(state.after(byte).is_ok(), byte == b'\n', "{state:?} {byte}");
            }
        }
    }
}
