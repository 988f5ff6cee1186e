use core::fmt;

/// Why the peer's bytes cannot be accepted, and where.
///
/// The error is final: later calls return it again. [`close_code`](Self::close_code) is the close
/// code to send. A [`Connection`](crate::Connection) sends that close frame with its next
/// `take_output`.
///
/// ```
/// use tidewire_ws::{Connection, ErrorKind, Limits, Server, close};
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// let mut input = *b"\x81\x02Hi";
/// let error = connection.decode(&mut input).unwrap_err();
/// assert_eq!((error.kind(), error.offset()), (ErrorKind::Unmasked, 1));
/// assert_eq!(error.close_code(), close::PROTOCOL_ERROR);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: u64,
}

/// What was wrong with the peer's bytes.
///
/// The kinds are in groups. A broken grammar or rule is a fault of the peer. A limit may be too low
/// at this end. An early end of the input may come from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    // Broke the grammar of a frame (RFC 6455 §5.2).
    /// RSV2 or RSV3 is set, or RSV1 without an extension that uses it.
    ReservedBits,
    /// An opcode that RFC 6455 reserves: 3 to 7 or 11 to 15.
    ReservedOpcode,
    /// A payload length in more bytes than necessary.
    LengthNotMinimal,
    /// A 64-bit payload length with its top bit set.
    LengthTopBit,

    // Broke a rule of the protocol.
    /// A client's frame without a masking key (§5.1).
    Unmasked,
    /// A server's frame with a masking key (§5.1).
    Masked,
    /// A control frame whose payload exceeds 125 bytes (§5.5).
    ControlTooLong,
    /// A control frame without FIN (§5.5).
    ControlFragmented,
    /// A continuation frame while no message is unfinished (§5.4).
    ContinuationWithoutStart,
    /// A new text or binary frame inside an unfinished message (§5.4).
    MessageInterrupted,
    /// Text, or the reason of a close frame, that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A close frame with a payload of one byte (§5.5.1).
    CloseLength,
    /// A close code that must not appear on the wire (§7.4).
    CloseCode,
    /// A compressed payload that is not DEFLATE data (RFC 1951), is cut off, or has bytes after its
    /// end.
    InvalidDeflate,

    // Over a limit of ours.
    /// A frame longer than [`Limits::max_frame`](crate::Limits::max_frame).
    FrameTooLong,
    /// A message longer than [`Limits::max_message`](crate::Limits::max_message).
    MessageTooLong,
    /// More frames without payload than
    /// [`Limits::max_empty_fragments`](crate::Limits::max_empty_fragments).
    TooManyEmptyFragments,

    // The input ended.
    /// The input ended inside a frame or inside a fragmented message.
    UnexpectedEnd,
    /// The input ended between two messages, but without a close frame (§7.1.5: status 1006).
    NoClose,

    // Misuse.
    /// Whole messages were asked of a connection that returns messages
    /// [in pieces](crate::Connection::in_pieces). This error is not final: use
    /// [`Connection::decode`](crate::Connection::decode), or `next_piece` of the tokio adapter.
    InPieces,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The position of the first byte that cannot be accepted, counted from the first byte after
    /// the handshake.
    ///
    /// It does not depend on how the input was cut. For an error in the content of a compressed
    /// message, it is the position of the first byte of that message.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The status code to close with (RFC 6455 §7.4.1): 1002, 1007, 1008 or 1009.
    ///
    /// For [`ErrorKind::UnexpectedEnd`] and [`ErrorKind::NoClose`] it is 1006, which is for logs
    /// and never sent. For [`ErrorKind::InPieces`] it is 1011.
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        use crate::close;
        match self.kind {
            ErrorKind::InvalidUtf8 | ErrorKind::InvalidDeflate => close::INVALID_PAYLOAD,
            ErrorKind::FrameTooLong | ErrorKind::MessageTooLong => close::TOO_BIG,
            ErrorKind::TooManyEmptyFragments => close::POLICY,
            ErrorKind::UnexpectedEnd | ErrorKind::NoClose => close::ABNORMAL,
            ErrorKind::InPieces => close::INTERNAL_ERROR,
            _ => close::PROTOCOL_ERROR,
        }
    }
}

impl ErrorKind {
    /// One sentence for the developer of the peer. It is the reason in the close frame.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::ReservedBits => "a reserved bit is set without an extension that defines it",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::LengthNotMinimal => "the payload length is not in its shortest form",
            Self::LengthTopBit => "the payload length has its top bit set",
            Self::Unmasked => "a client must mask its frames",
            Self::Masked => "a server must not mask its frames",
            Self::ControlTooLong => "a control frame may carry 125 bytes at most",
            Self::ControlFragmented => "a control frame must not be fragmented",
            Self::ContinuationWithoutStart => "a continuation frame without a message to continue",
            Self::MessageInterrupted => "a new message began inside a fragmented one",
            Self::InvalidUtf8 => "text must be UTF-8",
            Self::CloseLength => "a close frame with one byte of payload",
            Self::CloseCode => "the close code must not be sent",
            Self::InvalidDeflate => "the compressed data is damaged or cut",
            Self::FrameTooLong => "the frame is longer than this endpoint accepts",
            Self::MessageTooLong => "the message is longer than this endpoint accepts",
            Self::TooManyEmptyFragments => "too many empty fragments",
            Self::UnexpectedEnd => "the connection ended inside a message",
            Self::NoClose => "the connection ended without a close frame",
            Self::InPieces => "this connection returns messages in pieces: read them with `decode`",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind.detail(), self.offset)
    }
}

impl core::error::Error for Error {}

/// Why something cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    // Not now.
    /// A close frame was sent or received, or the connection failed: nothing more may be sent.
    Closing,
    /// A fragmented message is being sent. Until its last fragment, no whole message and no
    /// fragment of the other kind may be sent.
    MessageUnfinished,

    // Never.
    /// A text message whose pieces are not UTF-8. The offset is the index in this piece of the
    /// first byte that is not valid. For a text that ends inside a character, it is the length of
    /// the piece.
    InvalidUtf8,
    /// A control frame has at most 125 bytes of payload. A close reason has at most 123 bytes. The
    /// offset is the first byte too many.
    ControlTooLong,
    /// The [`Header`](crate::frame::Header) of a control frame without `fin` or with `rsv1`, or of
    /// a close frame with one byte.
    ControlHeader,
    /// A close code that must not appear on the wire: see
    /// [`close::is_valid`](crate::close::is_valid).
    CloseCode,
    /// A close reason without a close code. The frame has no place for it.
    ReasonWithoutCode,
    /// A payload of 2^63 bytes or more. The length in a frame header has 63 bits.
    TooLong,

    // Misuse.
    /// The buffer is too short. The offset is the number of bytes needed.
    BufferTooSmall,
}

/// Something cannot be sent. Nothing was written, and the connection is unchanged.
///
/// ```
/// use tidewire_ws::{Connection, EncodeErrorKind, Limits, Server};
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// let mut out = Vec::new();
/// let error = connection.send_close(Some(1006), "", &mut out).unwrap_err();
/// assert_eq!((error.kind(), out.len()), (EncodeErrorKind::CloseCode, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    kind: EncodeErrorKind,
    offset: usize,
}

impl EncodeError {
    pub(crate) const fn new(kind: EncodeErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// The place of the error. Each [`kind`](EncodeErrorKind) says what the offset counts. 0 for a
    /// kind without a place.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl From<EncodeErrorKind> for EncodeError {
    fn from(kind: EncodeErrorKind) -> Self {
        Self::new(kind, 0)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            EncodeErrorKind::Closing => "the connection is closing",
            EncodeErrorKind::MessageUnfinished => "a fragmented message is being sent; finish it first",
            EncodeErrorKind::InvalidUtf8 => "the pieces of a text must be UTF-8",
            EncodeErrorKind::ControlTooLong => {
                "a control frame has at most 125 bytes, a close reason at most 123"
            }
            EncodeErrorKind::ControlHeader => {
                "a control frame needs `fin` and no `rsv1`; a close frame cannot have one byte"
            }
            EncodeErrorKind::CloseCode => "this close code must not be sent",
            EncodeErrorKind::ReasonWithoutCode => "a close reason needs a close code",
            EncodeErrorKind::TooLong => "the payload has 2^63 bytes or more",
            EncodeErrorKind::BufferTooSmall => {
                return write!(f, "the buffer needs {} bytes", self.offset);
            }
        })
    }
}

impl core::error::Error for EncodeError {}
