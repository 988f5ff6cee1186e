//! Symbolic links: where they may lead, and where not.

use std::os::unix::fs::symlink;

use super::{Folder, get};

/// A hidden file stays hidden, even if a link to it has a visible name.
#[test]
fn no_link_leads_to_a_hidden_file() {
    let folder = Folder::new();
    folder.write(".git/config", b"hidden");
    folder.write(".env", b"hidden");
    folder.write("deep/.cache/a/page.txt", b"hidden");
    folder.write(".well-known/security.txt", b"shown");
    folder.write("deep/page.txt", b"shown");
    for (target, link) in [
        (".git", "git"),
        ("./.git/", "slashed"),
        ("git", "twice"),
        (".git/config", "config.txt"),
        (".env", "env.txt"),
        ("deep/.cache/a", "cache"),
        ("deep/.cache/a/../../page.txt", "through.txt"),
        ("../.env", "deep/env.txt"),
        (".well-known", "known"),
        ("deep/../deep/./page.txt", "round.txt"),
        ("../digits.txt", "deep/up.txt"),
        ("deep", "folder"),
    ] {
        symlink(target, folder.path(link)).unwrap();
    }
    let server = folder.serve();
    let raw = &mut server.raw();
    for path in [
        "git",
        "git/",
        "git/config",
        "slashed/config",
        "twice/config",
        "config.txt",
        "env.txt",
        "cache/page.txt",
        "through.txt",
        "deep/env.txt",
        "folder/env.txt",
        "folder/.cache/a/page.txt",
    ] {
        let answer = get(raw, path, "");
        assert_eq!((answer.status, answer.text().contains("hidden")), (404, false), "{path}");
    }
    for path in ["known/security.txt", ".well-known/security.txt", "round.txt", "folder/page.txt"] {
        assert_eq!(get(raw, path, "").text(), "shown", "{path}");
    }
    for path in ["deep/up.txt", "folder/up.txt"] {
        assert_eq!(get(raw, path, "").text(), "0123456789", "{path}");
    }
    assert_eq!(get(raw, "folder", "").field("location"), Some("/files/folder/"));
}
