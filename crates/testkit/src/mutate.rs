//! Small changes of a good input, to test strictness: a decoder must refuse the changed input.

/// Inserts each of `bytes` at each of `places`, which are offsets in `input`, or its length. Yields
/// the place, the byte and the changed input.
pub fn insertions<'a>(
    input: &'a [u8],
    places: &'a [usize],
    bytes: &'a [u8],
) -> impl Iterator<Item = (usize, u8, Vec<u8>)> + 'a {
    places.iter().flat_map(move |place| {
        bytes.iter().map(move |byte| {
            let mut changed = input.to_vec();
            changed.insert(*place, *byte);
            (*place, *byte, changed)
        })
    })
}

/// Removes the byte at each of `places`. Yields the place and the changed input.
pub fn deletions<'a>(input: &'a [u8], places: &'a [usize]) -> impl Iterator<Item = (usize, Vec<u8>)> + 'a {
    places.iter().map(move |place| {
        let mut changed = input.to_vec();
        changed.remove(*place);
        (*place, changed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_and_every_byte_is_changed_once() {
        let all: Vec<_> = insertions(b"ab", &[0, 2], b"\r\n").map(|(_, _, changed)| changed).collect();
        assert_eq!(all, [b"\rab", b"\nab", b"ab\r", b"ab\n"]);
        let all: Vec<_> = deletions(b"ab", &[0, 1]).map(|(_, changed)| changed).collect();
        assert_eq!(all, [b"b", b"a"]);
    }
}
