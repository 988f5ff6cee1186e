//! The units of a batch: where each begins, and what a reader has when the one before it is out.
//!
//! ```text
//!   batch      │ message 5 │ message 6 │ message 7 │ message 8 │
//!   written    ├───────────────────┤
//!   kept                           └───┘  then the log is read on, from after message 6
//! ```
//!
//! Every unit moves the position in one channel, so a boundary notes where that channel was before.
//! Then the positions at a boundary are those at the end of the batch, with the later units undone.

use tidewire_channel::Cursor;

use crate::positions::Positions;
use crate::reader::Moved;

/// The boundaries between the units of a batch.
#[derive(Debug, Default)]
pub(crate) struct Units {
    any: bool,
    boundaries: Vec<Boundary>,
}

/// The begin of a unit that is not the first.
#[derive(Debug)]
struct Boundary {
    /// Bytes of the batch before it.
    at: usize,
    /// The channel that the unit is of, and the position there before it.
    channel: usize,
    before: Cursor,
}

impl Units {
    /// A unit begins behind so many bytes. Most batches are one unit, for which nothing is noted.
    pub(crate) fn begin(&mut self, at: usize, moved: Moved) {
        if std::mem::replace(&mut self.any, true) {
            self.boundaries.push(Boundary { at, channel: moved.channel, before: moved.before });
        }
    }

    /// Where a reader may leave a batch of which `written` bytes are out: after the unit that was
    /// cut, or after later ones as long as that is not more than `most` bytes on. Also what the
    /// reader has there. `end` is what it has after the whole batch; `None` if it is to take that.
    pub(crate) fn leave(&self, written: usize, most: usize, end: &Positions) -> Option<(usize, Positions)> {
        let cut = self.boundaries.partition_point(|boundary| boundary.at <= written);
        let within = self.boundaries.partition_point(|boundary| boundary.at <= written.saturating_add(most));
        let index = within.checked_sub(1).filter(|&last| last >= cut).unwrap_or(cut);
        let left = &self.boundaries[index..];
        let at = left.first()?.at;
        let mut positions = end.clone();
        for boundary in left.iter().rev() {
            positions.0[boundary.channel] = boundary.before;
        }
        Some((at, positions))
    }
}

#[cfg(test)]
mod tests {
    use tidewire_channel::Epoch;

    use super::*;

    fn at(seqs: [u64; 2]) -> Positions {
        Positions(seqs.map(|seq| Cursor::new(Epoch::new(1), seq)).into())
    }

    /// Units of ten bytes: five messages of one channel, then five of another.
    fn units() -> Units {
        let mut units = Units::default();
        for n in 0..10 {
            let (channel, seq) = (n / 5, (n % 5) as u64);
            units.begin(10 * n, Moved { channel, before: Cursor::new(Epoch::new(1), seq) });
        }
        units
    }

    #[test]
    fn the_unit_that_was_cut_is_kept_and_no_other() {
        let end = at([5, 5]);
        for written in 0..100_usize {
            let has = written / 10 + 1;
            let expected = at([has.min(5) as u64, has.saturating_sub(5) as u64]);
            let left = units().leave(written, 0, &end);
            assert_eq!(left, (has < 10).then_some((10 * has, expected)), "{written} bytes");
        }
    }

    #[test]
    fn as_many_units_are_kept_as_may_be() {
        let end = at([5, 5]);
        assert_eq!(units().leave(15, 5, &end), Some((20, at([2, 0]))));
        assert_eq!(units().leave(15, 24, &end), Some((30, at([3, 0]))));
        assert_eq!(units().leave(15, 45, &end), Some((60, at([5, 1]))));
        assert_eq!(units().leave(15, 75, &end), Some((90, at([5, 4]))));
        assert_eq!(Units::default().leave(15, 0, &end), None, "one unit");
    }
}
