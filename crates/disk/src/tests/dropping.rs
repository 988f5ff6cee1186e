//! Crashes while deleted logs go in pieces.

use std::sync::Arc;

use tidewire_channel::{Budget, Since};
use tidewire_store::{Append, Batch, ChannelName, ChannelSettings, Create, Fork, Message, Retain, Store};

use super::fixture::{OnDisk, TINY};
use crate::upkeep::Tuning;
use crate::{DiskOptions, SyncMode};

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("good")
}

fn publish(disk: &OnDisk, log: &str, messages: usize) {
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let message = Arc::new(Message::new("x".into(), 0));
    for _ in 0..messages {
        let append = Append::new(0, Batch::One(message.clone()), settings.clone());
        disk.disk().append(&name(log), append).wait().expect("it answers").expect("it appends");
    }
}

#[test]
fn a_crash_may_come_at_any_time_of_a_deletion() {
    let large = Tuning { step_deletes: 3, ..Tuning::DEFAULT };
    for (round, tuning) in [TINY, large].into_iter().cycle().take(24).enumerate() {
        let mut disk = OnDisk::new(DiskOptions::DEFAULT.with_sync(SyncMode::Never), tuning);
        publish(&disk, "source", 20);
        publish(&disk, "other", 5);
        let page = disk.disk().read(&name("source"), Since::Now, Budget::messages(0), 0).wait();
        let at = page.expect("it answers").expect("there is a log").cursor;
        let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
        let create = Create::new(0, settings).with_fork(Fork { source: name("source"), at, bytes: 0 });
        disk.disk().create(&name("fork"), create).wait().expect("it answers").expect("it is created");
        publish(&disk, "fork", 20);
        for log in if round % 4 < 2 { ["fork", "source"] } else { ["source", "fork"] } {
            assert_eq!(disk.disk().delete(&name(log), 0).wait(), Some(Ok(true)));
        }
        // The work goes on meanwhile, and another crash comes.
        for messages in [0, round % 5] {
            publish(&disk, "other", messages);
            disk.crash(0);
            disk.open();
            assert_eq!(disk.disk().start_report().lost, 0);
        }
        let page = disk.disk().read(&name("other"), Since::Earliest, Budget::UNLIMITED, 0).wait();
        assert_eq!(page.expect("it answers").expect("there is a log").messages.len(), 5 + round % 5);
        assert_eq!(disk.disk().delete(&name("other"), 0).wait(), Some(Ok(true)));
        disk.is_empty_at_the_end();
    }
}
