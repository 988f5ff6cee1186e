//! The close codes of RFC 6455 §7.4 and of the IANA registry.
//!
//! | code | name | who sends it |
//! |---|---|---|
//! | 1000 | [`NORMAL`] | either, when its purpose is fulfilled |
//! | 1001 | [`GOING_AWAY`] | a server going down, a browser leaving the page |
//! | 1002 | [`PROTOCOL_ERROR`] | either, for a broken frame or rule |
//! | 1003 | [`UNSUPPORTED_DATA`] | either, for a kind of message it cannot take |
//! | 1004 | reserved | nobody |
//! | 1005 | [`NO_STATUS`] | nobody: stands for a close frame without a code |
//! | 1006 | [`ABNORMAL`] | nobody: stands for an end without a close frame |
//! | 1007 | [`INVALID_PAYLOAD`] | either, for text that is not UTF-8 |
//! | 1008 | [`POLICY`] | either, where no other code fits |
//! | 1009 | [`TOO_BIG`] | either, for a message over its limit |
//! | 1010 | [`EXTENSION_MISSING`] | a client whose extension the server did not take |
//! | 1011 | [`INTERNAL_ERROR`] | a server that failed |
//! | 1012 | [`RESTART`] | a server that comes back: connect again, after a random wait |
//! | 1013 | [`TRY_AGAIN_LATER`] | an overloaded server |
//! | 1014 | [`BAD_GATEWAY`] | a gateway whose upstream failed |
//! | 1015 | [`TLS_HANDSHAKE`] | nobody: stands for a failed TLS handshake |
//! | 3000 to 3999 | registered | libraries and frameworks |
//! | 4000 to 4999 | private | applications |
//!
//! ```
//! use tidewire_ws::{Connection, Limits, Server, close};
//! const KICKED: u16 = 4001;
//! let mut out = Vec::new();
//! for code in [close::GOING_AWAY, KICKED] {
//!     Connection::<Server>::new(Limits::DEFAULT).send_close(Some(code), "bye", &mut out)?;
//! }
//! assert!(Connection::<Server>::new(Limits::DEFAULT).send_close(Some(close::ABNORMAL), "", &mut out).is_err());
//! # Ok::<(), tidewire_ws::EncodeError>(())
//! ```

/// The purpose of the connection is fulfilled.
pub const NORMAL: u16 = 1000;
/// The endpoint goes away: a server shuts down, a browser leaves the page.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The peer sent a kind of message that this endpoint cannot take, such as binary where only text
/// is understood.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// For APIs only, never on the wire: the close frame had no code.
pub const NO_STATUS: u16 = 1005;
/// For APIs only, never on the wire: the connection ended without a close frame.
pub const ABNORMAL: u16 = 1006;
/// The payload does not fit its type: text that is not UTF-8.
pub const INVALID_PAYLOAD: u16 = 1007;
/// A rule of this endpoint was broken for which no other code fits.
pub const POLICY: u16 = 1008;
/// The message is too long.
pub const TOO_BIG: u16 = 1009;
/// The client needs an extension that the server did not negotiate.
pub const EXTENSION_MISSING: u16 = 1010;
/// The server met a condition that it did not expect.
pub const INTERNAL_ERROR: u16 = 1011;
/// The server restarts. A client may come back after a random wait of 5 to 30 seconds.
pub const RESTART: u16 = 1012;
/// The server is overloaded. A client should come back later, or elsewhere.
pub const TRY_AGAIN_LATER: u16 = 1013;
/// A gateway got an invalid answer from its upstream.
pub const BAD_GATEWAY: u16 = 1014;
/// For APIs only, never on the wire: the TLS handshake failed.
pub const TLS_HANDSHAKE: u16 = 1015;

/// Whether `code` may be sent in a close frame.
///
/// 1016 to 2999 are reserved for future versions of the protocol. Codes below 1000 and above 4999
/// are not defined (RFC 6455 §7.4.2).
///
/// ```
/// use tidewire_ws::close;
/// assert!(close::is_valid(close::NORMAL) && close::is_valid(4711));
/// assert!(!close::is_valid(close::NO_STATUS) && !close::is_valid(2999) && !close::is_valid(5000));
/// ```
#[must_use]
pub const fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn only_registered_and_free_codes_are_valid() {
        let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
        for code in 0..=u16::MAX {
            assert_eq!(is_valid(code), registered.contains(&code) || (3000..5000).contains(&code), "{code}");
        }
    }
}
