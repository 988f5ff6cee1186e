//! The units of a batch: where each begins, and the position of a reader before it. A unit is one
//! message or notice. A slow reader keeps only the rest of the unit that the socket cut:
//!
//! ```text
//!   batch      │ message 5 │ message 6 │ message 7 │ message 8 │
//!   written    ├───────────────────┤
//!   kept                           └───┘  then the reader continues in the log after message 6
//! ```
//!
//! Every unit moves the position in one channel, so a boundary stores the position in that channel
//! before the unit. The positions at a boundary are those at the end of the batch, with the later
//! units undone.

use tidewire_channel::Cursor;

use crate::positions::Positions;
use crate::reader::Moved;

/// The boundaries between the units of a batch.
#[derive(Debug, Default)]
pub(crate) struct Units {
    any: bool,
    boundaries: Vec<Boundary>,
}

/// The start of a unit that is not the first.
#[derive(Debug)]
struct Boundary {
    /// The number of bytes before it in the batch.
    at: usize,
    /// The channel of the unit, and the position in it before the unit.
    channel: usize,
    before: Cursor,
}

impl Units {
    /// Notes that a unit begins at byte `at`. Nothing is stored for the first: most batches are one
    /// unit.
    pub(crate) fn begin(&mut self, at: usize, moved: Moved) {
        if std::mem::replace(&mut self.any, true) {
            self.boundaries.push(Boundary { at, channel: moved.channel, before: moved.before });
        }
    }

    /// The place where a reader may stop after `written` bytes of a batch, and the positions there.
    /// It is the end of the unit that was cut. Or it is the end of a later unit, at most `most`
    /// bytes after `written`. `end` are the positions after the whole batch. `None` means that the
    /// reader takes the whole batch.
    pub(crate) fn stop_after(
        &self,
        written: usize,
        most: usize,
        end: &Positions,
    ) -> Option<(usize, Positions)> {
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
    fn only_the_cut_unit_is_kept() {
        let end = at([5, 5]);
        for written in 0..100_usize {
            let has = written / 10 + 1;
            let expected = at([has.min(5) as u64, has.saturating_sub(5) as u64]);
            let left = units().stop_after(written, 0, &end);
            assert_eq!(left, (has < 10).then_some((10 * has, expected)), "{written} bytes");
        }
    }

    #[test]
    fn later_units_are_kept_up_to_the_limit() {
        let end = at([5, 5]);
        assert_eq!(units().stop_after(15, 5, &end), Some((20, at([2, 0]))));
        assert_eq!(units().stop_after(15, 24, &end), Some((30, at([3, 0]))));
        assert_eq!(units().stop_after(15, 45, &end), Some((60, at([5, 1]))));
        assert_eq!(units().stop_after(15, 75, &end), Some((90, at([5, 4]))));
        assert_eq!(Units::default().stop_after(15, 0, &end), None, "the batch is one unit");
    }
}
