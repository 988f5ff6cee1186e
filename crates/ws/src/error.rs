use core::fmt;

/// Why the peer's bytes cannot be accepted, and where.
///
/// Final: the connection that returned it returns it again for every later call.
/// [`close_code`](Self::close_code) is the status to close with; a
/// [`Connection`](crate::Connection) has put that close frame into its output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: u64,
}

/// What was wrong with the peer's bytes.
///
/// Grouped by who has to act: a broken grammar or rule is a fault of the peer, a limit may be one
/// of ours, and an end of input is the network's doing as often as the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    // Broke the grammar of a frame (RFC 6455 §5.2).
    /// RSV2 or RSV3 is set, or RSV1 where no negotiated extension gives it a meaning.
    ReservedBits,
    /// An opcode that RFC 6455 reserves: 3 to 7 or 11 to 15.
    ReservedOpcode,
    /// A payload length written in more bytes than it needs.
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
    /// A compressed payload that is no DEFLATE data (RFC 1951), that was cut, or that goes on
    /// behind its end.
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
    Truncated,
    /// The input ended between two messages, but without a close frame (§7.1.5: status 1006).
    NoClose,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The position of the first byte that cannot be accepted, counted from the first byte after
    /// the handshake.
    ///
    /// The same however the input was cut. Where the fault lies in what a compressed message
    /// inflates to, it is the first byte of that message.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The status code to close with (RFC 6455 §7.4.1): 1002, 1007, 1008 or 1009.
    ///
    /// For [`ErrorKind::Truncated`] and [`ErrorKind::NoClose`] it is 1006, which is for the log and
    /// never for the wire.
    pub const fn close_code(&self) -> u16 {
        use crate::close;
        match self.kind {
            ErrorKind::InvalidUtf8 | ErrorKind::InvalidDeflate => close::INVALID_PAYLOAD,
            ErrorKind::FrameTooLong | ErrorKind::MessageTooLong => close::TOO_BIG,
            ErrorKind::TooManyEmptyFragments => close::POLICY,
            ErrorKind::Truncated | ErrorKind::NoClose => close::ABNORMAL,
            _ => close::PROTOCOL_ERROR,
        }
    }
}

impl ErrorKind {
    /// One sentence for the developer at the other end. It goes into the close frame as its reason.
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
            Self::Truncated => "the connection ended inside a message",
            Self::NoClose => "the connection ended without a close frame",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind.detail(), self.offset)
    }
}

impl core::error::Error for Error {}

/// Why something cannot be sent. Nothing was written, and the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A close frame was sent or received, or the connection failed: nothing more may be sent.
    Closing,
    /// A control frame's payload may be 125 bytes long at most; a close reason 123, and only beside
    /// a code.
    ControlTooLong,
    /// A close code that must not appear on the wire: see
    /// [`close::is_valid`](crate::close::is_valid).
    CloseCode,
    /// A whole message, or a fragment of the other kind, while a fragmented message is being sent.
    MessageUnfinished,
    /// A client has to mask each frame with a key of its own, so it cannot send a shared one.
    MustMask,
    /// The header's length does not fit 63 bits.
    TooLong,
    /// The slice given to write into is too short.
    BufferTooSmall,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection is closing",
            Self::ControlTooLong => "a control frame may carry 125 bytes at most",
            Self::CloseCode => "this close code must not be sent",
            Self::MessageUnfinished => "a fragmented message is being sent",
            Self::MustMask => "a client cannot send a prepared message",
            Self::TooLong => "the length does not fit 63 bits",
            Self::BufferTooSmall => "the buffer is too short",
        })
    }
}

impl core::error::Error for EncodeError {}
