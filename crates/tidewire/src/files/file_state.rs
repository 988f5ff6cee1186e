//! What tells one state of a file from another, and whether it makes a strong or a weak validator
//! (RFC 9110 §8.8.1).
//!
//! Programs can set the modification time to any value: `cp -p`, `rsync -t`, `tar` and package
//! managers give the same time to other bytes. The kernel sets the time of *change* (ctime): it
//! moves with every write, rename, link and change of mode, and no program can set it back. So the
//! change time is the date of a file here, where there is one.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// The state of a file, as the file system reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    pub(super) len: u64,
    modified: Option<SystemTime>,
    /// When anything about it changed last. Only Unix reports that.
    changed: Option<SystemTime>,
    /// The device and the inode number, which a file that replaces another does not share with it.
    /// On systems other than Unix: the time when the file was made.
    identity: (u64, u64),
}

/// Which validators a state makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Strong ones: no other state of the file looks like this one.
    Strong,
    /// Weak ones: another state may look like this one, but hardly by accident.
    Weak,
    /// None: another state may look like this one, or may do so at any moment.
    Unusable,
}

/// How long after a change another change may have the same time. Kernels tick every 1 to 10 ms;
/// the clocks of some file systems every second, or every two.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The year 1990. Dates before it are set by tools that want each build to be equal: the first
/// second or two of 1970 (Nix), 1980 (zip files), 1985 (npm).
const EARLIEST_REAL_TIME: Duration = Duration::from_secs(631_152_000);

impl FileState {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let (changed, identity) = change_time_and_identity(metadata);
        FileState { len: metadata.len(), modified: metadata.modified().ok(), changed, identity }
    }

    pub(super) fn strength(&self, now: SystemTime) -> Strength {
        let Some(time) = self.changed.or(self.modified) else { return Strength::Unusable };
        let is_settled = now.duration_since(time).is_ok_and(|age| age >= SETTLE_TIME);
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if !is_settled || since < EARLIEST_REAL_TIME {
            Strength::Unusable
        } else if self.changed.is_none() || since.subsec_nanos() == 0 {
            // Any program can set the modification time. And a change time in whole seconds comes
            // from a file system without a clock: the image of a package that is made from a list
            // of times, or a network file system that makes one time of the other.
            Strength::Weak
        } else {
            Strength::Strong
        }
    }

    /// The time of the last change in whole seconds, as HTTP has it; only if a later state cannot
    /// have it as well. It is in the past, and so not after `Date` (RFC 9110 §8.8.2.1).
    pub(super) fn date(&self, now: SystemTime) -> Option<SystemTime> {
        let since = self.changed?.duration_since(UNIX_EPOCH).ok()?;
        (self.strength(now) == Strength::Strong).then(|| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }

    /// The entity tag of a file that is too long to be read for it. Hashed, so that it does
    /// not reveal inode numbers.
    pub(super) fn tag(&self, now: SystemTime) -> Option<String> {
        let prefix = match self.strength(now) {
            Strength::Strong => "",
            Strength::Weak => "W/",
            Strength::Unusable => return None,
        };
        let nanos = |time: Option<SystemTime>| {
            time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos())
        };
        let hash = Sha256::new()
            .chain_update(self.len.to_le_bytes())
            .chain_update(nanos(self.modified).to_le_bytes())
            .chain_update(nanos(self.changed).to_le_bytes())
            .chain_update(self.identity.0.to_le_bytes())
            .chain_update(self.identity.1.to_le_bytes())
            .finalize();
        Some(entity_tag(prefix, &hash))
    }
}

/// The strong entity tag of these bytes, wherever and whenever they were written.
pub(super) fn content_tag(bytes: &[u8]) -> String {
    entity_tag("", &Sha256::digest(bytes))
}

/// 128 bits of a hash are enough for a name.
fn entity_tag(prefix: &str, hash: &[u8]) -> String {
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}\"{digits}\"")
}

#[cfg(unix)]
fn change_time_and_identity(metadata: &Metadata) -> (Option<SystemTime>, (u64, u64)) {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok();
    let nanos = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0));
    let changed = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds) + nanos);
    (changed, (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn change_time_and_identity(metadata: &Metadata) -> (Option<SystemTime>, (u64, u64)) {
    let made = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (None, made.map_or((0, 0), |made| (made.as_secs(), made.subsec_nanos().into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: Duration = Duration::new(1_700_000_000, 5);

    fn at(since: Duration) -> SystemTime {
        UNIX_EPOCH + since
    }

    fn state() -> FileState {
        FileState { len: 16, modified: Some(at(CHANGED)), changed: Some(at(CHANGED)), identity: (1, 2) }
    }

    fn later() -> SystemTime {
        at(CHANGED + SETTLE_TIME)
    }

    #[test]
    fn everything_that_is_known_is_in_the_tag() {
        let tag = state().tag(later()).unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        assert_eq!(state().tag(later() + SETTLE_TIME), Some(tag.clone()), "and no more than that");
        let second = Duration::from_nanos(1);
        for other in [
            FileState { len: 17, ..state() },
            FileState { modified: Some(at(CHANGED - second)), ..state() },
            FileState { modified: None, ..state() },
            FileState { changed: Some(at(CHANGED - second)), ..state() },
            FileState { identity: (1, 3), ..state() },
            FileState { identity: (2, 2), ..state() },
        ] {
            assert_ne!(other.tag(later()), Some(tag.clone()), "{other:?}");
        }
        assert_ne!(content_tag(b"a"), content_tag(b"b"));
        assert!(content_tag(b"").starts_with('"'));
    }

    #[test]
    fn a_validator_is_as_strong_as_the_state_is_unique() {
        let day = Duration::from_secs(86_400);
        let coarse = Duration::from_secs(CHANGED.as_secs());
        let one = Duration::from_nanos(1);
        for (what, state, now, strength) in [
            ("settled", state(), later(), Strength::Strong),
            ("set back by hand", FileState { modified: Some(at(one)), ..state() }, later(), Strength::Strong),
            ("within the settle time", state(), later() - one, Strength::Unusable),
            ("of the future", state(), at(CHANGED - day), Strength::Unusable),
            ("of a packer", FileState { changed: Some(at(one)), ..state() }, later(), Strength::Unusable),
            ("of whole seconds", FileState { changed: Some(at(coarse)), ..state() }, later(), Strength::Weak),
            ("without a change", FileState { changed: None, ..state() }, later(), Strength::Weak),
            (
                "without a change, of a packer",
                FileState { changed: None, modified: Some(at(Duration::from_secs(1))), ..state() },
                later(),
                Strength::Unusable,
            ),
            (
                "without any time",
                FileState { changed: None, modified: None, ..state() },
                later(),
                Strength::Unusable,
            ),
        ] {
            assert_eq!(state.strength(now), strength, "{what}");
            let date = (strength == Strength::Strong).then(|| at(coarse));
            assert_eq!(state.date(now), date, "{what}: a date is no better than its state");
            let is_weak = state.tag(now).map(|tag| tag.starts_with("W/"));
            let want = match strength {
                Strength::Strong => Some(false),
                Strength::Weak => Some(true),
                Strength::Unusable => None,
            };
            assert_eq!(is_weak, want, "{what}");
        }
    }
}
