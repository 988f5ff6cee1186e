use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`: base64 of the SHA-1 of the key's
/// text and a fixed text (RFC 6455 §4.2.2 (5.4)). It proves only that the server speaks WebSocket.
///
/// ```
/// use tidewire_ws::handshake::accept_key;
/// assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut out = [0; 28];
    let written = STANDARD.encode_slice(digest.as_slice(), &mut out);
    debug_assert_eq!(written, Ok(28), "base64 of 20 bytes");
    out
}

/// Whether `key` is base64 of 16 bytes (RFC 6455 §4.2.1 (5)).
pub(super) fn is_key(key: &[u8]) -> bool {
    // 24 characters decode to 18 bytes at most, of which two may be padding.
    let mut nonce = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

/// The key of a client: base64 of its nonce.
pub(super) fn encode_key(nonce: [u8; 16]) -> [u8; 24] {
    let mut out = [0; 24];
    let written = STANDARD.encode_slice(nonce, &mut out);
    debug_assert_eq!(written, Ok(24), "base64 of 16 bytes");
    out
}

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::{encode_key, is_key};

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(&encode_key([0xff; 16])));
        for bad in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZWE=",
            b"dGhlIHNhbXBsZSBub25jZWFi",
            b"dGhlIHNhbXBsZSBub25jZR==",
            b"dGhlIHNhbXBsZSBub25j*Q==",
            b" GhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert!(!is_key(bad), "{}", bad.escape_ascii());
        }
    }
}
