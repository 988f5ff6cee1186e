//! Refusals: sentences that say what to do, with the fields that a page needs in order to read
//! them.

use std::fmt;

use tidewire_server::{Problem, Response};

use crate::cors::Access;
use crate::error::HubError;

/// The refusal of what the hub refused.
pub(crate) fn hub_refusal(error: HubError) -> Problem {
    Problem::new(error.status(), sentence(&error.to_string()))
}

/// 400, for an error that displays as a clause.
pub(crate) fn bad_request(error: impl fmt::Display) -> Problem {
    Problem::new(400, sentence(&error.to_string()))
}

/// Makes a sentence of a clause: errors display as clauses, and a refusal is a sentence.
pub(crate) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The answer to a method that a resource does not have (RFC 9110 §15.5.6): 405. `allow` is the
/// value of `Allow`: the methods that it has, as in `GET, HEAD`.
pub fn not_allowed(allow: &'static str) -> Response {
    Problem::new(405, format!("This resource knows {allow}.")).into_response().with("Allow", allow)
}

/// A refusal. What is full or stopping now is not for ever.
pub(crate) fn refusal(access: &Access, problem: Problem) -> Response {
    let response = vary(access, problem.into_response());
    if response.status() == 503 { response.with("Retry-After", "5") } else { response }
}

/// Adds the fields of CORS, and those that the answer to a GET depends on.
pub(crate) fn vary(access: &Access, response: Response) -> Response {
    access.apply(response.with("Vary", "Accept, Origin, Last-Event-ID, Prefer"))
}
