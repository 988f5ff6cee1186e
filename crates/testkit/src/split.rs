//! Split invariance: a decoder yields the same for every cut of an input.
//!
//! [`check`] runs a decoder over an input whole, byte by byte, at every single cut and, for short
//! inputs, at every pair of cuts. All runs must give the same [`Outcome`]: events, error kind,
//! error offset and bytes left. Each run also checks the rest of the decoder contract: `consumed`
//! is at most the length of the input, `None` is stable, errors are sticky, data is the end of the
//! consumed region, and there is no endless loop of events without bytes.

use crate::{Event, Outcome, Rng, Subject};

/// Inputs up to this length are run at every pair of cuts.
const PAIRS: usize = 40;
/// Inputs up to this length are run at every cut; longer inputs at cuts near both ends and at
/// random places.
const EVERY: usize = 2048;
/// Inputs up to this length are run byte by byte in a fuzz target.
const QUICK: usize = 256;
/// This many events in a row that consume no bytes are an endless loop.
const IDLE: usize = 64;

/// Runs the decoder at every cut and returns the outcome. Panics with the cut if a run has another
/// outcome.
pub fn check<S: Subject>(mut make: impl FnMut() -> S, input: &[u8]) -> Outcome {
    let whole = drive(make(), input, &[]);
    let mut compare = |cuts: &[usize]| {
        let cut = drive(make(), input, cuts);
        assert!(
            cut == whole,
            "split invariance: {}\ninput \"{}\"\n--- whole\n{whole:?}\n--- cut\n{cut:?}\n",
            name(cuts, input),
            input.escape_ascii(),
        );
    };
    compare(&every_byte(input));
    for cut in places(input) {
        compare(&[cut]);
    }
    if input.len() <= PAIRS {
        for first in 0..=input.len() {
            for second in first..=input.len() {
                compare(&[first, second]);
            }
        }
    }
    whole
}

/// As [`check`], with fewer runs, for fuzz targets: whole, at a few cuts that depend on the input,
/// and byte by byte (at 64 cuts if the input is over 256 bytes).
pub fn quick<S: Subject>(mut make: impl FnMut() -> S, input: &[u8]) -> Outcome {
    let whole = drive(make(), input, &[]);
    let mut rng = Rng::of(input);
    let few = rng.below(6);
    let few = rng.cuts(input.len(), few);
    let many = if input.len() <= QUICK { every_byte(input) } else { rng.cuts(input.len(), 64) };
    for cuts in [few, many] {
        let cut = drive(make(), input, &cuts);
        assert!(cut == whole, "{}\n--- whole\n{whole:?}\n--- cut\n{cut:?}\n", name(&cuts, input));
    }
    whole
}

/// Runs the decoder once, with these cuts: ascending offsets. Without cuts the input is whole.
pub fn drive<S: Subject>(mut subject: S, input: &[u8], cuts: &[usize]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut buffer: Vec<u8> = Vec::new();
    let (mut start, mut consumed) = (0, 0_u64);
    let mut from = 0;
    for to in cuts.iter().copied().chain([input.len()]) {
        // As a real caller does: remove the consumed bytes, and append new bytes to the rest.
        buffer.drain(..start);
        start = 0;
        buffer.extend_from_slice(&input[from..to]);
        from = to;
        let mut idle = 0;
        loop {
            let (n, event) = match subject.decode(&mut buffer[start..]) {
                Ok(step) => step,
                Err(failure) => {
                    assert!(failure.offset <= to as u64, "{failure:?} is after the {to} bytes given");
                    for rest in [&mut buffer[start..], &mut []] {
                        assert_eq!(subject.decode(rest), Err(failure.clone()), "errors are sticky");
                    }
                    assert_eq!(subject.finish(), Err(failure.clone()), "errors are sticky, also in finish");
                    outcome.failure = Some(failure);
                    return outcome;
                }
            };
            let given = buffer.len() - start;
            assert!(n <= given, "consumed {n} of {given} bytes ({})", name(cuts, input));
            if let Some(Event::Data(data)) = &event {
                assert!(!data.is_empty(), "an empty data event at {consumed} ({})", name(cuts, input));
                assert!(
                    buffer[start..start + n].ends_with(data),
                    "data is not the end of the consumed region at {consumed} ({})",
                    name(cuts, input)
                );
            }
            start += n;
            consumed += n as u64;
            let Some(event) = event else {
                let again = subject.decode(&mut buffer[start..]);
                assert_eq!(again, Ok((0, None)), "None is stable, at {consumed} ({})", name(cuts, input));
                break;
            };
            idle = if n == 0 { idle + 1 } else { 0 };
            assert!(
                idle < IDLE,
                "{IDLE} events without a byte consumed, the last {event} ({})",
                name(cuts, input)
            );
            outcome.push(consumed, event);
        }
    }
    for _ in 0..IDLE {
        match subject.finish() {
            Ok(Some(event)) => outcome.push(consumed, event),
            Ok(None) => {
                outcome.left = (buffer.len() - start) as u64;
                return outcome;
            }
            Err(failure) => {
                assert!(failure.offset <= input.len() as u64, "{failure:?} is after the input");
                assert_eq!(subject.finish(), Err(failure.clone()), "errors are sticky, also in finish");
                outcome.failure = Some(failure);
                return outcome;
            }
        }
    }
    panic!("finish yields events for ever ({})", name(cuts, input));
}

fn every_byte(input: &[u8]) -> Vec<usize> {
    (1..input.len()).collect()
}

/// The places of single cuts: all places, or those near both ends and 256 places between.
fn places(input: &[u8]) -> Vec<usize> {
    let len = input.len();
    if len <= EVERY {
        return (0..=len).collect();
    }
    let mut rng = Rng::of(input);
    let between = (0..256).map(|_| rng.below(len));
    (0..EVERY / 4).chain(between).chain(len - EVERY / 4..=len).collect()
}

fn name(cuts: &[usize], input: &[u8]) -> String {
    match cuts {
        [] => "whole".into(),
        _ if cuts.len() + 1 == input.len() && cuts.len() > 2 => "byte by byte".into(),
        _ => format!("cut at {cuts:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    /// Lines that end in LF; `!` is an error. Each flag breaks one rule of the contract.
    #[derive(Default)]
    struct Lines {
        at: u64,
        error: Option<Failure>,
        forgets_errors: bool,
        needs_whole: bool,
        unstable: bool,
        greedy: bool,
    }

    impl Subject for Lines {
        fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Failure> {
            if let Some(error) = &self.error {
                return Err(error.clone());
            }
            if let Some(bad) = input.iter().position(|byte| *byte == b'!') {
                let failure = Failure { offset: self.at + bad as u64, kind: "Bang".into() };
                self.error = (!self.forgets_errors).then(|| failure.clone());
                return Err(failure);
            }
            let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
                let n = if self.unstable { input.len().min(1) } else { 0 };
                return Ok((n, None));
            };
            let end = if self.needs_whole { input.len() - 1 } else { end };
            self.at += end as u64 + 1;
            let n = if self.greedy { end + 2 } else { end + 1 };
            Ok((n, Some(Event::other(input[..end].escape_ascii()))))
        }

        fn finish(&mut self) -> Result<Option<Event>, Failure> {
            self.error.clone().map_or(Ok(None), Err)
        }
    }

    #[test]
    fn a_decoder_that_keeps_the_contract_passes() {
        let outcome = check(Lines::default, b"one\ntwo\nrest");
        assert_eq!(outcome.lines(), ["4 one", "8 two", "left 4"]);
    }

    #[test]
    #[should_panic(expected = "errors are sticky")]
    fn a_forgotten_error_is_found() {
        // The second call, after the error, returns no error.
        check(|| Lines { forgets_errors: true, ..Lines::default() }, b"!");
    }

    #[test]
    #[should_panic(expected = "split invariance")]
    fn a_difference_is_found() {
        check(|| Lines { needs_whole: true, ..Lines::default() }, b"one\ntwo\n");
    }

    #[test]
    #[should_panic(expected = "None is stable")]
    fn an_unstable_none_is_found() {
        check(|| Lines { unstable: true, ..Lines::default() }, b"ab");
    }

    #[test]
    #[should_panic(expected = "consumed 5 of 4 bytes")]
    fn consuming_too_much_is_found() {
        check(|| Lines { greedy: true, ..Lines::default() }, b"one\n");
    }
}
