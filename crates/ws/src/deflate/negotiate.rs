//! The negotiation of the parameters of permessage-deflate (RFC 7692 §7.1).

use crate::role::Side;
use alloc::string::String;
use core::fmt::Write as _;
use tidewire_grammar::{eq_ignore_case, list, value_and_params};

/// How an endpoint wants to use permessage-deflate.
///
/// ```
/// use tidewire_ws::deflate::Config;
/// use tidewire_ws::handshake::server::Options;
/// const LONG_MESSAGES: Config = Config::DEFAULT.with_threshold(4096).with_level(6);
/// let options = Options::DEFAULT.with_deflate(LONG_MESSAGES);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether each direction may refer to earlier messages. Default: no, because it costs memory.
    pub context_takeover: bool,
    /// Messages shorter than this many bytes are sent uncompressed. Default 512 bytes, as in Go's
    /// `coder/websocket`: without context, shorter messages shrink little or not at all.
    pub threshold: u16,
    /// The compression level, 1 to 9. Default 1: it is 2.6 times (for 128 B) to 30 times (for 16
    /// KiB) as fast as zlib's default 6, and saves more than four fifths of the bytes that level 6
    /// saves (`cargo bench -p tidewire-ws --all-features --bench codec -- deflate`).
    pub level: u8,
    /// The base-2 logarithm of the largest window to compress with and, with context takeover, to
    /// inflate with: 9 to 15. Other values count as the nearest. Default 15, 32 KiB.
    pub max_window_bits: u8,
}

impl Config {
    /// The defaults. Each field gives the reason for its default.
    pub const DEFAULT: Self =
        Self { context_takeover: false, threshold: 512, level: 1, max_window_bits: MAX_BITS };

    /// The same, with or without context takeover.
    #[must_use]
    pub const fn with_context_takeover(mut self, takeover: bool) -> Self {
        self.context_takeover = takeover;
        self
    }

    /// The same with another minimum length, in bytes, of messages to compress.
    #[must_use]
    pub const fn with_threshold(mut self, bytes: u16) -> Self {
        self.threshold = bytes;
        self
    }

    /// The same with another compression level, 1 to 9.
    #[must_use]
    pub const fn with_level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// The same with another largest window, 9 to 15 bits.
    #[must_use]
    pub const fn with_max_window_bits(mut self, bits: u8) -> Self {
        self.max_window_bits = bits;
        self
    }

    fn max_bits(&self) -> u8 {
        self.max_window_bits.clamp(MIN_OWN_BITS, MAX_BITS)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The parameters that both ends agreed on.
///
/// ```
/// use tidewire_ws::handshake::server::{Options, accept};
/// use tidewire_ws::{Connection, Limits, Server, deflate::Config};
/// let fields = [
///     ("host", "example.com"),
///     ("upgrade", "websocket"),
///     ("connection", "Upgrade"),
///     ("sec-websocket-version", "13"),
///     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=10"),
/// ];
/// let config = Config::DEFAULT;
/// let accept = accept("GET", (1, 1), fields, &Options::DEFAULT.with_deflate(config)).unwrap();
/// let params = accept.deflate().expect("the client offered it");
/// assert_eq!((params.server_max_window_bits, params.takes_shared()), (10, false));
/// let connection = Connection::<Server>::new(Limits::DEFAULT).with_deflate(params, &config);
/// # let _ = connection;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The server compresses each message without reference to earlier ones.
    pub server_no_context_takeover: bool,
    /// The client compresses each message without reference to earlier ones.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's window, 8 to 15.
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

impl Params {
    /// Reads the answer of a server: the value of `Sec-WebSocket-Extensions` in its 101. For who
    /// reads a connection of others, such as a capture or a proxy. A client of this crate gets the
    /// parameters from [`Agreed::deflate`](crate::handshake::client::Agreed::deflate), which also
    /// checks them against its offer.
    ///
    /// `None` if the answer is not one valid `permessage-deflate`.
    ///
    /// ```
    /// use tidewire_ws::deflate::{Config, Params};
    /// use tidewire_ws::{Connection, Event, Limits, Server};
    ///
    /// let params = Params::from_answer("permessage-deflate; client_max_window_bits=10").unwrap();
    /// assert_eq!((params.client_max_window_bits, params.server_max_window_bits), (10, 15));
    /// // What the client sent, as its server reads it:
    /// let mut up = Connection::<Server>::new(Limits::DEFAULT).with_deflate(params, &Config::DEFAULT);
    /// let mut frame = *b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00";
    /// assert_eq!(up.decode(&mut frame).unwrap().1, Some(Event::Text("Hello")));
    /// ```
    #[must_use]
    pub fn from_answer(value: impl AsRef<[u8]>) -> Option<Self> {
        // A config that asks for nothing: then every valid answer fits.
        agree(value.as_ref(), &Config::DEFAULT.with_context_takeover(true))
    }

    /// Whether a server may send messages that were compressed once for many connections: see
    /// [`encode_message`](super::encode_message). False if the client asked for a window smaller
    /// than the full one.
    #[must_use]
    pub const fn takes_shared(&self) -> bool {
        self.server_max_window_bits == MAX_BITS
    }

    /// Whether the compressor of this side keeps its context, and the bits of its window.
    pub(crate) const fn of_compressor(&self, side: Side) -> (bool, u8) {
        match side {
            Side::Server => (!self.server_no_context_takeover, self.server_max_window_bits),
            Side::Client => (!self.client_no_context_takeover, self.client_max_window_bits),
        }
    }
}

/// Returns the server's choice among the offers of one field line, and the answer for it. Skips
/// offers that are unknown, malformed or impossible to meet, as RFC 7692 §7 demands. None of them
/// is an error.
///
/// `budget` is the number of offers that may still be read in this handshake.
pub(crate) fn choose(value: &[u8], config: &Config, budget: &mut usize) -> Option<(Params, String)> {
    for offer in list(value) {
        *budget = budget.checked_sub(1)?;
        if let Some(chosen) = ExtensionElement::parse(offer, true).and_then(|offer| answer(&offer, config)) {
            return Some(chosen);
        }
    }
    None
}

/// Whether a message of `len` bytes is long enough to be compressed. An empty one never is, because
/// it leaves nothing to flush.
pub(crate) fn is_long_enough(len: usize, threshold: u16) -> bool {
    len >= usize::from(threshold).max(1)
}

/// The number of offers that are read. Browsers send one, clients with fallbacks two or three.
pub(crate) const MAX_OFFERS: usize = 8;

fn answer(offer: &ExtensionElement, config: &Config) -> Option<(Params, String)> {
    let server_bits = config.max_bits().min(offer.server_bits.unwrap_or(MAX_BITS));
    if server_bits < MIN_OWN_BITS {
        // A window of 256 bytes is legal, but zlib's compressor for it is known to be broken.
        return None;
    }
    let mut params = Params {
        // RFC 7692 §7.1.1.1 (3), RFC 7692 §7.1.1.2 (3): the answer may contain both, even if they
        // were not offered.
        server_no_context_takeover: offer.server_no_context || !config.context_takeover,
        client_no_context_takeover: offer.client_no_context || !config.context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: MAX_BITS,
    };
    let mut text = String::from(NAME);
    if params.server_no_context_takeover {
        text.push_str("; server_no_context_takeover");
    }
    if params.client_no_context_takeover {
        text.push_str("; client_no_context_takeover");
    }
    // RFC 7692 §7.1.2.1 (1): an offered parameter must be answered.
    if offer.server_bits.is_some() || server_bits < MAX_BITS {
        let _ = write!(text, "; server_max_window_bits={server_bits}");
    }
    // RFC 7692 §7.1.2.2 (1): answered only if offered. A smaller window saves memory only if the
    // inflater is kept.
    if let Some(offered) = offer.client_bits {
        let hint = offered.unwrap_or(MAX_BITS);
        let bits = if params.client_no_context_takeover { hint } else { hint.min(config.max_bits()) };
        if bits < MAX_BITS {
            let _ = write!(text, "; client_max_window_bits={bits}");
            params.client_max_window_bits = bits;
        }
    }
    Some((params, text))
}

/// The field value with which a client offers permessage-deflate.
pub(crate) fn offer(config: &Config) -> String {
    let mut text = String::from(NAME);
    if !config.context_takeover {
        text.push_str("; server_no_context_takeover; client_no_context_takeover");
    }
    if config.max_bits() < MAX_BITS {
        let _ = write!(text, "; server_max_window_bits={}", config.max_bits());
    }
    text.push_str("; client_max_window_bits");
    text
}

/// The parameters in a server's answer to [`offer`]. `None` if the answer does not fit the offer.
pub(crate) fn agree(value: &[u8], config: &Config) -> Option<Params> {
    let mut elements = list(value);
    let terms = ExtensionElement::parse(elements.next()?, false)?;
    if elements.next().is_some() {
        return None;
    }
    // RFC 7692 §7 (8): the server must grant what the client asked for.
    if !config.context_takeover && !terms.server_no_context {
        return None;
    }
    let asked = config.max_bits();
    if asked < MAX_BITS && terms.server_bits.is_none_or(|bits| bits > asked) {
        return None;
    }
    Some(Params {
        server_no_context_takeover: terms.server_no_context,
        client_no_context_takeover: terms.client_no_context || !config.context_takeover,
        server_max_window_bits: terms.server_bits.unwrap_or(MAX_BITS),
        client_max_window_bits: terms.client_bits.flatten().unwrap_or(MAX_BITS).min(asked),
    })
}

/// One element of `Sec-WebSocket-Extensions` that is a well-formed permessage-deflate.
#[derive(Debug, Default, PartialEq, Eq)]
struct ExtensionElement {
    server_no_context: bool,
    client_no_context: bool,
    server_bits: Option<u8>,
    /// `Some(None)`: present without a value, which is valid only in an offer.
    client_bits: Option<Option<u8>>,
}

impl ExtensionElement {
    /// RFC 7692 §7 (1) to (3), and RFC 7692 §7 (5) to (7): an element is declined if a parameter is
    /// unknown or repeated, or if its value is missing, superfluous or impossible.
    fn parse(element: &[u8], is_offer: bool) -> Option<Self> {
        let (name, params) = value_and_params(element);
        if !eq_ignore_case(name, NAME.as_bytes()) {
            return None;
        }
        let mut terms = Self::default();
        for param in params {
            let param = param.ok()?;
            let is = |name: &[u8]| eq_ignore_case(param.name, name);
            let bits = param.value.map(|value| (8..=MAX_BITS).find(|bits| value.is(decimal(*bits))));
            let fresh = if is(b"server_no_context_takeover") {
                param.value.is_none() && !core::mem::replace(&mut terms.server_no_context, true)
            } else if is(b"client_no_context_takeover") {
                param.value.is_none() && !core::mem::replace(&mut terms.client_no_context, true)
            } else if is(b"server_max_window_bits") {
                terms.server_bits.replace(bits??).is_none()
            } else if is(b"client_max_window_bits") {
                let bits = match bits {
                    Some(bits) => Some(bits?),
                    None if is_offer => None,
                    None => return None,
                };
                terms.client_bits.replace(bits).is_none()
            } else {
                false
            };
            if !fresh {
                return None;
            }
        }
        Some(terms)
    }
}

/// RFC 7692 §7.1.2.1 (4), RFC 7692 §7.1.2.2 (4): digits without a leading zero.
const fn decimal(bits: u8) -> &'static [u8] {
    match bits {
        8 => b"8",
        9 => b"9",
        10 => b"10",
        11 => b"11",
        12 => b"12",
        13 => b"13",
        14 => b"14",
        _ => b"15",
    }
}

const NAME: &str = "permessage-deflate";
pub(super) const MAX_BITS: u8 = 15;
/// The smallest window that zlib compresses with.
pub(super) const MIN_OWN_BITS: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(value: &str, config: &Config) -> Option<String> {
        choose(value.as_bytes(), config, &mut MAX_OFFERS.clone()).map(|(_, text)| text)
    }

    const TAKEOVER: Config = Config { context_takeover: true, ..Config::DEFAULT };

    #[test]
    fn a_server_answers_the_first_offer_that_it_can_meet() {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (offers, expected) in [
            ("permessage-deflate", plain),
            ("Permessage-Deflate ; client_max_window_bits", plain),
            ("x-webkit-deflate-frame, permessage-deflate", plain),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", plain),
            (
                "permessage-deflate; nonsense, permessage-deflate; client_max_window_bits=16, \
                 permessage-deflate",
                plain,
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits=8",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10; client_max_window_bits=8",
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=15",
            ),
        ] {
            assert_eq!(server(offers, &Config::DEFAULT).as_deref(), Some(expected), "{offers}");
        }
        assert_eq!(server("permessage-deflate", &TAKEOVER).as_deref(), Some("permessage-deflate"));
        let small = Config { max_window_bits: 10, ..TAKEOVER };
        assert_eq!(
            server("permessage-deflate; client_max_window_bits", &small).as_deref(),
            Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=10")
        );
        assert_eq!(
            server("permessage-deflate; client_no_context_takeover", &small).as_deref(),
            Some("permessage-deflate; client_no_context_takeover; server_max_window_bits=10")
        );
    }

    #[test]
    fn offers_with_duplicate_unknown_or_impossible_parameters_are_declined() {
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflate-2",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=9.0",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=1000000000000000000000",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=\"9",
            "permessage-deflate; unknown",
            "permessage-deflate; constructor",
            "permessage-deflate; server_max_window_bits=8",
        ] {
            assert_eq!(server(offer, &Config::DEFAULT), None, "{offer}");
        }
    }

    #[test]
    fn at_most_eight_offers_are_read() {
        let mut nine = "x, ".repeat(8);
        nine.push_str("permessage-deflate");
        assert_eq!(server(&nine, &Config::DEFAULT), None);
        assert!(server(&nine[3..], &Config::DEFAULT).is_some());
    }

    #[test]
    fn a_client_takes_only_what_it_asked_for() {
        let params = |s, c, sb, cb| Params {
            server_no_context_takeover: s,
            client_no_context_takeover: c,
            server_max_window_bits: sb,
            client_max_window_bits: cb,
        };
        let agree = |text: &str, config: &Config| agree(text.as_bytes(), config);
        assert_eq!(agree("permessage-deflate", &TAKEOVER), Some(params(false, false, 15, 15)));
        assert_eq!(
            agree("permessage-deflate; client_max_window_bits=8; server_max_window_bits=8", &TAKEOVER),
            Some(params(false, false, 8, 8))
        );
        assert_eq!(agree("permessage-deflate", &Config::DEFAULT), None, "it asked for no context takeover");
        assert_eq!(
            agree("permessage-deflate; server_no_context_takeover", &Config::DEFAULT),
            Some(params(true, true, 15, 15))
        );
        let small = Config { max_window_bits: 10, ..TAKEOVER };
        assert_eq!(agree("permessage-deflate; server_max_window_bits=11", &small), None);
        assert_eq!(agree("permessage-deflate", &small), None);
        assert_eq!(
            agree("permessage-deflate; server_max_window_bits=9", &small),
            Some(params(false, false, 9, 10))
        );
        for wrong in [
            "",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate, x-webkit-deflate-frame",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=40",
            "permessage-deflate; unknown",
            "x-webkit-deflate-frame",
        ] {
            assert_eq!(agree(wrong, &TAKEOVER), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_read_without_its_offer() {
        for (answer, expected) in [
            ("permessage-deflate", Some((false, false, 15, 15))),
            (
                "Permessage-Deflate; server_no_context_takeover; client_max_window_bits=\"9\"",
                Some((true, false, 15, 9)),
            ),
            (
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=8",
                Some((false, true, 8, 15)),
            ),
            ("permessage-deflate; client_max_window_bits", None),
            ("permessage-deflate, permessage-deflate", None),
            ("x-webkit-deflate-frame", None),
            ("", None),
        ] {
            let params = Params::from_answer(answer).map(|params| {
                let Params { server_no_context_takeover: s, client_no_context_takeover: c, .. } = params;
                (s, c, params.server_max_window_bits, params.client_max_window_bits)
            });
            assert_eq!(params, expected, "{answer}");
        }
    }

    #[test]
    fn both_roles_understand_each_other() {
        for context_takeover in [false, true] {
            for client_bits in 9..=15 {
                for server_bits in 9..=15 {
                    let client = Config { context_takeover, max_window_bits: client_bits, ..Config::DEFAULT };
                    let server = Config { context_takeover, max_window_bits: server_bits, ..Config::DEFAULT };
                    let (chosen, text) = choose(offer(&client).as_bytes(), &server, &mut 1).unwrap();
                    let agreed = super::agree(text.as_bytes(), &client).unwrap();
                    assert_eq!(agreed.server_max_window_bits, chosen.server_max_window_bits);
                    assert!(agreed.client_max_window_bits <= chosen.client_max_window_bits);
                    assert_eq!(agreed.client_no_context_takeover, chosen.client_no_context_takeover);
                    assert_eq!(agreed.server_no_context_takeover, chosen.server_no_context_takeover);
                }
            }
        }
    }
}
