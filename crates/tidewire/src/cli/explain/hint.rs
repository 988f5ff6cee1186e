//! Hints on refusals.

use tidewire_explain::{Direction, Refusal};

/// Returns what often causes a refusal, or why it matters.
pub(super) fn of(refusal: &Refusal) -> Option<&'static str> {
    let is = |text: &str| refusal.kind.starts_with(text);
    let up = refusal.direction == Direction::Up;
    Some(match refusal.kind.as_str() {
        "Syntax(Target)" if up && refusal.offset <= 2 => {
            "is this what curl -v prints? curl --trace - --raw has every byte of both directions, and is understood"
        }
        "Syntax(LineEnd)" => "HTTP ends each line with CR LF (\\r\\n); many editors and echo write LF alone",
        "Syntax(Chunked(Size))" if !up => {
            "curl -i takes the chunked coding off what it saves; curl -i --raw leaves it on"
        }
        "Rule(LengthAndCoding)"
        | "Rule(LengthRepeated)"
        | "Rule(LengthInvalid)"
        | "Rule(CodingRepeated)"
        | "Rule(CodingInvalid)"
        | "Rule(CodingInHttp10)" => {
            "two recipients could end this message at two different bytes: that is how requests are smuggled"
        }
        "Rule(HostRepeated)" | "Rule(HostInvalid)" => "two recipients could take it for two different sites",
        "Syntax(SpaceBeforeColon)" | "Syntax(FoldedLine)" => {
            "recipients disagree about such lines, so a field could be hidden from one of them"
        }
        "Unmasked" => {
            "masking keeps a web page from choosing the bytes on the wire, which an old proxy could take for a request"
        }
        "ReservedBits" => {
            "RSV1 marks a compressed message; whether that was agreed on is in the handshake, which has to come first"
        }
        "Syntax(UnexpectedEnd)" | "UnexpectedEnd" => {
            "more was announced than there is; a capture that was cut off looks like this too"
        }
        _ if is("Syntax(Chunked(") => {
            "where a chunk ends wrongly, nobody knows where the next message starts"
        }
        _ => return None,
    })
}
