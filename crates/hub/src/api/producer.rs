//! The producer of a publish: an id, the epoch of its run, and the number of its request.
//!
//! ```text
//!   Producer-Id: meter-7        "producer":{"id":"meter-7","epoch":3,"seq":41}
//!   Producer-Epoch: 3
//!   Producer-Seq: 41
//! ```

use serde::Deserialize;
use tidewire_http1::RequestHead;
use tidewire_server::Problem;

use super::content::single;
use crate::refusal::bad_request;
use crate::request_fields::RequestField;

/// Longest id of a producer, in bytes.
const MAX_ID: usize = 128;

/// Epochs and numbers are less than this, so that every JSON parser has them exact (RFC 8259 §6).
const END_OF_NUMBERS: u64 = 1 << 53;

/// A producer that was checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Unchecked")]
pub(crate) struct Producer {
    pub(crate) id: Box<str>,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with id, epoch and seq")]
struct Unchecked {
    id: Box<str>,
    epoch: u64,
    seq: u64,
}

impl Producer {
    /// The producer of a request, if its head names one.
    ///
    /// # Errors
    /// 400 for a field that is missing, occurs twice or has a wrong value.
    pub(crate) fn of(head: &RequestHead<'_>) -> Result<Option<Self>, Problem> {
        let id = single(head, RequestField::ProducerId)?;
        let epoch = single(head, RequestField::ProducerEpoch)?;
        let seq = single(head, RequestField::ProducerSeq)?;
        match (id, epoch, seq) {
            (None, None, None) => Ok(None),
            (Some(id), Some(epoch), Some(seq)) => {
                let id = std::str::from_utf8(id).map_err(|_| bad_request(WRONG))?;
                let number = |text| number(text).ok_or_else(|| bad_request(WRONG));
                let producer = Unchecked { id: id.into(), epoch: number(epoch)?, seq: number(seq)? };
                producer.try_into().map(Some).map_err(bad_request)
            }
            _ => Err(bad_request(
                "a producer is named by the three fields Producer-Id, Producer-Epoch and Producer-Seq; \
                 send all of them, or none",
            )),
        }
    }
}

impl TryFrom<Unchecked> for Producer {
    type Error = &'static str;

    fn try_from(Unchecked { id, epoch, seq }: Unchecked) -> Result<Self, &'static str> {
        let is_printable = id.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        let is_good = (1..=MAX_ID).contains(&id.len()) && is_printable;
        if is_good && epoch < END_OF_NUMBERS && seq < END_OF_NUMBERS {
            Ok(Producer { id, epoch, seq })
        } else {
            Err(WRONG)
        }
    }
}

/// A decimal number of digits only.
fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}

const WRONG: &str = "the id of a producer has 1 to 128 printable ASCII characters, and its epoch and seq are \
                     decimal numbers below 9007199254740992; correct them";
