//! Random bytes, and documents with a few changed bytes: no panic, and the notes keep their
//! guarantees.

use tidewire_explain::{Annotator, Direction, Limits, Start};
use tidewire_testkit::{Rng, split, vectors};

use crate::subject::{OneDirection, check, notes_of};

const STARTS: [Start; 4] = [Start::Http, Start::Chunked, Start::EventStream, Start::Frames];

#[test]
fn random_bytes_never_panic_and_their_notes_are_in_order() {
    let mut rng = Rng::new(6455);
    for round in 0..150_u64 {
        let len = rng.below(200);
        // Only a few different bytes, so that some inputs have a meaning.
        let alphabet: &[u8] = match round % 4 {
            0 => b"GET /HTP1.:\r\n \t0ab",
            1 => b"0123af;=\"\r\n x",
            2 => b"id: event data retry\r\n\0",
            _ => b"\x00\x01\x02\x7e\x7f\x80\x81\x82\x85\x88\x89\x8a\xc1\xff",
        };
        let input: Vec<u8> = (0..len).map(|_| alphabet[rng.below(alphabet.len())]).collect();
        for start in STARTS {
            annotate(start, &input);
        }
    }
}

#[test]
fn notes_of_changed_documents_keep_their_guarantees() {
    let mut rng = Rng::new(9112);
    for (name, start) in [
        ("http1", Start::Http),
        ("chunked", Start::Chunked),
        ("sse", Start::EventStream),
        ("websocket", Start::Frames),
    ] {
        for case in vectors::of(name).iter().filter(|case| !case.input.is_empty() && case.input.len() < 4096)
        {
            for _ in 0..2 {
                let mut input = case.input.clone();
                for _ in 0..=rng.below(2) {
                    let at = rng.below(input.len());
                    input[at] ^= 1 << rng.below(8);
                }
                annotate(start, &input);
            }
        }
    }
}

fn annotate(start: Start, input: &[u8]) {
    for direction in [Direction::Up, Direction::Down] {
        let make = || Annotator::starting_with(start, Limits::DEFAULT);
        let (up, down) = match direction {
            Direction::Up => (input, &[][..]),
            Direction::Down => (&[][..], input),
        };
        let (notes, annotator) = notes_of(make(), up, down, direction);
        check(&notes, annotator.refusal(direction), input.len() as u64);
        split::quick(|| OneDirection::new(make(), direction, |_| Vec::new()), input);
    }
}
