//! The checksum of a row.
//!
//! A bit that flips on a disk may change a number into another good number, and SQLite does not
//! notice it. So each row has a CRC-32 over all that it says.

use crc32fast::Hasher;

/// A CRC-32 over the columns of a row, in order. Texts and blobs go in with their lengths, so that
/// no byte can move from one column to the next.
#[derive(Clone, Debug)]
pub(crate) struct Sum(Hasher);

impl Sum {
    pub(crate) fn new() -> Self {
        Self(Hasher::new())
    }

    pub(crate) fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }

    /// A `u64`, which a column has as the `i64` with the same bits.
    pub(crate) fn number(self, value: u64) -> Self {
        self.int(value.cast_signed())
    }

    /// A column that may be NULL: NULL differs from an empty text.
    pub(crate) fn text(self, text: Option<&str>) -> Self {
        match text {
            None => self.int(-1),
            Some(text) => self.blob(text.as_bytes()),
        }
    }

    pub(crate) fn blob(self, bytes: &[u8]) -> Self {
        let mut sum = self.number(bytes.len() as u64);
        sum.0.update(bytes);
        sum
    }

    /// The value of the column `sum`.
    pub(crate) fn get(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_cannot_move_to_the_next_column() {
        let sums = [
            Sum::new().text(None).text(None),
            Sum::new().text(Some("")).text(None),
            Sum::new().text(None).text(Some("")),
            Sum::new().text(Some("ab")).text(Some("c")),
            Sum::new().text(Some("a")).text(Some("bc")),
            Sum::new().int(1).int(0),
            Sum::new().int(0).int(1),
        ];
        let sums: std::collections::BTreeSet<i64> = sums.into_iter().map(Sum::get).collect();
        assert_eq!(sums.len(), 7);
    }
}
