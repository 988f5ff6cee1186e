//! A file that was replaced by another one with the same length and date.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{DIGITS, Folder, get, validated};

/// `cp -p`, `rsync -t`, `tar` and package managers can replace a file by different bytes with the
/// same length and date.
#[test]
fn a_replaced_file_with_the_same_length_and_date_has_another_tag() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let dated = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    // One file that fits into one piece, and one that does not.
    for size in [1_000, 100_000] {
        let path = folder.path("asset.js");
        let bodies = [vec![b'a'; size], vec![b'b'; size], vec![b'c'; size]];
        dated(&path, &bodies[0]);
        let first = validated(raw, "asset.js");
        let (etag, date) = (first.field("etag").unwrap(), first.field("last-modified").unwrap());
        // In place, by a rename, and by a rename of an older file.
        let other = folder.path("other.js");
        dated(&other, &bodies[2]);
        for (how, body) in
            [("in place", &bodies[1]), ("renamed over", &bodies[2]), ("renamed again", &bodies[0])]
        {
            match how {
                "in place" => dated(&path, body),
                "renamed over" => std::fs::rename(&other, &path).unwrap(),
                _ => {
                    dated(&other, body);
                    std::fs::rename(&other, &path).unwrap();
                }
            }
            let conditions = [
                format!("Range: bytes=1-\r\nIf-Range: {etag}\r\n"),
                format!("Range: bytes=1-\r\nIf-Range: {date}\r\n"),
                format!("If-None-Match: {etag}\r\n"),
                format!("If-Modified-Since: {date}\r\n"),
            ];
            if how == "renamed again" && size < 64 << 10 {
                // The bytes are the first ones again, so the tag may be the first one too.
                continue;
            }
            for condition in conditions {
                let answer = get(raw, "asset.js", &condition);
                assert_eq!((answer.status, &answer.body == body), (200, true), "{how} {size}: {condition}");
                assert_ne!(answer.field("etag"), Some(etag), "{how} {size}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}

/// Nix and reproducible images give all files the first second of 1970, or another fixed date.
#[test]
fn a_fixed_date_is_not_a_validator() {
    let folder = Folder::new();
    let server = folder.serve();
    let raw = &mut server.raw();
    let day = Duration::from_secs(86_400);
    let epoch = SystemTime::UNIX_EPOCH;
    let dates = [epoch, epoch + Duration::from_secs(1), SystemTime::now() + day];
    for (n, date) in dates.into_iter().enumerate() {
        folder.write("dated", DIGITS);
        std::fs::File::options().write(true).open(folder.path("dated")).unwrap().set_modified(date).unwrap();
        for stamp in ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT"] {
            let answer = get(raw, "dated", &format!("If-Modified-Since: {stamp}\r\n"));
            assert_eq!(answer.status, 200, "{n} {stamp}");
            assert_ne!(answer.field("last-modified"), Some(stamp), "{n}");
            let ranged = get(raw, "dated", &format!("Range: bytes=1-2\r\nIf-Range: {stamp}\r\n"));
            assert_eq!(ranged.status, 200, "{n} {stamp}");
        }
    }
}
