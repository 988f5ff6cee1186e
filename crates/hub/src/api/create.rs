//! `PUT /c/{name}?create=1`: creates a channel with its settings.

use std::ops::Not;

use serde::Serialize;
use tidewire_http1::RequestHead;
use tidewire_server::{Body, Problem, Reply, Request, Response};
use tidewire_store::{
    ChannelName, ChannelSettings, Created, Retain, Setting, SettingsError, SettingsErrorKind, SettingsLimits,
    SettingsText,
};

use super::published::published;
use super::query::{Query, flag};
use crate::context::SiteContext;
use crate::cors::Access;
use crate::refusal::{bad_request, hub_refusal, refusal};
use crate::table::Ticket;

/// Whether this PUT creates a channel. Otherwise it is an upload.
///
/// # Errors
/// 400 for a query that names a parameter twice, for a `create` that is not 0 or 1, and for
/// settings without `create=1`: the request would be an upload, and make a channel without them.
pub(crate) fn is_asked(head: &RequestHead<'_>) -> Result<bool, Problem> {
    let text = head.query().unwrap_or_default();
    let is_asked = flag("create", Query::parse(text)?.create.as_deref())?;
    let mut names = text.split(|&b| b == b'&').filter_map(|pair| pair.split(|&b| b == b'=').next());
    if !is_asked && names.any(|name| Setting::ALL.iter().any(|known| known.name().as_bytes() == name)) {
        return Err(bad_request(
            "a PUT without create=1 is an upload, which has no settings; add create=1, or leave them out",
        ));
    }
    Ok(is_asked)
}

/// Answers a PUT that creates a channel.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    request: Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    access.require()?;
    let [name] = names else {
        return Err(Problem::new(400, "A PUT with create=1 is for one channel; create each in turn."));
    };
    let settings = settings(context, name, request.head.query().unwrap_or_default())?;
    if request.body.length().is_some_and(|len| len > 0) {
        return Err(has_body());
    }
    let (context, name, access, body) = (context.clone(), name.clone(), access.clone(), request.body);
    Ok(Reply::Later(Box::pin(async move {
        match create(&context, &name, settings, body).await {
            Ok(created) => answer(created, &access).into(),
            Err(problem) => refusal(&access, problem).into(),
        }
    })))
}

/// The settings that a query asks for. What it does not say is as for a channel that is created by
/// its first message.
fn settings(context: &SiteContext, name: &ChannelName, query: &[u8]) -> Result<ChannelSettings, Problem> {
    let others = query.split(|&b| b == b'&').filter(|pair| !pair.starts_with(b"create="));
    let text = others.collect::<Vec<_>>().join(&b'&');
    let text = SettingsText::parse(&text, &SettingsLimits::DEFAULT).map_err(|error| wrong(&text, error))?;
    if text.expires_at_ms().is_some_and(|at| at <= context.hub.wall_ms()) {
        return Err(bad_request("the time of expire-at is over; write a time to come, or leave it out"));
    }
    let (base, retention) = (context.hub.settings_of(name), context.hub.config().retention);
    let settings = text.over(&base, retention);
    if let Retain::Bounded(limits) = settings.retain {
        // Otherwise one request could make room for more than the memory has. The room of the
        // channels that keep all is bounded for all of them together.
        let most = match base.retain {
            Retain::Bounded(usual) => usual.max_bytes.max(retention.max_bytes),
            Retain::All => retention.max_bytes,
        };
        if limits.max_bytes > most {
            return Err(bad_request(format_args!(
                "retain-bytes is at most {most} on this server; write less, or retain=all"
            )));
        }
    }
    Ok(settings)
}

/// The refusal of settings. It names an unknown one, which may be a parameter of other requests.
fn wrong(text: &[u8], error: SettingsError) -> Problem {
    let rest = text.get(error.offset()..).unwrap_or_default();
    let name = rest.split(|b| b"=&".contains(b)).next().unwrap_or_default();
    let is_plain = !name.is_empty() && name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-');
    match std::str::from_utf8(name) {
        Ok(name) if error.kind() == SettingsErrorKind::Unknown && is_plain => {
            bad_request(format_args!("the query has {name}, but {error}"))
        }
        _ => bad_request(error),
    }
}

async fn create(
    context: &SiteContext,
    name: &ChannelName,
    settings: ChannelSettings,
    mut body: Body,
) -> Result<Created, Problem> {
    // A body in chunks may turn out to be empty.
    match body.next().await {
        None => {}
        Some(Ok(_)) => return Err(has_body()),
        Some(Err(error)) => return Err(bad_request(error)),
    }
    context.hub.create(name, settings).await.map_err(hub_refusal)
}

fn has_body() -> Problem {
    bad_request("a PUT with create=1 has no body; create the channel first, and then upload or post to it")
}

fn answer(created: Created, access: &Access) -> Response {
    let (cursor, status) = (created.cursor.to_string(), if created.created { 201 } else { 200 });
    published(status, &cursor, &CreatedObject { cursor: &cursor, created: created.created }, access)
}

#[derive(Serialize)]
struct CreatedObject<'a> {
    /// The position after what the channel has.
    cursor: &'a str,
    /// Otherwise it was there already, with the same settings.
    #[serde(skip_serializing_if = "Not::not")]
    created: bool,
}
