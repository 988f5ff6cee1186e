//! A database of each format that was released is read completely, for ever.
//!
//! `tests/data/format-N.db` was written by the first version with format N, and `format-N.txt` says
//! what must be read from it. To write both for the format of today:
//!
//! ```sh
//! TIDEWIRE_WRITE_FORMAT=1 cargo test -p tidewire-disk --test format
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidewire_channel::{Budget, Fingerprint, Since};
use tidewire_disk::{DiskOptions, DiskStore, backup};
use tidewire_store::*;

/// The time of all that is done.
const NOW_MS: u64 = 1_795_000_000_000;

const LOGS: [&str; 8] = ["many", "closed", "created", "fork", "upload", "source", "deleted", "absent"];

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("a good name")
}

fn message(text: String) -> Arc<Message> {
    Arc::new(Message::new(text.into(), NOW_MS + 7))
}

fn messages(texts: &[&str]) -> Append {
    let messages = texts.iter().map(|text| message((*text).to_owned())).collect();
    Append::new(NOW_MS, Batch::Many(messages), Arc::default())
}

fn with_key() -> Append {
    let fingerprint = Fingerprint([7; 16]);
    messages(&["with a key"]).with_once(Once::Key { text: (*b"order-66").into(), fingerprint })
}

fn with_producer() -> Append {
    let once = Once::Producer { id: "gauge".into(), epoch: 3, seq: 0 };
    messages(&["with a producer"]).with_once(once).with_stream_seq(Some("m".into()))
}

fn append(store: &DiskStore, log: &str, append: Append) -> Appended {
    store.append(&name(log), append).wait().expect("it answers").expect("it is taken")
}

fn open(dir: &Path) -> DiskStore {
    DiskStore::open(dir, DiskOptions::DEFAULT).expect("it can be opened")
}

/// Copies a store as it is, with its newest messages in no run.
fn copied(store: DiskStore, dir: &Path, to: &str) -> PathBuf {
    let copy = dir.join(to);
    backup(&dir.join(if to == "one" { "zero" } else { "one" }), &copy, &mut drop).expect("there is room");
    drop(store);
    copy
}

/// A directory with a database that has something in each table.
fn write(dir: &Path) -> PathBuf {
    let store = open(&dir.join("zero"));
    for number in 1..=300 {
        let text = Message::new(format!("message {number}").into(), NOW_MS);
        let text = if number % 3 == 0 { text.with_event("tide").expect("a good name") } else { text };
        let text =
            if number % 5 == 0 { text.with_content_type("text/plain").expect("a good type") } else { text };
        let one = Append::new(NOW_MS, Batch::One(Arc::new(text)), Arc::default());
        append(&store, "many", one);
    }
    append(&store, "many", with_key());
    append(&store, "closed", messages(&["last"]).closing());
    let settings = ChannelSettings::DEFAULT.with_retain(Retain::All);
    let settings = settings.with_expiry(Some(Expiry::Sliding { ms: 86_400_000 }));
    let settings = Arc::new(settings.with_content_type(Some("application/json".into())));
    let create = |log: &str, create: Create| {
        store.create(&name(log), create).wait().expect("it answers").expect("it is made");
    };
    create("created", Create::new(NOW_MS, settings));
    let at = append(&store, "source", messages(&["shared", "shared too"])).cursor;
    append(&store, "source", messages(&["a part of this"]));
    let fork = Fork { source: name("source"), at, bytes: 6 };
    create("fork", Create::new(NOW_MS, Arc::default()).with_fork(fork));
    for log in ["source", "deleted"] {
        append(&store, log, messages(&["x"]));
        assert!(store.delete(&name(log), NOW_MS).wait().expect("it answers").expect("it is deleted"));
    }
    // Its start counts as a crash. What comes now is in the epochs after it.
    let dir_one = copied(store, dir, "one");
    let store = open(&dir_one);
    append(&store, "many", with_producer());
    append(&store, "fork", messages(&["own"]));
    append(&store, "upload", messages(&["piece"]).with_upload(UploadStep::Piece));
    copied(store, dir, "two")
}

/// All that a reader sees, as text.
fn look(store: &DiskStore) -> String {
    let mut text = String::new();
    for log in LOGS {
        let opened = store.open(&name(log), NOW_MS).wait().expect("it answers").expect("it works");
        let line = match &opened {
            Opened::Log(info) => {
                let (closed, upload) = (info.is_closed, info.upload_open);
                let ChannelSettings { retain, expiry, content_type, .. } = &*info.settings;
                let retain = match retain {
                    Retain::All => "all".to_owned(),
                    Retain::Bounded(retention) => {
                        let (messages, bytes) = (retention.max_messages, retention.max_bytes);
                        format!("{messages} messages, {bytes} bytes, {:?} ms", retention.max_age_ms)
                    }
                };
                let earliest = info.earliest;
                let more = format!("{retain}, {expiry:?}, {content_type:?}");
                format!("closed {closed}, upload {upload}, after {earliest}, {more}")
            }
            Opened::Absent { start } => format!("absent at {start}"),
            other => format!("{other:?}"),
        };
        writeln!(text, "{log}: {line}").expect("a string");
        let page = store.read(&name(log), Since::Earliest, Budget::UNLIMITED, NOW_MS).wait();
        let Ok(page) = page.expect("it answers") else { continue };
        for (cursor, message) in &page.messages {
            let data = message.text().expect("all are texts");
            let (event, media) = (message.event().unwrap_or("-"), message.content_type().unwrap_or("-"));
            writeln!(text, "  {cursor} {} {event} {media} {data}", message.time_ms()).expect("a string");
        }
    }
    text
}

/// Reads a database, and checks what only a server of today can ask.
fn read(database: &Path) -> String {
    let dir = tempfile::tempdir().expect("there is room");
    fs::copy(database, dir.path().join("tidewire.db")).expect("there is room");
    let store = open(dir.path());
    assert!(!store.start_report().was_clean, "it is a copy");
    let text = look(&store);
    assert!(append(&store, "many", with_key()).duplicate);
    assert!(append(&store, "many", with_producer()).duplicate);
    let old = messages(&["x"]).with_stream_seq(Some("m".into()));
    let refused = store.append(&name("many"), old).wait().expect("it answers");
    assert_eq!(refused, Err(AppendError::Refused(Refusal::StreamSeq)));
    let before = store.open(&name("many"), NOW_MS).wait().expect("it answers").expect("it works");
    let Opened::Log(before) = before else { panic!("{before:?}") };
    let next = append(&store, "many", messages(&["next"]));
    assert_eq!((next.after, next.cursor.seq()), (before.head_cursor(), 303), "the numbers go on");
    store.close().expect("the disk works");
    let store = open(dir.path());
    assert!(store.start_report().was_clean);
    text
}

#[test]
fn each_format_is_read_completely() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    if std::env::var_os("TIDEWIRE_WRITE_FORMAT").is_some() {
        let dir = tempfile::tempdir().expect("there is room");
        let database = write(dir.path()).join("tidewire.db");
        let db = rusqlite::Connection::open(&database).expect("it can be opened");
        let format: i64 = db.query_row("PRAGMA user_version", (), |row| row.get(0)).expect("it is there");
        drop(db);
        let file = data.join(format!("format-{format}.db"));
        fs::copy(&database, &file).expect("there is room");
        fs::write(file.with_extension("txt"), read(&file)).expect("there is room");
    }
    let mut formats = 0;
    for entry in fs::read_dir(&data).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "db") {
            let expected = fs::read_to_string(path.with_extension("txt")).expect("it is beside it");
            let found = read(&path);
            for (found, expected) in found.lines().zip(expected.lines()) {
                assert_eq!(found, expected, "{}", path.display());
            }
            assert_eq!(found.len(), expected.len(), "{}", path.display());
            formats += 1;
        }
    }
    assert!(formats >= 1, "{} has no database", data.display());
}

#[test]
fn the_format_of_today_is_read_completely() {
    let dir = tempfile::tempdir().expect("there is room");
    let text = read(&write(dir.path()).join("tidewire.db"));
    for line in
        ["source: SoftDeleted", "deleted: Deleted", "absent: absent at ", "message 300", " - - a part"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
