//! The suite that every store passes, in each mode, and with folds that are as small as can be.

macro_rules! suite {
    ($($mode:ident: $sync:ident, $tuning:expr;)*) => {
        $(mod $mode {
            use crate::SyncMode;
            use crate::upkeep::Tuning;
            use crate::tests::fixture::{OnDisk, TINY};

            const TUNING: Tuning = {
                let _ = TINY;
                $tuning
            };

            tidewire_store::store_suite!(|| OnDisk::of(SyncMode::$sync, TUNING));
        })*
    };
}

suite! {
    always: Always, Tuning::DEFAULT;
    interval: Interval, Tuning::DEFAULT;
    never: Never, Tuning::DEFAULT;
    folding: Never, TINY;
}
