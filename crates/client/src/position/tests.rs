//! What is new to a reader, case by case.

use super::*;

fn cursor(text: &str) -> Cursor {
    text.parse().unwrap()
}

fn reset(reason: &str, to: &str) -> Item {
    Item::Reset { reason: reason.into(), cursor: cursor(to) }
}

fn gap(to: &str) -> Item {
    Item::Gap { from: cursor("e-0"), cursor: cursor(to), missed: 1 }
}

fn at(text: &str) -> Position {
    Position::new(Some(cursor(text)), Vec::new())
}

fn step(from: &str, to: &str) -> Step {
    at(from).step_to(&cursor(to), None)
}

/// Moves the reader as the subscription does after a reset.
fn follow(position: &mut Position, reason: &str, to: &str) {
    let to = position.after_reset(reason, &cursor(to));
    position.reset(reason, to);
}

#[test]
fn the_number_says_what_is_next() {
    assert_eq!(step("e-41", "e-42"), Step::New);
    assert_eq!(step("e-42", "e-42"), Step::Duplicate);
    assert_eq!(step("e-43", "e-42"), Step::Duplicate);
    assert_eq!(step("e-42", "e-45"), Step::Hole(2));
    assert_eq!(step("e-41", "f-42"), Step::New, "a restart without a loss");
    assert_eq!(step("s-0", "c-1"), Step::New, "the first message of a channel");
    assert_eq!(step("e-42", "f-45"), Step::Hole(2));
    assert_eq!(step("e-42", "f-42"), Step::Foreign);
    assert_eq!(step("e-42", "f-1"), Step::Foreign);
}

#[test]
fn several_channels_are_compared_one_by_one() {
    assert_eq!(step("e-4.f-7", "e-4.f-8"), Step::New);
    assert_eq!(step("e-4.f-7", "e-4.f-7"), Step::Duplicate);
    assert_eq!(step("e-4.f-7", "e-3.f-7"), Step::Duplicate);
    assert_eq!(step("e-4.f-7", "e-5.f-9"), Step::Hole(2));
    assert_eq!(step("e-4.f-7", "e-4.g-8"), Step::New);
    assert_eq!(step("e-4.f-7", "e-4.g-1"), Step::Foreign);
    assert_eq!(step("e-4", "e-4.f-7"), Step::New, "other channels");
    let position = at("e-4.f-7");
    assert_eq!(position.step_to(&cursor("e-3.f-8"), None), Step::New);
    assert_eq!(position.after(cursor("e-3.f-8"), None), cursor("e-4.f-8"), "e-4 is not delivered again");
    let position = Position::new(position.cursor, vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(position.step_to(&cursor("e-4.f-8"), Some("a")), Step::Duplicate, "it is a's message");
    assert_eq!(position.step_to(&cursor("e-4.f-8"), Some("b")), Step::New);
    assert_eq!(position.step_to(&cursor("e-5.f-8"), Some("b")), Step::Hole(1));
}

#[test]
fn the_answer_of_a_poll_ends_after_its_last_item() {
    let step = |from: &str, to: &str, is_closed| at(from).step_to_end_of_poll(&cursor(to), is_closed);
    for is_closed in [false, true] {
        for (from, to) in [("e-4", "e-4"), ("e-4.f-7", "e-4.f-7"), ("e-4.f-7", "e-4.f-6")] {
            assert_eq!(step(from, to, is_closed), Step::New, "{to}");
        }
        assert_eq!(step("e-4.f-7", "e-5.f-7", is_closed), Step::Hole(1), "an object tells each end");
        assert_eq!(step("e-4.f-7", "e-5.g-8", is_closed), Step::Hole(2));
    }
    assert_eq!(step("e-4", "f-5", true), Step::New, "the end of the only channel has no object");
    assert_eq!(step("e-4", "f-5", false), Step::Hole(1));
    assert_eq!(step("e-4", "f-6", true), Step::Hole(1));
    assert_eq!(step("e-4", "f-1", true), Step::Foreign);
}

/// All channels of a store that were never written are at the same position.
#[test]
fn an_epoch_is_passed_in_one_channel_only() {
    let mut position = at("s-0.s-0");
    position.advance(cursor("c-1.s-0"));
    assert_eq!(position.step_to(&cursor("c-2.s-0"), None), Step::New);
    assert_eq!(
        position.step_to(&cursor("s-2.s-0"), None),
        Step::Duplicate,
        "s is passed in the first channel"
    );
}

#[test]
fn a_passed_epoch_is_old_whatever_its_numbers_are() {
    let mut position = at("a-5");
    position.advance(cursor("b-6"));
    for old in ["a-4", "a-5", "a-6", "a-7", "b-6"] {
        assert_eq!(position.step_to(&cursor(old), None), Step::Duplicate, "{old}");
    }
    assert_eq!(position.step_to(&cursor("b-7"), None), Step::New);
    assert_eq!(position.step_to(&cursor("z-6"), None), Step::Foreign);
}

#[test]
fn after_a_lost_tail_its_messages_are_old() {
    let mut position = at("a-8");
    assert_eq!(position.step(&reset(TAIL_LOST, "a-5")), Step::New);
    follow(&mut position, TAIL_LOST, "a-5");
    assert_eq!(position.cursor(), Some(&cursor("a-5")));
    for old in ["a-5", "a-6", "a-9"] {
        assert_eq!(position.step_to(&cursor(old), None), Step::Duplicate, "{old}");
    }
    assert_eq!(position.step(&reset(TAIL_LOST, "a-5")), Step::Duplicate);
    assert_eq!(position.step_to(&cursor("b-7"), None), Step::Hole(1));
    assert_eq!(position.step_to(&cursor("b-6"), None), Step::New);
    position.advance(cursor("b-6"));
    assert_eq!(position.step_to(&cursor("a-6"), None), Step::Duplicate);
    assert_eq!(position.step(&reset(TAIL_LOST, "a-5")), Step::Returned, "told before");
    let mut again = at("a-5");
    again.advance(cursor("b-6"));
    follow(&mut again, TAIL_LOST, "a-5");
    assert_eq!(again.step_to(&cursor("b-6"), None), Step::Returned);
    assert_eq!(again.step_to(&cursor("c-6"), None), Step::New);
    // The earliest message that is kept may be of a later epoch.
    follow(&mut position, TAIL_LOST, "c-9");
    assert_eq!(position.step_to(&cursor("c-10"), None), Step::New);
    // Other channels stay where they are.
    let mut position = at("a-8.x-3");
    follow(&mut position, TAIL_LOST, "a-5.x-3");
    assert_eq!(position.step_to(&cursor("a-5.x-4"), None), Step::New);
    assert_eq!(position.step_to(&cursor("a-6.x-3"), None), Step::Duplicate);
}

#[test]
fn cursors_of_another_form_are_only_compared_for_equality() {
    assert_eq!(step("abc", "abc"), Step::Duplicate);
    assert_eq!(step("abc", "abd"), Step::New);
    assert_eq!(step("e-x", "e-9"), Step::New);
}

#[test]
fn items_before_the_position_are_duplicates() {
    let mut position = at("e-5.x-1");
    for old in
        [gap("e-4.x-1"), gap("e-5.x-1"), reset("unknown-epoch", "e-5.x-1"), reset(AHEAD_OF_LOG, "e-5.x-1")]
    {
        assert_eq!(position.step(&old), Step::Duplicate, "{old:?}");
    }
    for new in [gap("e-9.x-1"), reset("unknown-epoch", "e-5.y-0"), reset(AHEAD_OF_LOG, "e-3.x-1")] {
        assert_eq!(position.step(&new), Step::New, "{new:?}");
    }
    follow(&mut position, "unknown-epoch", "e-5.y-0");
    assert_eq!(position.step(&gap("e-5.x-9")), Step::Returned, "x was left");
    assert_eq!(position.step(&gap("e-9.y-0")), Step::New);
    assert_eq!((position.move_count(), position.losses), (1, 1));
    follow(&mut position, "unknown-epoch", "e-5.x-7");
    assert_eq!(position.step(&gap("e-5.x-9")), Step::New, "x is back");
    assert_eq!(position.step(&gap("e-5.y-1")), Step::Duplicate);
    position.advance(cursor("e-9.x-7"));
    assert_eq!((position.move_count(), position.losses), (3, 0));
}

#[test]
fn an_answer_without_items_is_not_a_repeated_answer() {
    let position = at("e-5");
    let hello = || Item::Hello(cursor("e-5"));
    assert!(!position.is_repeated(&[hello()], Some(&cursor("e-5"))));
    assert!(position.is_repeated(&[gap("e-5"), hello()], Some(&cursor("e-5"))));
    assert!(
        position.is_repeated(&[gap("z"), hello()], Some(&cursor("e-5"))),
        "the answer ends at the reader's position"
    );
    assert!(
        !position.is_repeated(&[gap("e-5"), gap("e-6")], Some(&cursor("e-6"))),
        "a part of the answer is new"
    );
    assert!(!Position::new(None, Vec::new()).is_repeated(&[gap("e-5")], None));
}

#[test]
fn the_channel_that_ends_is_found_by_its_name_or_its_move() {
    let names = vec!["a/b".to_owned(), "c".to_owned()];
    let mut position = Position::new(Some(cursor("e-4.f-7")), names);
    let end = cursor("e-4.f-8");
    assert_eq!(position.ending(Some("c"), &end), Some(1));
    assert_eq!(position.ending(Some("other"), &end), Some(1), "the server names it differently");
    assert_eq!(at("e-4.f-7").ending(Some("c"), &end), Some(1));
    assert_eq!(at("e-4").ending(None, &cursor("e-5")), Some(0));
    position.end(1, end);
    assert_eq!(position.open_channels().collect::<Vec<_>>(), [0]);
    assert!(position.is_at_end());
    follow(&mut position, "unknown-epoch", "e-4.h-0");
    assert_eq!(position.open_channels().count(), 2, "the channel was deleted and made again");
    assert!(!position.is_at_end());
}
