//! The masking of RFC 6455 §5.3: byte `i` of a payload is XORed with byte `i mod 4` of the key.
//! Masking twice is unmasking.

/// Masks or unmasks `data`. Returns the key, rotated for the byte that follows.
///
/// A payload that arrives in pieces is unmasked piece by piece:
///
/// ```
/// let key = [0x37, 0xfa, 0x21, 0x3d];
/// let mut wire = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (a, b) = wire.split_at_mut(3);
/// let key = tidewire_ws::mask::apply(key, a);
/// assert_eq!(key, [0x3d, 0x37, 0xfa, 0x21]);
/// tidewire_ws::mask::apply(key, b);
/// assert_eq!(&wire, b"Hello");
/// ```
#[inline]
pub fn apply(key: [u8; 4], data: &mut [u8]) -> [u8; 4] {
    // The compiler turns this loop over words of eight bytes into its widest vectors, so it runs at
    // memory speed without `unsafe`.
    let mut k = u32::from_le_bytes(key);
    let wide = u64::from(k) << 32 | u64::from(k);
    let mut words = data.chunks_exact_mut(8);
    for word in words.by_ref().filter_map(as_array::<8>) {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    let mut half = words.into_remainder().chunks_exact_mut(4);
    for word in half.by_ref().filter_map(as_array::<4>) {
        *word = (u32::from_le_bytes(*word) ^ k).to_le_bytes();
    }
    for byte in half.into_remainder() {
        let [first, ..] = k.to_le_bytes();
        *byte ^= first;
        k = k.rotate_right(8);
    }
    k.to_le_bytes()
}

/// The type that `as_chunks_mut` of Rust 1.88 gives at once. Each chunk has the length, so the
/// check costs nothing.
fn as_array<const N: usize>(chunk: &mut [u8]) -> Option<&mut [u8; N]> {
    chunk.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::apply;
    use alloc::vec::Vec;

    /// The algorithm of RFC 6455 §5.3, as the oracle.
    fn naive(key: [u8; 4], data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    #[test]
    fn masking_agrees_with_the_oracle_at_every_length_and_cut() {
        let key = [1, 20, 133, 255];
        for len in 0..70 {
            let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let mut expected = plain.clone();
            naive(key, &mut expected);
            for cut in 0..=len {
                let mut got = plain.clone();
                let (a, b) = got.split_at_mut(cut);
                apply(apply(key, a), b);
                assert_eq!(got, expected, "length {len}, cut at {cut}");
            }
        }
    }
}
