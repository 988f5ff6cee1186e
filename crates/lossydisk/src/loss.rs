//! What a power cut does to the changes that were not synced.

use tidewire_testkit::Rng;

/// What a power cut does to the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The disk had written everything, as after a clean shutdown.
    Nothing,
    /// The disk had written nothing since the last sync.
    AllUnsynced,
    /// Each change is kept, dropped or torn, independent of its order. The same changes and the
    /// same seed lose the same bytes.
    Seed(u64),
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All its sectors reach the disk.
    Kept,
    /// None of them.
    Dropped,
    /// Each of them or not, by a coin.
    Torn,
}

/// Draws the fates of the changes of one power cut.
#[derive(Debug)]
pub(crate) struct Dice {
    rng: Rng,
    /// How many changes in a hundred are kept.
    kept: usize,
    /// How many of the others are torn, in a hundred.
    torn: usize,
}

impl Dice {
    pub(crate) fn new(loss: Loss) -> Self {
        match loss {
            Loss::Nothing => Self { rng: Rng::new(0), kept: 100, torn: 0 },
            Loss::AllUnsynced => Self { rng: Rng::new(0), kept: 0, torn: 0 },
            Loss::Seed(seed) => {
                // With one constant chance, a long run of kept or of lost changes never happens.
                // So each cut has chances of its own.
                let mut rng = Rng::new(seed);
                let kept = *rng.pick(&[0, 10, 30, 50, 70, 90, 97]);
                let torn = *rng.pick(&[5, 30, 80]);
                Self { rng, kept, torn }
            }
        }
    }

    /// The fate of a write.
    pub(crate) fn write(&mut self) -> Fate {
        if self.rng.chance(self.kept) {
            Fate::Kept
        } else if self.rng.chance(self.torn) {
            Fate::Torn
        } else {
            Fate::Dropped
        }
    }

    /// Whether a change that cannot be torn is kept.
    pub(crate) fn keep(&mut self) -> bool {
        self.rng.chance(self.kept)
    }

    /// Whether a sector of a torn write is kept.
    pub(crate) fn coin(&mut self) -> bool {
        self.rng.chance(50)
    }
}
