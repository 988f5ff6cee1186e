//! A capture: a file with the bytes of one direction, or a trace of curl with both directions.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use tidewire_explain::{Annotator, Direction, Limits};

use super::curl_trace::CurlTrace;
use super::explainer::{Explainer, Output};
use super::hex_dump::HexDump;
use super::input::Input;
use super::input_kind::{InputKind, LONGEST_FIRST_LINE, NO_OTHER_KIND, detect};

/// Explains the file of this name while it is read.
pub(super) fn run(
    name: &str,
    given: Option<InputKind>,
    is_hex: bool,
    mut dump: HexDump<Output>,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut input = Input::open(name, is_hex)?;
    let mut bytes = Vec::new();
    let mut complete;
    let (kind, reason) = loop {
        complete = !input.read(&mut bytes)?;
        let known = match given {
            // The first byte is awaited even so: only then it is known that the input is not empty.
            Some(kind) => (complete || !bytes.is_empty()).then_some((kind, "")),
            None => detect(&bytes, complete),
        };
        if let Some(known) = known {
            break known;
        }
    };
    let is_empty = bytes.is_empty();
    if is_empty {
        // A command such as curl -s says nothing when it fails.
        dump.remark("the input is empty; if it comes from a command, that command printed nothing")?;
    } else if given.is_none() {
        dump.remark(&format!("read as {}: {reason} (change this with --as)", kind.name()))?;
    }
    let (start, direction) = kind.start();
    let mut trace = (kind == InputKind::CurlTrace).then(CurlTrace::default);
    if trace.is_some() {
        dump.name_directions();
    }
    let mut explainer = Explainer::new(Annotator::starting_with(start, Limits::default()), dump);
    let mut beginning = Vec::new();
    loop {
        beginning.extend(bytes.iter().take(LONGEST_FIRST_LINE - beginning.len()));
        match &mut trace {
            Some(trace) => push_trace(&mut explainer, trace, &bytes)?,
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
    if let Some(trace) = &mut trace {
        // The last line may lack its end.
        push_trace(&mut explainer, trace, b"\n")?;
        if !is_empty && explainer.total(Direction::Up) + explainer.total(Direction::Down) == 0 {
            return Err("the trace has no bytes of a connection: curl did not connect, or wrote the trace \
                        with -v or --trace-ascii instead of --trace"
                .into());
        }
    }
    if trace.is_some() || direction == Direction::Up {
        explainer.finish(Direction::Up)?;
    }
    if direction == Direction::Down {
        explainer.finish(Direction::Down)?;
    }
    let hint = match explainer.first_refusal() {
        Some(_) if !is_hex && is_hex_text(&beginning) => {
            Some("the input is only hexadecimal digits; --hex reads them as bytes".to_owned())
        }
        // An event stream accepts all bytes. What another kind accepts is of this kind.
        None if given != Some(InputKind::Sse) => None,
        _ => given.and_then(|kind| other_kind(kind, &beginning)),
    };
    conclude(explainer, trace.is_some(), hint.as_deref())
}

/// Explains the bytes in a piece of a trace.
fn push_trace(explainer: &mut Explainer, trace: &mut CurlTrace, text: &[u8]) -> io::Result<()> {
    for (direction, piece) in trace.push(text) {
        explainer.push(direction, &piece)?;
    }
    Ok(())
}

/// Returns a hint if the input seems to be of another kind than the given one.
fn other_kind(given: InputKind, beginning: &[u8]) -> Option<String> {
    let (kind, reason) = detect(beginning, true).filter(|_| !beginning.is_empty())?;
    (kind != given && reason != NO_OTHER_KIND)
        .then(|| format!("without --as, the input is read as {}: {reason}", kind.name()))
}

/// Whether a text has only pairs of hexadecimal digits, and more than a chunk size has at least.
fn is_hex_text(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    digits.clone().all(u8::is_ascii_hexdigit) && digits.count() >= 4
}

/// Prints whether all bytes were accepted.
fn conclude(
    mut explainer: Explainer,
    both_directions: bool,
    hint: Option<&str>,
) -> Result<ExitCode, Box<dyn Error>> {
    let no_close = match explainer.first_refusal().map(|refusal| refusal.kind.as_str()) {
        None => "",
        // A capture may end between two messages. That is not an error of the sender.
        Some("NoClose") => "; there is no close frame, so an API reports code 1006",
        Some(_) => {
            explainer.print_refusal()?;
            if let Some(hint) = hint {
                explainer.print_hint(hint)?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let (sent, received) = (explainer.total(Direction::Up), explainer.total(Direction::Down));
    let all = match both_directions {
        true => format!("{sent} bytes sent, {received} received"),
        false => format!("all {} bytes", sent + received),
    };
    explainer.print_accepted(&format!("{all}{no_close}"))?;
    if let Some(hint) = hint {
        explainer.print_hint(hint)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The decoder stops at a refusal. The rest of the input is still read, up to this number of bytes,
/// so that the bytes of a small file are all counted.
const MAX_BEHIND_REFUSAL: u64 = 1 << 20;
