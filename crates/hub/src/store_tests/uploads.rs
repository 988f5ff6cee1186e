//! Uploads to a store that is slow, fails, or crashes.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tidewire_store::suite::{Fault, FaultyStore, JournalStore, Loss, RequestKind};
use tidewire_store::{ChannelSettings, Limits};

use super::setup::{all, faulty, hub, message, name, publish, texts};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::flight::at_once;
use crate::hub::Hub;
use crate::upload::Upload;

#[test]
fn an_upload_that_a_crash_has_cut_is_marked_before_anybody_reads() {
    let store = Arc::new(JournalStore::new(Limits::DEFAULT));
    let before = Hub::with_store(HubConfig::default(), 0, store.clone());
    let upload = at_once(Upload::begin(&before, &name("a"), None)).unwrap();
    at_once(upload.piece("1".into())).unwrap();
    let faulty = Arc::new(FaultyStore::new(store.restart(Loss::Nothing)));
    let after = Hub::with_store(HubConfig::default(), 0, faulty.clone());
    faulty.plan(RequestKind::Append, Fault::HoldRequest);
    assert_eq!(after.channel(&name("a")).unwrap_err(), HubError::NotReady);
    faulty.release_all();
    assert_eq!(texts(&all(&after.channel(&name("a")).unwrap())), ["1", "upload-aborted"]);
    publish(&after, "2");
}

#[test]
fn an_upload_waits_for_a_change_of_its_log() {
    let store = faulty();
    let hub = hub(&store);
    at_once(hub.create(&name("a"), ChannelSettings::DEFAULT)).unwrap();
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    store.plan(RequestKind::Create, Fault::HoldRequest);
    let (a, mut cx) = (name("a"), Context::from_waker(Waker::noop()));
    let mut create = pin!(hub.create(&a, ChannelSettings::DEFAULT));
    assert!(create.as_mut().poll(&mut cx).is_pending());
    let mut piece = pin!(upload.piece("1".into()));
    assert!(piece.as_mut().poll(&mut cx).is_pending());
    store.release_all();
    assert_eq!(piece.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
}

#[test]
fn an_upload_to_a_name_that_was_deleted_may_begin_slowly() {
    let hub = hub(&faulty());
    publish(&hub, "old");
    assert_eq!(at_once(hub.delete(&name("a"))), Ok(true));
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    hub.sweep();
    assert_eq!(at_once(upload.piece("1".into())), Ok(()));
    assert_eq!(texts(&all(&hub.channel(&name("a")).unwrap())), ["1"]);
}

#[test]
fn an_upload_ends_in_the_log_although_the_store_fails() {
    let store = faulty();
    let hub = hub(&store);
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    at_once(upload.piece("1".into())).unwrap();
    store.plan(RequestKind::Append, Fault::Fail);
    assert!(at_once(upload.piece("2".into())).is_err());
    store.plan(RequestKind::Append, Fault::Fail);
    drop(upload);
    let uploading = hub.publish(&name("a"), message("x"), None);
    assert_eq!(uploading, Err(HubError::Uploading));
    hub.sweep();
    publish(&hub, "3");
    assert_eq!(texts(&all(&hub.channel(&name("a")).unwrap())), ["1", "upload-aborted", "3"]);
}
