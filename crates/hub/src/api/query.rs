//! The parameters of a query.

use tidewire_grammar::eq_ignore_case;
use tidewire_server::Problem;

use crate::refusal::bad_request;

/// The parameters of a query. Unknown ones are ignored. A known parameter that occurs twice is
/// refused, because two programs could use different values.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) since: Option<String>,
    /// Polyfills send this instead of the field. It may be any bytes, because the id may come from
    /// another server.
    pub(crate) last_event_id: Option<Vec<u8>>,
    pub(crate) limit: Option<String>,
    pub(crate) wait: Option<String>,
    pub(crate) feed: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) objects: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) pace: Option<String>,
    pub(crate) close: Option<String>,
    pub(crate) create: Option<String>,
}

impl Query {
    pub(crate) fn parse(query: &[u8]) -> Result<Self, Problem> {
        let mut known = Query::default();
        for pair in query.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or_default());
            let slot = match name {
                b"since" => &mut known.since,
                b"limit" => &mut known.limit,
                b"wait" => &mut known.wait,
                b"feed" => &mut known.feed,
                b"event" => &mut known.event,
                b"objects" => &mut known.objects,
                b"callback" => &mut known.callback,
                b"pace" => &mut known.pace,
                b"close" => &mut known.close,
                b"create" => &mut known.create,
                name if LAST_EVENT_ID.iter().any(|known| eq_ignore_case(name, known)) => {
                    set_once(&mut known.last_event_id, decoded(value))?;
                    continue;
                }
                _ => continue,
            };
            let value =
                String::from_utf8(decoded(value)).map_err(|_| bad_request("the query is not UTF-8"))?;
            set_once(slot, value)?;
        }
        Ok(known)
    }
}

/// The value of a parameter that is 0 or 1. Without the parameter it is 0.
pub(crate) fn flag(name: &str, value: Option<&str>) -> Result<bool, Problem> {
    match value {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(bad_request(format_args!("the parameter {name} is 0 or 1"))),
    }
}

/// Parameters in which polyfills send the last event id, because they cannot send the field
/// `Last-Event-ID` to another origin. Upper and lower case are equal.
///
/// - `lastEventId`: event-source-polyfill (Yaffle); with this spelling also the Mercure protocol
/// - `Last-Event-ID`: the same polyfill, configured for Mercure
/// - `evs_last_event_id`: eventsource-polyfill (amvtek)
/// - `last_event_id`: clients written for Nchan
const LAST_EVENT_ID: [&[u8]; 4] = [b"lasteventid", b"last-event-id", b"last_event_id", b"evs_last_event_id"];

/// The value of a parameter, decoded as HTML forms encode it.
fn decoded(value: &[u8]) -> Vec<u8> {
    let value: Vec<u8> = value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_encoding::percent_decode(&value).collect()
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad_request("the query names a parameter twice; name each once")),
    }
}
