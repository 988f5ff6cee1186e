//! `POST /c/{name}`: publishes one message of any media type, or closes the channel, or both. The
//! publish waits while its message would evict messages that the workers must still deliver.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tidewire_server::{BodyError, Problem, Reply, Request, Response};
use tidewire_store::{ChannelName, Message};

use super::producer::Producer;
use super::query::{Query, flag};
use super::{content, published};
use crate::channel_state::{Published, Publishing};
use crate::context::SiteContext;
use crate::cors::Access;
use crate::error::HubError;
use crate::hub::Hub;
use crate::object::Done;
use crate::publication::Publication;
use crate::refusal::{bad_request, hub_refusal, refusal};
use crate::request_fields::RequestField;
use crate::room::LONGEST_WAIT_MS;
use crate::table::Ticket;

/// Answers a POST. If the body came with the head, answers at once.
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
    let query = Query::parse(request.head.query().unwrap_or_default())?;
    if flag("create", query.create.as_deref())? {
        return Err(bad_request(
            "a PUT creates a channel, and a POST writes to it; use PUT, or leave create out",
        ));
    }
    let publish = PublishRequest {
        hub: context.hub.clone(),
        name: name.clone(),
        close: flag("close", query.close.as_deref())?,
        event: query.event,
        content_type: content::media_type(request.head)?,
        key: content::single(request.head, RequestField::IdempotencyKey)?.map(<[u8]>::to_vec),
        producer: Producer::of(request.head)?,
    };
    if publish.key.is_some() && publish.producer.is_some() {
        return Err(bad_request(KEY_AND_PRODUCER));
    }
    let limit = context.hub.config().max_message;
    if let Some(len) = request.body.length().filter(|&len| len > limit as u64) {
        return Err(hub_refusal(HubError::MessageTooLarge { len: len as usize, limit }));
    }
    let (context, access) = (context.clone(), access.clone());
    if let Some(data) = request.body.as_whole() {
        let publication = publish.with(data.clone())?;
        return match Begun::at_once(&context.hub, publication) {
            Ok(begun) => begun.into_reply(access),
            Err(publication) => Ok(Reply::Later(Box::pin(async move {
                Begun::when_room(&context, publication).await.into_reply_in_task(access)
            }))),
        };
    }
    let body = request.body;
    Ok(Reply::Later(Box::pin(async move {
        let data = match body.collect(limit).await {
            Ok(data) => Ok(data),
            Err(BodyError::TooLarge) => Err(Problem::new(
                413,
                format!("The message is over the limit of {limit} bytes; send less, or raise --max-message."),
            )),
            Err(error) => Err(bad_request(error)),
        };
        let begun = match data.and_then(|data| publish.with(data)) {
            Ok(publication) => match Begun::at_once(&context.hub, publication) {
                Ok(begun) => begun,
                Err(publication) => Begun::when_room(&context, publication).await,
            },
            Err(problem) => Begun::Done(Err(problem)),
        };
        begun.into_reply_in_task(access)
    })))
}

/// A publish that waits for nothing but the store.
enum Begun {
    Done(Result<Published, Problem>),
    /// The store has it and answers later. So the next publish of the client may follow.
    Sent(Publishing),
}

impl Begun {
    /// Tries to publish with a waker that does nothing.
    ///
    /// # Errors
    /// There is no room. The publication is in the line: poll it again with the waker of a task.
    fn at_once(hub: &Hub, mut publication: Publication) -> Result<Self, Publication> {
        match hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut publication) {
            Poll::Ready(outcome) => Ok(Begun::Done(outcome.map_err(hub_refusal))),
            Poll::Pending => publication.into_sent().map(Begun::Sent),
        }
    }

    /// Publishes when there is room or the longest wait is over. If the server stops meanwhile, the
    /// hub refuses the message.
    async fn when_room(context: &SiteContext, mut publication: Publication) -> Self {
        let hub = &context.hub;
        let mut stopping = pin!(context.stopping());
        let mut longest = pin!(tokio::time::sleep(Duration::from_millis(LONGEST_WAIT_MS)));
        let in_time = poll_fn(|cx| match hub.poll_publish(cx, &mut publication) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if publication.is_sent() => Poll::Ready(None),
            Poll::Pending if stopping.as_mut().poll(cx).is_ready() => Poll::Ready(None),
            Poll::Pending => longest.as_mut().poll(cx).map(|()| None),
        });
        let outcome = match in_time.await {
            Some(outcome) => outcome,
            None => match publication.into_sent() {
                Ok(publishing) => return Begun::Sent(publishing),
                Err(mut publication) => poll_fn(|cx| hub.poll_publish(cx, &mut publication)).await,
            },
        };
        Begun::Done(outcome.map_err(hub_refusal))
    }

    async fn outcome(self) -> Result<Published, Problem> {
        match self {
            Begun::Done(outcome) => outcome,
            Begun::Sent(publishing) => publishing.wait().await.map_err(hub_refusal),
        }
    }

    fn into_reply(self, access: Access) -> Result<Reply<Ticket>, Problem> {
        match self {
            Begun::Done(outcome) => outcome.map(|published| created(published, &access).into()),
            sent => Ok(Reply::Pipelined(Box::pin(async move {
                let outcome = sent.outcome().await;
                outcome.map_or_else(|problem| refusal(&access, problem), |done| created(done, &access))
            }))),
        }
    }

    /// The same where nobody else refuses.
    fn into_reply_in_task(self, access: Access) -> Reply<Ticket> {
        self.into_reply(access.clone()).unwrap_or_else(|problem| refusal(&access, problem).into())
    }
}

/// Both of them say whether a message is in the log already.
pub(crate) const KEY_AND_PRODUCER: &str =
    "a message has either an idempotency key or a producer; leave one of the two out";

/// The publish request as its head describes it, without the payload.
struct PublishRequest {
    hub: Arc<Hub>,
    name: ChannelName,
    close: bool,
    event: Option<String>,
    content_type: Option<String>,
    key: Option<Vec<u8>>,
    producer: Option<Producer>,
}

impl PublishRequest {
    fn with(self, data: Bytes) -> Result<Publication, Problem> {
        let publication =
            if self.close && data.is_empty() { self.only_close()? } else { self.message(data)? };
        Ok(match self.producer {
            Some(Producer { id, epoch, seq }) => publication.with_producer(&id, epoch, seq),
            None => publication,
        })
    }

    /// A close without a message. It needs no key, because closing again changes nothing.
    fn only_close(&self) -> Result<Publication, Problem> {
        match self.event {
            None => Ok(Publication::close(self.name.clone())),
            Some(_) => Err(bad_request(
                "with close=1 and an empty body there is no message that could have an event name; \
                 leave event= out, or send a body",
            )),
        }
    }

    fn message(&self, data: Bytes) -> Result<Publication, Problem> {
        let mut message = Message::new(data, self.hub.wall_ms());
        if let Some(event) = &self.event {
            message = message.with_event(event).map_err(bad_request)?;
        }
        if let Some(content_type) = &self.content_type {
            message = message.with_content_type(content_type).map_err(bad_request)?;
        }
        let publication = Publication::new(self.name.clone(), message, self.key.as_deref());
        Ok(if self.close { publication.closing() } else { publication })
    }
}

/// 201 with the cursor after the message. 200 if nothing was appended: the message was in the log
/// already, or the channel was closed without one.
fn created(published: Published, access: &Access) -> Response {
    let Published { cursor, duplicate, end } = published;
    let status = if duplicate || end == Some(cursor) { 200 } else { 201 };
    let (cursor, end) = (cursor.to_string(), end.map(|end| end.to_string()));
    published::published(status, &cursor, &Done::published(&cursor, duplicate, end.as_deref()), access)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tidewire_channel::Retention;

    use super::*;
    use crate::channel::{Channel, Watch};
    use crate::channel_state::Waiter;
    use crate::config::HubConfig;

    /// A channel that is full, with a message that worker 0 never serves; and a publication that
    /// waits there.
    fn waiting() -> (Arc<Hub>, Arc<Channel>, Publication) {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let name = ChannelName::new("a").unwrap();
        let channel = hub.channel(&name).unwrap();
        let watch = channel.watch(channel.head(), channel.head(), Waiter::Worker(0));
        assert!(matches!(watch, Watch::Waiting(_)));
        let publication = || Publication::new(name.clone(), Message::new("x".into(), 0), None);
        assert!(matches!(Begun::at_once(&hub, publication()), Ok(Begun::Done(Ok(_)))));
        let Err(waits) = Begun::at_once(&hub, publication()) else { panic!("there is no room") };
        (hub, channel, waits)
    }

    /// Publishes when there is room.
    fn run(context: &SiteContext, publication: Publication) -> Result<Published, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { Begun::when_room(context, publication).await.outcome().await })
    }

    #[test]
    fn a_hanging_worker_does_not_block_a_publisher() {
        let (hub, _, publication) = waiting();
        let (context, _stop) = SiteContext::new(hub, Arc::default());
        let start = Instant::now();
        assert!(run(&context, publication).is_ok());
        assert!(start.elapsed() >= Duration::from_millis(LONGEST_WAIT_MS - 1_000), "the wait was too short");
    }

    #[test]
    fn a_publisher_goes_on_when_a_worker_has_served() {
        let (hub, channel, publication) = waiting();
        let (context, _stop) = SiteContext::new(hub, Arc::default());
        let start = channel.head();
        let worker = std::thread::spawn(move || channel.served(0, start));
        assert_eq!(run(&context, publication).unwrap().cursor.seq(), 2);
        worker.join().unwrap();
    }

    #[test]
    fn a_stop_refuses_a_waiting_publisher() {
        let (hub, _, publication) = waiting();
        let (context, stop) = SiteContext::new(hub.clone(), Arc::default());
        let stops = std::thread::spawn(move || {
            hub.stop();
            stop.send_replace(true);
        });
        assert_eq!(run(&context, publication).unwrap_err().status, 503);
        stops.join().unwrap();
    }
}
