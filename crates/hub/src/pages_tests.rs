//! The pages of channels that are only names here.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch};
use tidewire_store::Message;

use crate::page::{Content, Part};
use crate::pages::{MAX_ATTEMPTS, MAX_FETCHES, PAGE, PageWaiter, Pages, Place, SHORT_PAGE, Want};

type Name = &'static str;

fn at(seq: u64) -> Cursor {
    Cursor::new(Epoch::new(7), seq)
}

/// A page of `count` messages after this one, each of half a page.
fn content(start: u64, count: u64) -> Content {
    let message = Arc::new(Message::new(vec![b'x'; PAGE / 2].into(), 0));
    let messages = (1..=count).map(|n| (at(start + n), message.clone())).collect();
    Content { asked: at(start), continuity: Continuity::Resumed, start: at(start), messages }
}

/// What asking for a page did.
#[derive(Debug, PartialEq)]
enum Got {
    Loaded,
    Waits,
    Failed,
    /// The pages to fetch, by their starts.
    Fetch(Vec<u64>),
}

/// Pages, their channel, and what was fetched because a page was read.
struct Case(Pages<Name>, Arc<Name>, RefCell<Vec<u64>>);

impl Case {
    fn new(max_bytes: usize) -> Self {
        Case(Pages::with_max_bytes(max_bytes), Arc::new("a"), RefCell::default())
    }

    fn want(&self, seq: u64, worker: Option<u16>, now_ms: u64) -> Got {
        self.want_as(seq, worker.map(PageWaiter::Worker), false, now_ms)
    }

    fn want_as(&self, seq: u64, waiter: Option<PageWaiter>, is_patient: bool, now_ms: u64) -> Got {
        match self.0.want((&self.1, 0), at(seq), waiter, is_patient, now_ms) {
            Want::Loaded => Got::Loaded,
            Want::Waits => Got::Waits,
            Want::Failed => Got::Failed,
            Want::Fetch(places) => Got::Fetch(starts(&places)),
        }
    }

    /// A fetch ends. Returns the workers to tell, and what is fetched next.
    fn lands(&self, seq: u64, content: Option<Content>, now_ms: u64) -> (Vec<u16>, Vec<u64>) {
        let landed = self.0.landed(0, at(seq), content, &self.1, now_ms);
        (landed.woken.workers, starts(&landed.next))
    }

    fn read(&self, seq: u64, messages: usize) -> Option<(Vec<u64>, Continuity)> {
        let (part, next) = self.0.get(0, at(seq), Budget::messages(messages), 0)?;
        self.2.borrow_mut().extend(starts(&next));
        let Part { messages, continuity, cursor } = part;
        let numbers: Vec<u64> = messages.iter().map(|(cursor, _)| cursor.seq()).collect();
        assert!(messages.last().is_none_or(|&(last, _)| last == cursor));
        Some((numbers, continuity))
    }
}

fn starts(places: &[Place<Name>]) -> Vec<u64> {
    places.iter().map(|place| place.start.seq()).collect()
}

#[test]
fn one_fetch_is_shared_and_a_page_is_read_from_any_place_in_it() {
    let case = Case::new(usize::MAX);
    assert_eq!(case.want(10, Some(0), 0), Got::Fetch(vec![10]));
    assert_eq!(case.want(10, Some(1), 0), Got::Waits);
    assert_eq!(case.want(10, Some(1), 0), Got::Waits, "it waits once");
    assert_eq!(case.read(10, 9), None);
    assert_eq!(case.lands(10, Some(content(10, 3)), 0), (vec![0, 1], vec![]));
    assert_eq!(case.want(10, None, 0), Got::Loaded);
    assert_eq!(case.read(10, 2), Some((vec![11, 12], Continuity::Resumed)));
    assert_eq!(case.read(12, 2), Some((vec![13], Continuity::Resumed)));
    assert_eq!(case.read(13, 2), None, "this is the next page");
    assert_eq!(case.want(13, None, 0), Got::Fetch(vec![13]));
    let other = Cursor::new(Epoch::new(8), 11);
    assert!(case.0.get(0, other, Budget::UNLIMITED, 0).is_none(), "of another epoch");
    assert!(case.0.get(1, at(10), Budget::UNLIMITED, 0).is_none(), "of another channel");
}

#[test]
fn a_page_tells_a_gap_to_those_who_asked_for_what_is_gone() {
    let case = Case::new(usize::MAX);
    assert_eq!(case.want(10, None, 0), Got::Fetch(vec![10]));
    let gap = Continuity::Gap { from: at(10), to: at(12), missed: 2 };
    case.lands(10, Some(Content { asked: at(10), continuity: gap, ..content(12, 1) }), 0);
    assert_eq!(case.read(10, 9), Some((vec![13], gap)));
    assert_eq!(case.want(11, None, 0), Got::Fetch(vec![11]));
}

#[test]
fn a_part_and_its_gap_end_at_a_ceiling() {
    let gap = Continuity::Gap { from: at(10), to: at(12), missed: 2 };
    let part = || {
        let messages = content(12, 3).messages;
        Part { continuity: gap, messages, cursor: at(15) }
    };
    let ends = |ceiling| {
        let part = part().up_to(Some(at(ceiling)));
        let Continuity::Gap { to, missed, .. } = part.continuity else { panic!("a gap stays one") };
        (to.seq(), missed, part.messages.len(), part.cursor.seq())
    };
    assert_eq!(ends(11), (11, 1, 0, 11));
    assert_eq!(ends(12), (12, 2, 0, 12));
    assert_eq!(ends(14), (12, 2, 2, 14));
    assert_eq!(ends(20), (12, 2, 3, 15));
    assert_eq!(part().up_to(None).cursor, at(15));
}

#[test]
fn pages_give_way_when_they_were_read_or_nobody_came() {
    let case = Case::new(4 * PAGE);
    for (number, start) in [10, 20, 30].into_iter().enumerate() {
        assert_eq!(case.want(start, Some(0), 0), Got::Fetch(vec![start]), "{number}");
        case.lands(start, Some(content(start, 2)), 0);
    }
    assert_eq!(case.want(40, Some(0), 0), Got::Waits, "the others were not read");
    assert!(case.0.due(0).is_empty());
    assert!(case.read(20, 9).is_some());
    assert_eq!(case.2.take(), [40]);
    assert_eq!(case.read(20, 9), None, "it gave way");
    case.lands(40, Some(content(40, 2)), 0);
    assert_eq!(case.want(50, Some(0), 0), Got::Waits);
    assert_eq!(starts(&case.0.due(1_000)), [50], "nobody came for a second");
}

#[test]
fn fetches_beyond_the_bound_wait_in_a_line() {
    let case = Case::new(usize::MAX);
    let count = MAX_FETCHES as u64;
    assert!((0..count).all(|n| case.want(n * 10, None, 0) == Got::Fetch(vec![n * 10])));
    assert_eq!(case.want(count * 10, Some(0), 0), Got::Waits);
    assert_eq!(case.want(count * 10, Some(1), 0), Got::Waits);
    assert_eq!(case.lands(0, Some(content(0, 1)), 0), (vec![], vec![count * 10]));
    assert_eq!(case.lands(count * 10, Some(content(count * 10, 1)), 0), (vec![0, 1], vec![]));
}

#[test]
fn those_who_wait_in_the_line_come_before_a_new_one() {
    let case = Case::new(4 * PAGE);
    for start in [10, 20, 30] {
        assert_eq!(case.want(start, Some(0), 0), Got::Fetch(vec![start]));
        case.lands(start, Some(content(start, 2)), 0);
    }
    assert_eq!(case.want(40, Some(1), 0), Got::Waits, "the others were not read");
    assert_eq!(case.want(12, Some(0), 0), Got::Waits);
    assert!(case.read(10, 9).is_some());
    assert_eq!(case.2.take(), [40], "this one came first");
    assert_eq!(case.want(12, Some(0), 0), Got::Waits, "it is in the line once");
    assert_eq!(case.lands(40, Some(content(40, 2)), 0), (vec![1], vec![]));
    assert!(case.read(20, 9).is_some());
    assert_eq!(case.2.take(), [12]);
}

#[test]
fn pages_are_short_while_many_wait() {
    let case = Case::new(usize::MAX);
    let count = 2 * MAX_FETCHES as u64;
    let want = |n| case.0.want((&case.1, 0), at(n * 10), None, false, 0);
    for n in 0..MAX_FETCHES as u64 {
        assert!(matches!(&want(n), Want::Fetch(places) if places[0].bytes == PAGE));
    }
    (MAX_FETCHES as u64..=count).for_each(|n| assert!(matches!(want(n), Want::Waits)));
    let next = |n: u64| case.0.landed(0, at(n * 10), Some(content(n * 10, 1)), &case.1, 0).next[0].bytes;
    assert_eq!(next(0), SHORT_PAGE);
    assert_eq!(next(1), PAGE, "fewer wait now than can be fetched at once");
}

#[test]
fn a_failed_fetch_is_tried_again_after_pauses_and_then_given_up() {
    let case = Case::new(usize::MAX);
    assert_eq!(case.want(10, Some(0), 0), Got::Fetch(vec![10]));
    let mut now_ms = 0;
    for attempt in 1..MAX_ATTEMPTS {
        assert_eq!(case.lands(10, None, now_ms), (vec![], vec![]));
        assert_eq!(case.want(10, Some(1), now_ms), Got::Waits, "a pause");
        assert!(case.0.due(now_ms).is_empty());
        now_ms += 10_000;
        assert_eq!(starts(&case.0.due(now_ms)), [10], "attempt {attempt}");
    }
    assert_eq!(case.lands(10, None, now_ms), (vec![0, 1], vec![]));
    assert_eq!(case.want(10, Some(2), now_ms), Got::Failed);
    let patient = Some(PageWaiter::Task(Waker::noop().clone()));
    assert_eq!(case.want_as(10, patient, true, now_ms), Got::Waits);
    assert_eq!(starts(&case.0.due(now_ms + 10_000)), [10], "for the patient one");
    assert_eq!(case.lands(10, Some(content(10, 1)), now_ms), (vec![], vec![]));
    assert!(case.read(10, 1).is_some());
}

#[test]
fn nothing_is_left_of_a_channel_that_is_forgotten() {
    let case = Case::new(4 * PAGE);
    assert_eq!(case.want(10, Some(0), 0), Got::Fetch(vec![10]));
    assert_eq!(case.want(20, None, 0), Got::Fetch(vec![20]));
    case.lands(20, Some(content(20, 2)), 0);
    assert_eq!(case.0.forget(0).workers, [0]);
    assert_eq!(case.lands(10, Some(content(10, 2)), 0), (vec![], vec![]), "too late");
    assert_eq!((case.read(10, 1), case.read(20, 1)), (None, None));
    assert!((0..3).all(|n| case.want(n * 10, None, 0) == Got::Fetch(vec![n * 10])), "its room is free");
}
