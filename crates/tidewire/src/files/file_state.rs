//! The state of a file, and whether it makes a strong or a weak validator (RFC 9110 §8.8.1).
//!
//! Programs can set the modification time to any value: `cp -p`, `rsync -t`, `tar` and package
//! managers may give the same time to different bytes. The kernel sets the time of *change*
//! (ctime). It moves with every write, rename, link and change of mode, and no program can set it
//! back. So the date of a file is its change time here, if the system has one.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// The state of a file, as the file system reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    pub(super) len: u64,
    modified: Option<SystemTime>,
    /// The last change of the file's bytes or attributes. Only Unix reports this time.
    changed: Option<SystemTime>,
    /// The device and the inode number. A file that replaces another has a different inode number.
    /// On systems other than Unix: the time when the file was created.
    identity: (u64, u64),
}

/// The kind of validators that a state of a file makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Strong validators: no other state of the file looks like this one.
    Strong,
    /// Weak validators: another state may look like this one, but hardly by accident.
    Weak,
    /// No validators: another state may look like this one now, or at any later moment.
    Unusable,
}

/// How long after a change another change may have the same time. The clocks of kernels tick every
/// 1 to 10 ms. Those of some file systems tick every one or two seconds.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The year 1990. Tools that make reproducible builds set earlier dates: the first second or two of
/// 1970 (Nix), 1980 (zip files), 1985 (npm).
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
            // Any program can set the modification time. A change time in whole seconds comes from
            // a file system without a precise clock: a package image that is made from a list of
            // times, or a network file system that copies the modification time.
            Strength::Weak
        } else {
            Strength::Strong
        }
    }

    /// Returns the time of the last change in whole seconds, as HTTP writes it; `None` if a later
    /// state can have the same time. It is in the past, so it is not after `Date`
    /// (RFC 9110 §8.8.2.1).
    pub(super) fn date(&self, now: SystemTime) -> Option<SystemTime> {
        let since = self.changed?.duration_since(UNIX_EPOCH).ok()?;
        (self.strength(now) == Strength::Strong).then(|| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }

    /// Returns the entity tag of a file that is too long to read for a tag. It is a hash, so that
    /// it does not reveal inode numbers.
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

/// Returns the strong entity tag of these bytes. It does not depend on the file that holds them.
pub(super) fn content_tag(bytes: &[u8]) -> String {
    entity_tag("", &Sha256::digest(bytes))
}

/// Returns an entity tag from the first 128 bits of a hash, which are enough.
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
    fn a_tag_depends_on_the_whole_state() {
        let tag = state().tag(later()).unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        assert_eq!(state().tag(later() + SETTLE_TIME), Some(tag.clone()), "and on nothing else");
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
    fn only_a_unique_state_makes_a_strong_validator() {
        let day = Duration::from_secs(86_400);
        let coarse = Duration::from_secs(CHANGED.as_secs());
        let one = Duration::from_nanos(1);
        for (what, state, now, strength) in [
            ("settled", state(), later(), Strength::Strong),
            ("set back by hand", FileState { modified: Some(at(one)), ..state() }, later(), Strength::Strong),
            ("within the settle time", state(), later() - one, Strength::Unusable),
            ("in the future", state(), at(CHANGED - day), Strength::Unusable),
            (
                "set by a packing tool",
                FileState { changed: Some(at(one)), ..state() },
                later(),
                Strength::Unusable,
            ),
            ("in whole seconds", FileState { changed: Some(at(coarse)), ..state() }, later(), Strength::Weak),
            ("without a change time", FileState { changed: None, ..state() }, later(), Strength::Weak),
            (
                "without a change time, set by a packing tool",
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
            assert_eq!(state.date(now), date, "{what}: only a strong state has a date");
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
