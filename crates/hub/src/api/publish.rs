//! `POST /c/{name}`: one message, any content type.

use std::ops::Not;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tidewire_server::{BodyError, Problem, Reply, Request, Response};

use super::query::Query;
use super::{content, published};
use crate::channel_state::Published;
use crate::context::SiteContext;
use crate::cors::Access;
use crate::error::HubError;
use crate::hub::Hub;
use crate::message::Message;
use crate::name::ChannelName;
use crate::refusal::{bad_request, hub_refusal, refusal};
use crate::request_fields::RequestField;
use crate::table::Ticket;

/// Answers a POST: at once if the body came with the head.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    request: Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    access.require()?;
    if let Some(refusal) = content::refuse_coding(request.head, access) {
        return Ok(refusal.into());
    }
    let [name] = names else {
        return Err(Problem::new(400, "A message is for one channel; post it to each in turn."));
    };
    let publish = PublishRequest {
        hub: context.hub.clone(),
        name: name.clone(),
        event: Query::parse(request.head.query().unwrap_or_default())?.event,
        content_type: content::media_type(request.head)?,
        key: content::single(request.head, RequestField::IdempotencyKey)?.map(<[u8]>::to_vec),
    };
    let limit = context.hub.config().max_message;
    if let Some(len) = request.body.length().filter(|&len| len > limit as u64) {
        return Err(hub_refusal(HubError::MessageTooLarge { len: len as usize, limit }));
    }
    if let Some(data) = request.body.as_whole() {
        return publish.run(data.clone()).map(|published| created(published, access).into());
    }
    let (body, access) = (request.body, access.clone());
    Ok(Reply::Later(Box::pin(async move {
        let outcome = match body.collect(limit).await {
            Ok(data) => publish.run(data),
            Err(BodyError::TooLarge) => Err(Problem::new(
                413,
                format!("The message is over the limit of {limit} bytes; send less, or raise --max-message."),
            )),
            Err(error) => Err(bad_request(error)),
        };
        match outcome {
            Ok(published) => created(published, &access).into(),
            Err(problem) => refusal(&access, problem).into(),
        }
    })))
}

/// A publish request without its payload: what the head of a POST says.
struct PublishRequest {
    hub: Arc<Hub>,
    name: ChannelName,
    event: Option<String>,
    content_type: Option<String>,
    key: Option<Vec<u8>>,
}

impl PublishRequest {
    fn run(self, data: Bytes) -> Result<Published, Problem> {
        let mut message = Message::new(data, self.hub.wall_ms());
        if let Some(event) = &self.event {
            message = message.with_event(event).map_err(bad_request)?;
        }
        if let Some(content_type) = &self.content_type {
            message = message.with_content_type(content_type).map_err(bad_request)?;
        }
        self.hub.publish(&self.name, message, self.key.as_deref()).map_err(hub_refusal)
    }
}

/// 201 with the cursor after the message; 200 for a message that was there already.
fn created(published: Published, access: &Access) -> Response {
    let Published { cursor, duplicate } = published;
    let cursor = cursor.to_string();
    let status = if duplicate { 200 } else { 201 };
    published::published(status, &cursor, &Created { cursor: &cursor, duplicate }, access)
}

#[derive(Serialize)]
struct Created<'a> {
    cursor: &'a str,
    #[serde(skip_serializing_if = "Not::not")]
    duplicate: bool,
}
