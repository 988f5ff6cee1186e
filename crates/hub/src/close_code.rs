//! The codes with which this project closes a WebSocket.

use tidewire_ws::close;

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:expr;)*) => {
        /// A code with which the server closes a WebSocket. Everything that closes one takes this
        /// type, so a new code must be listed here, and a test then asks for its row in the table
        /// "Close codes" of `docs/http-api.md`.
        ///
        /// `tidewire-ws` closes by itself when a peer breaks the protocol, with the codes of
        /// `tidewire_ws::Error::close_code`. They are not listed here.
        // Hidden: only our playground, which serves a WebSocket of its own, and tests need it.
        #[doc(hidden)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CloseCode {
            $($(#[$doc])* $name,)*
        }

        impl CloseCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number in the close frame.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

close_codes! {
    /// All channels of the connection have ended, or a wire of the playground.
    Normal = close::NORMAL;
    /// What the client sent breaks a rule of the server, or came too slowly.
    Policy = close::POLICY;
    /// A bare message is longer than the server accepts.
    TooBig = close::TOO_BIG;
    /// The server failed: a wire of the playground cannot connect.
    InternalError = close::INTERNAL_ERROR;
    /// The server stops.
    Restart = close::RESTART;
    /// Too much of what clients sent is unfinished or waits.
    TryAgainLater = close::TRY_AGAIN_LATER;
    /// A channel of the connection was deleted. The code is in the range for applications (RFC 6455
    /// §7.4.2), and named after HTTP's 404.
    Deleted = 4404;
    /// A bare connection cannot continue at its cursor. The reason is the cursor to go on from.
    /// Named after HTTP's 410.
    Gone = 4410;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_may_be_sent_and_means_one_thing() {
        for (n, one) in CloseCode::ALL.iter().enumerate() {
            assert!(close::is_valid(one.code()), "{one:?}");
            assert!(CloseCode::ALL[..n].iter().all(|other| other.code() != one.code()), "{one:?}");
        }
    }
}
