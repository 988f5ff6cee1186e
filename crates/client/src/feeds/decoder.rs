//! The trait of the feeds over a streamed response.

use crate::Error;
use crate::item::Item;

/// Decodes the body of a streamed response, in any number of pieces.
pub(crate) trait ItemDecoder: Send {
    /// Appends the items that `bytes` complete.
    fn decode(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Error>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::item::tests::texts;

    /// Decodes `wire` whole and in two pieces cut at every place. All must give the same items,
    /// which are returned.
    pub(crate) fn at_every_cut<D: ItemDecoder>(wire: &[u8], make: impl Fn() -> D) -> Vec<Item> {
        let decode = |pieces: &[&[u8]]| {
            let (mut decoder, mut items) = (make(), Vec::new());
            for piece in pieces {
                decoder.decode(piece, &mut items).unwrap();
            }
            items
        };
        let whole = decode(&[wire]);
        for cut in 0..=wire.len() {
            let (a, b) = wire.split_at(cut);
            assert_eq!(texts(&decode(&[a, b])), texts(&whole), "cut at {cut}");
        }
        whole
    }
}
