//! Once each log has reached its retention, the file does not grow: deletion keeps up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_channel::{Budget, Retention, Since};
use tidewire_store::{Append, Batch, ChannelName, ChannelSettings, Create, Fork, Message, Retain, Store};

use super::fixture::OnDisk;
use crate::fold::Tuning;
use crate::{DiskOptions, SyncMode};

const LOGS: usize = 20;
const KEPT: usize = 50;

const SMALL: Tuning =
    Tuning { fold_messages: 300, run: 16, step_messages: 100, step_deletes: 100, ..Tuning::DEFAULT };

fn names() -> Vec<ChannelName> {
    (0..LOGS).map(|number| ChannelName::new(&format!("log/{number}")).expect("good")).collect()
}

/// Appends this number of messages to each log, many at a time.
fn publish(disk: &OnDisk, rounds: usize) {
    let retention = Retention::DEFAULT.with_max_messages(KEPT).with_max_age_ms(None);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let message = Arc::new(Message::new("x".repeat(300).into(), 0));
    for _ in 0..rounds {
        let answers: Vec<_> = names()
            .iter()
            .map(|name| {
                let append = Append::new(0, Batch::One(message.clone()), settings.clone());
                disk.disk().append(name, append)
            })
            .collect();
        for answer in answers {
            answer.wait().expect("it answers").expect("it appends");
        }
    }
}

/// Rows, and pages of the file that are in use or free.
fn size(disk: &OnDisk) -> (i64, i64) {
    let db = rusqlite::Connection::open(disk.dir.path().join("tidewire.db")).expect("it opens");
    let number = |sql| db.query_row(sql, (), |row| row.get(0)).expect("a number");
    (number("SELECT count(*) FROM message"), number("PRAGMA page_count"))
}

#[test]
fn the_file_does_not_grow_after_the_retention_is_reached() {
    let disk = OnDisk::new(DiskOptions::DEFAULT.with_sync(SyncMode::Never), SMALL);
    publish(&disk, 3 * KEPT);
    let (_, pages) = size(&disk);
    let mut most = 0;
    for _ in 0..17 {
        publish(&disk, KEPT);
        most = most.max(size(&disk).0);
    }
    let kept = i64::try_from(LOGS * KEPT).expect("a small number");
    // Beside those that are kept: what was not folded yet, what waits for its deletion, and in each
    // log the dead part of its first run.
    let slack = 300 * 3 + 16 * i64::try_from(LOGS).expect("a small number");
    assert!(most <= kept + slack, "{most} rows for {kept} messages");
    let (_, pages_now) = size(&disk);
    assert!(pages_now <= pages + pages / 4, "{pages} pages have become {pages_now}");
}

#[test]
fn a_fork_keeps_what_it_shares_and_nothing_else() {
    let disk = OnDisk::new(DiskOptions::DEFAULT.with_sync(SyncMode::Never), SMALL);
    publish(&disk, KEPT);
    let (name, fork) = (names()[0].clone(), ChannelName::new("fork").expect("good"));
    let page = disk.disk().read(&name, Since::Now, Budget::messages(0), 0).wait().expect("it answers");
    let at = page.expect("there is a log").cursor;
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let create = Create::new(0, settings).with_fork(Fork { source: name, at, bytes: 0 });
    disk.disk().create(&fork, create).wait().expect("it answers").expect("it is created");
    publish(&disk, 10 * KEPT);
    let (rows, _) = size(&disk);
    let most = LOGS * KEPT + KEPT + 300 * 3 + 16 * LOGS;
    assert!(rows <= i64::try_from(most).expect("a small number"), "{rows} rows");
    let page = disk.disk().read(&fork, Since::Earliest, Budget::UNLIMITED, 0).wait().expect("it answers");
    assert_eq!(page.expect("there is a log").messages.len(), KEPT);
    // Nothing stays when all are gone.
    for name in names().iter().chain([&fork]) {
        assert_eq!(disk.disk().delete(name, 0).wait(), Some(Ok(true)));
    }
    let begun = Instant::now();
    while size(&disk).0 > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?} rows stay", size(&disk));
        std::thread::yield_now();
    }
}
