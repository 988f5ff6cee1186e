//! A capture: a file with the bytes of one direction, or a trace of curl with both directions.

use std::error::Error;
use std::process::ExitCode;

use tidewire_explain::{Annotator, Direction, Limits};

use super::curl_trace::CurlTrace;
use super::explainer::{Explainer, Output};
use super::hex_dump::HexDump;
use super::input::Input;
use super::input_kind::{InputKind, detect};

/// Explains the file of this name while it is read.
pub(super) fn run(
    name: &str,
    kind: Option<InputKind>,
    is_hex: bool,
    mut dump: HexDump<Output>,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut input = Input::open(name, is_hex)?;
    let mut bytes = Vec::new();
    let mut complete;
    let (kind, detected_by) = loop {
        complete = !input.read(&mut bytes)?;
        let known = match kind {
            // The first byte is awaited even so: only then it is known that the input is not empty.
            Some(kind) => (complete || !bytes.is_empty()).then_some((kind, None)),
            None => detect(&bytes, complete).map(|(kind, reason)| (kind, Some(reason))),
        };
        if let Some(known) = known {
            break known;
        }
    };
    if bytes.is_empty() {
        dump.remark("the input is empty")?;
    } else if let Some(reason) = detected_by {
        dump.remark(&format!("read as {}: {reason} (change this with --as)", kind.name()))?;
    }
    let (start, direction) = kind.start();
    let mut trace = (kind == InputKind::CurlTrace).then(CurlTrace::default);
    if trace.is_some() {
        dump.name_directions();
    }
    let mut explainer = Explainer::new(Annotator::starting_with(start, Limits::default()), dump);
    loop {
        match &mut trace {
            Some(trace) => {
                for (direction, piece) in trace.push(&bytes) {
                    explainer.push(direction, &piece)?;
                }
            }
            None => {
                explainer.push(direction, &bytes)?;
            }
        }
        bytes.clear();
        let refused = explainer.refusal(direction).is_some();
        if complete
            || refused && explainer.total(direction) > MAX_BEHIND_REFUSAL
            || !input.read(&mut bytes)?
        {
            break;
        }
    }
    if trace.is_some() || direction == Direction::Up {
        explainer.finish(Direction::Up)?;
    }
    if direction == Direction::Down {
        explainer.finish(Direction::Down)?;
    }
    conclude(explainer, trace.is_some())
}

/// Prints whether all bytes were accepted.
fn conclude(mut explainer: Explainer, both_directions: bool) -> Result<ExitCode, Box<dyn Error>> {
    let no_close = match explainer.first_refusal().map(|refusal| refusal.kind.as_str()) {
        None => "",
        // A capture may end between two messages. That is not an error of the sender.
        Some("NoClose") => "; there is no close frame, so an API reports code 1006",
        Some(_) => {
            explainer.print_refusal()?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (sent, received) = (explainer.total(Direction::Up), explainer.total(Direction::Down));
    let all = match both_directions {
        true => format!("{sent} bytes sent, {received} received"),
        false => format!("all {} bytes", sent + received),
    };
    explainer.print_accepted(&format!("{all}{no_close}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The decoder stops at a refusal. The rest of the input is still read, up to this number of bytes,
/// so that the bytes of a small file are all counted.
const MAX_BEHIND_REFUSAL: u64 = 1 << 20;
