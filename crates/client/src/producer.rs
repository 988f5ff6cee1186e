//! A producer: it numbers its messages, and repeats one until it knows the outcome.

use std::fmt;

use crate::{Client, Error, Publish, Published};

/// Publishes a series of messages, each exactly once and in order.
///
/// The server keeps the newest number of each producer with the log, and appends each number once.
/// So a message can be repeated as often as necessary, also after a restart of the server. This is
/// stronger than an idempotency key: the order is kept, and a run that was believed dead cannot
/// write any more once a newer run has begun.
///
/// ```no_run
/// use tidewire_client::{Client, Error, Producer, Publish};
///
/// # async fn run(lines: Vec<String>) -> Result<(), Error> {
/// let client = Client::new("http://127.0.0.1:8080/c/logs/today")?;
/// // The second run of this program. The server refuses the first run from now on.
/// let mut producer = Producer::new(client, "sensor-7", 2);
/// for line in lines {
///     producer.publish(Publish::new(line)).await?;
/// }
/// producer.publish(Publish::close()).await?;
/// # Ok(())
/// # }
/// ```
///
/// **After [`Error::UnknownOutcome`]** the message is still with the producer. Call
/// [`retry`](Self::retry) until the outcome is known, or publish the next message: the producer
/// first repeats the one before. Do not publish the same message again. The same holds if you drop
/// the future of a publish halfway. After every other error, the message was not appended, and its
/// number is free for the next one.
pub struct Producer {
    client: Client,
    id: String,
    epoch: u64,
    next_seq: u64,
    pending: Option<Pending>,
}

/// A message whose outcome is not known.
struct Pending {
    message: Publish,
    /// An earlier attempt may have been carried out.
    is_unknown: bool,
}

impl Producer {
    /// A producer with this name and epoch. Its first message has the number 0. Take a higher epoch
    /// for each run of your program, or store [`next_seq`](Self::next_seq) with the state of your
    /// program and go on with it.
    #[must_use]
    pub fn new(client: Client, id: impl Into<String>, epoch: u64) -> Self {
        Self { client, id: id.into(), epoch, next_seq: 0, pending: None }
    }

    /// Sets the number of the next message.
    #[must_use]
    pub const fn with_next_seq(mut self, seq: u64) -> Self {
        self.next_seq = seq;
        self
    }

    /// The number of the next message, or of the message whose outcome is not known.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Whether there is a message whose outcome is not known.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Publishes a message with the next number, and returns once it is in the log. An idempotency
    /// key of the message is not used. If the outcome of the message before is not known, it is
    /// repeated first.
    ///
    /// # Errors
    /// As [`Client::publish`]. If the message before fails again, this message is not sent.
    pub async fn publish(&mut self, message: Publish) -> Result<Published, Error> {
        self.retry().await?;
        let message = message.with_producer(self.id.clone(), self.epoch, self.next_seq);
        self.send(Pending { message, is_unknown: false }).await
    }

    /// Repeats the message whose outcome is not known. Returns `None` if there is none.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn retry(&mut self) -> Result<Option<Published>, Error> {
        match self.pending.take() {
            Some(pending) => self.send(pending).await.map(Some),
            None => Ok(None),
        }
    }

    async fn send(&mut self, pending: Pending) -> Result<Published, Error> {
        let Pending { message, is_unknown } = pending;
        // The caller may drop this future at any time.
        self.pending = Some(Pending { message: message.clone(), is_unknown: true });
        let outcome = self.client.publish(message).await;
        match &outcome {
            Ok(_) => {
                self.pending = None;
                self.next_seq += 1;
            }
            Err(Error::UnknownOutcome { .. }) => {}
            Err(error) if is_unknown && !error.is_about_message() => {}
            Err(_) => self.pending = None,
        }
        outcome
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("id", &self.id)
            .field("epoch", &self.epoch)
            .field("next_seq", &self.next_seq)
            .field("is_pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}
