//! Refusals: sentences that say what to do, with the response fields that a page needs to read
//! them.

use std::fmt;

use tidewire_server::{Problem, Response};
use tidewire_store::ChannelName;

use crate::cors::Access;
use crate::error::HubError;

/// The refusal for an error of the hub. It has the members that a program needs to go on.
pub(crate) fn hub_refusal(error: HubError) -> Problem {
    let mut problem = Problem::new(error.status(), sentence(&error.to_string()));
    if let Some(reason) = error.reason() {
        problem = problem.with("reason", reason);
    }
    match error {
        HubError::Closed { end } => problem.with("end", end.to_string()),
        HubError::ProducerFenced { epoch } => problem.with("epoch", epoch),
        HubError::ProducerGap { expected } => problem.with("expected", expected),
        HubError::Store { unknown } => problem.with("outcome", if unknown { "unknown" } else { "failed" }),
        _ => problem,
    }
}

/// The refusal of a read of these channels: what is wrong with one of them.
pub(crate) fn read_refusal(error: HubError, channels: &[ChannelName], one: &ChannelName) -> Problem {
    match error {
        HubError::Deleted => deletion((channels.len() > 1).then(|| one.as_str())),
        error => hub_refusal(error),
    }
}

/// The refusal of a read whose channel was deleted. If there are several, it names that one.
pub(crate) fn deletion(channel: Option<&str>) -> Problem {
    let problem = hub_refusal(HubError::Deleted);
    match channel {
        Some(name) => problem.with("channel", name),
        None => problem,
    }
}

/// 400, for an error that displays as a clause.
pub(crate) fn bad_request(error: impl fmt::Display) -> Problem {
    Problem::new(400, sentence(&error.to_string()))
}

/// Makes a sentence from a clause: errors display as clauses, but a refusal is a sentence.
pub(crate) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// 405, the response to a method that a resource does not have (RFC 9110 §15.5.6). `allow` is the
/// value of `Allow`: the methods of the resource, as in `GET, HEAD`.
pub fn not_allowed(allow: &'static str) -> Response {
    Problem::new(405, format!("This resource allows only {allow}.")).into_response().with("Allow", allow)
}

/// A refusal as a response. A 503 is temporary, so it gets `Retry-After`.
pub(crate) fn refusal(access: &Access, problem: Problem) -> Response {
    let response = vary(access, problem.into_response());
    if response.status() == 503 { response.with("Retry-After", "5") } else { response }
}

/// Adds the CORS fields, and `Vary` with the fields that decide the response to a GET.
pub(crate) fn vary(access: &Access, response: Response) -> Response {
    access.apply(response.with("Vary", "Accept, Origin, Last-Event-ID, Prefer"))
}

#[cfg(test)]
mod tests {
    use tidewire_channel::{Cursor, Epoch};

    use super::*;

    #[test]
    fn a_problem_has_what_a_program_needs() {
        let end = Cursor::new(Epoch::new(35), 4);
        for (error, status, members) in [
            (HubError::Closed { end }, 409, r#""reason":"closed","end":"z-4""#),
            (HubError::Deleted, 404, r#""reason":"deleted""#),
            (HubError::Exists, 409, r#""reason":"exists""#),
            (HubError::ProducerFenced { epoch: 7 }, 403, r#""reason":"producer-fenced","epoch":7"#),
            (HubError::ProducerGap { expected: 7 }, 409, r#""reason":"producer-gap","expected":7"#),
            (HubError::ProducerStart, 400, r#""reason":"producer-start""#),
            (HubError::Store { unknown: true }, 503, r#""outcome":"unknown""#),
            (HubError::Store { unknown: false }, 503, r#""outcome":"failed""#),
        ] {
            let problem = hub_refusal(error);
            let json = String::from_utf8(problem.to_json()).unwrap();
            assert!(problem.status == status && json.ends_with(&format!(".\",{members}}}\n")), "{json}");
        }
    }
}
