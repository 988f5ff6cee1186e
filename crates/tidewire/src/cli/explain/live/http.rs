//! One request and its response.

use std::error::Error;

use tidewire_explain::{Note, NoteKind};
use tidewire_http1::{BodyLength, Client, Connection, Event, Fields, Limits, Request};

use super::args::LiveArgs;
use super::endpoint::Endpoint;
use super::session::{End, Session};

/// Sends the request and reads until the response is complete.
pub(super) async fn run(
    session: &mut Session,
    endpoint: &Endpoint,
    args: &LiveArgs,
) -> Result<End, Box<dyn Error>> {
    let mut limits = Limits::DEFAULT;
    limits.max_body = u64::MAX;
    let mut connection = Connection::<Client>::new(limits);
    let default = if args.data.is_some() { "POST" } else { "GET" };
    let method = args.method.as_deref().unwrap_or(default);
    let fields = args.fields()?;
    let blocks = [&fields];
    let request = Request::new(method, &endpoint.target, &endpoint.authority).with_fields(&blocks);
    let body = args.data.as_ref().map_or(BodyLength::Empty, |data| BodyLength::Length(data.len() as u64));
    session.send_request(&mut connection, &request, body, args.data.as_deref().unwrap_or_default()).await?;

    let mut fields = Fields::new();
    let mut input = Vec::new();
    let mut wanted = args.messages.unwrap_or(u64::MAX);
    loop {
        let notes = match session.receive(&mut input).await? {
            Ok(notes) => notes,
            Err(end) => return Ok(end),
        };
        let mut at = 0;
        // The dump already shows a refusal.
        while let Ok((used, event)) = connection.decode(&input[at..], &mut fields) {
            at += used;
            match event {
                Some(Event::End) => return Ok(End::Server),
                Some(_) => {}
                None => break,
            }
        }
        input.drain(..at);
        if connection.error().is_some() {
            return Ok(End::Server);
        }
        wanted = wanted.saturating_sub(messages_in(&notes));
        if wanted == 0 {
            return Ok(End::EnoughMessages);
        }
    }
}

/// Returns the number of events and JSON lines that these notes complete.
fn messages_in(notes: &[Note]) -> u64 {
    notes.iter().filter(|note| matches!(note.kind, NoteKind::Dispatch | NoteKind::JsonLine)).count() as u64
}
