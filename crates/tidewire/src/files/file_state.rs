//! What tells one state of a file from another, and how far it can be trusted.
//!
//! Programs can set the modification time to any value: `cp -p`, `rsync -t`, `tar` and package
//! managers give the same time to other bytes. The kernel sets the time of *change* (ctime): it
//! moves with every write, rename, link and change of mode, and no program can set it back. So the
//! change time is the date of a file here, where there is one.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// The state of a file, as the file system tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    modified: Option<SystemTime>,
    /// When anything about it changed last. Only Unix tells that.
    changed: Option<SystemTime>,
    /// The device and the inode number, which a file that replaces another does not share with it.
    /// On systems other than Unix: the time when the file was made.
    place: (u64, u64),
}

/// What a stamp is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It names one state and no other.
    Full,
    /// Another state may have it, but hardly by accident.
    Some,
    /// Nothing: another state may have it, or may get it at any moment.
    None,
}

/// How long after a change another change may have the same time. Kernels tick every 1 to 10 ms;
/// the clocks of some file systems every second, or every two.
const TICK: Duration = Duration::from_secs(2);

/// The year 1990. Dates before it are set by tools that want each build to be equal: the first
/// second or two of 1970 (Nix), 1980 (zip files), 1985 (npm).
const REAL: Duration = Duration::from_secs(631_152_000);

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let (changed, place) = detail(metadata);
        Stamp { len: metadata.len(), modified: metadata.modified().ok(), changed, place }
    }

    pub(super) fn trust(&self, now: SystemTime) -> Trust {
        let Some(time) = self.changed.or(self.modified) else { return Trust::None };
        let is_settled = now.duration_since(time).is_ok_and(|age| age >= TICK);
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if !is_settled || since < REAL {
            Trust::None
        } else if self.changed.is_none() || since.subsec_nanos() == 0 {
            // Any program can set the modification time. And a change time in whole seconds comes
            // from a file system without a clock: the image of a package that is made from a list
            // of times, or a network file system that makes one time of the other.
            Trust::Some
        } else {
            Trust::Full
        }
    }

    /// The time of the last change in whole seconds, as HTTP has it; only if a later state cannot
    /// have it as well. It is in the past, and so not after `Date` (RFC 9110 §8.8.2.1).
    pub(super) fn date(&self, now: SystemTime) -> Option<SystemTime> {
        let since = self.changed?.duration_since(UNIX_EPOCH).ok()?;
        (self.trust(now) == Trust::Full).then(|| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }

    /// The entity tag of a file that is too long to be read for it. Hashed, so that it tells nobody
    /// the numbers of the file system.
    pub(super) fn tag(&self, now: SystemTime) -> Option<String> {
        let prefix = match self.trust(now) {
            Trust::Full => "",
            Trust::Some => "W/",
            Trust::None => return None,
        };
        let nanos = |time: Option<SystemTime>| {
            time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos())
        };
        let hash = Sha256::new()
            .chain_update(self.len.to_le_bytes())
            .chain_update(nanos(self.modified).to_le_bytes())
            .chain_update(nanos(self.changed).to_le_bytes())
            .chain_update(self.place.0.to_le_bytes())
            .chain_update(self.place.1.to_le_bytes())
            .finalize();
        Some(quoted(prefix, &hash))
    }
}

/// The strong entity tag of these bytes, wherever and whenever they were written.
pub(super) fn content_tag(bytes: &[u8]) -> String {
    quoted("", &Sha256::digest(bytes))
}

/// 128 bits of a hash are enough for a name.
fn quoted(prefix: &str, hash: &[u8]) -> String {
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}\"{digits}\"")
}

#[cfg(unix)]
fn detail(metadata: &Metadata) -> (Option<SystemTime>, (u64, u64)) {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok();
    let nanos = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or(0));
    let changed = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds) + nanos);
    (changed, (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn detail(metadata: &Metadata) -> (Option<SystemTime>, (u64, u64)) {
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

    fn stamp() -> Stamp {
        Stamp { len: 16, modified: Some(at(CHANGED)), changed: Some(at(CHANGED)), place: (1, 2) }
    }

    fn later() -> SystemTime {
        at(CHANGED + TICK)
    }

    #[test]
    fn everything_that_is_known_is_in_the_tag() {
        let tag = stamp().tag(later()).unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        assert_eq!(stamp().tag(later() + TICK), Some(tag.clone()), "and no more than that");
        let second = Duration::from_nanos(1);
        for other in [
            Stamp { len: 17, ..stamp() },
            Stamp { modified: Some(at(CHANGED - second)), ..stamp() },
            Stamp { modified: None, ..stamp() },
            Stamp { changed: Some(at(CHANGED - second)), ..stamp() },
            Stamp { place: (1, 3), ..stamp() },
            Stamp { place: (2, 2), ..stamp() },
        ] {
            assert_ne!(other.tag(later()), Some(tag.clone()), "{other:?}");
        }
        assert_ne!(content_tag(b"a"), content_tag(b"b"));
        assert!(content_tag(b"").starts_with('"'));
    }

    #[test]
    fn a_stamp_is_trusted_as_far_as_nobody_else_can_have_it() {
        let day = Duration::from_secs(86_400);
        let coarse = Duration::from_secs(CHANGED.as_secs());
        let one = Duration::from_nanos(1);
        for (what, stamp, now, trust) in [
            ("settled", stamp(), later(), Trust::Full),
            ("set back by hand", Stamp { modified: Some(at(one)), ..stamp() }, later(), Trust::Full),
            ("within a tick", stamp(), later() - one, Trust::None),
            ("of the future", stamp(), at(CHANGED - day), Trust::None),
            ("of a packer", Stamp { changed: Some(at(one)), ..stamp() }, later(), Trust::None),
            ("of whole seconds", Stamp { changed: Some(at(coarse)), ..stamp() }, later(), Trust::Some),
            ("without a change", Stamp { changed: None, ..stamp() }, later(), Trust::Some),
            (
                "without a change, of a packer",
                Stamp { changed: None, modified: Some(at(Duration::from_secs(1))), ..stamp() },
                later(),
                Trust::None,
            ),
            ("without any time", Stamp { changed: None, modified: None, ..stamp() }, later(), Trust::None),
        ] {
            assert_eq!(stamp.trust(now), trust, "{what}");
            let date = (trust == Trust::Full).then(|| at(coarse));
            assert_eq!(stamp.date(now), date, "{what}: a date is no better than its stamp");
            let is_weak = stamp.tag(now).map(|tag| tag.starts_with("W/"));
            let want = match trust {
                Trust::Full => Some(false),
                Trust::Some => Some(true),
                Trust::None => None,
            };
            assert_eq!(is_weak, want, "{what}");
        }
    }
}
