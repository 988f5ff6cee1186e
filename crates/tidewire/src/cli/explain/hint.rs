//! Hints on refusals.

use tidewire_explain::{Direction, Refusal};

/// Returns the usual cause of a refusal, or why the rule matters.
pub(super) fn of(refusal: &Refusal) -> Option<&'static str> {
    let is = |text: &str| refusal.kind.starts_with(text);
    let up = refusal.direction == Direction::Up;
    Some(match refusal.kind.as_str() {
        "Syntax(Target)" if up && refusal.offset <= 2 => {
            "is this the output of curl -v? Use curl --trace - --raw instead: \
             it has every byte of both directions"
        }
        "Syntax(LineEnd)" => {
            "HTTP ends each line with CR LF (\\r\\n), but many editors and echo write only LF"
        }
        "Syntax(Chunked(Size))" if !up => {
            "curl -i removes the chunked coding from its output; curl -i --raw keeps it"
        }
        "Rule(LengthAndCoding)"
        | "Rule(LengthRepeated)"
        | "Rule(LengthInvalid)"
        | "Rule(CodingRepeated)"
        | "Rule(CodingInvalid)"
        | "Rule(CodingInHttp10)" => {
            "two recipients could disagree about where this message ends, which allows request smuggling"
        }
        "Rule(HostRepeated)" | "Rule(HostInvalid)" => {
            "two recipients could disagree about which site the request is for"
        }
        "Syntax(SpaceBeforeColon)" | "Syntax(FoldedLine)" => {
            "recipients read such lines in different ways, so an attacker can hide a field from some of them"
        }
        "Unmasked" => {
            "without masking, a web page could choose the bytes on the wire, \
             and an old proxy could mistake them for a request"
        }
        "ReservedBits" => {
            "RSV1 marks a compressed message; begin the input with the handshake, \
             which shows whether compression was agreed on"
        }
        // An empty input was not cut off: nothing was there.
        "Syntax(UnexpectedEnd)" | "UnexpectedEnd" if refusal.offset > 0 => {
            "the capture may have been cut off, or a length in it is too large"
        }
        _ if is("Syntax(Chunked(") => {
            "after a wrong chunk, a recipient cannot know where the next message starts"
        }
        _ => return None,
    })
}
