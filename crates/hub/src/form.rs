//! The forms of a payload: the ways in which the feeds encode it.
//!
//! A message on the wire is a head and a form of its payload. The head differs between readers
//! (cursor, channel, frame, chunk). The form is the same for all of them:
//!
//! ```text
//!   head                                      │ form
//!   {"type":"message","cursor":"e-1","time":7 │ ,"data":"…"}      FormKind::Json
//!   id: e-1                                   │ data: …           FormKind::Lines
//!   frame head                                │ the payload       FormKind::Payload
//! ```

use bytes::Bytes;
use tidewire_sse::EventFields;
use tidewire_store::Message;

use crate::gzip::{self, Sum};
use crate::json_text::{Place, end_with_payload};

/// How a payload is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FormKind {
    /// The payload as it is.
    Payload,
    /// The last member of a JSON object, and the end of the object.
    Json(Place),
    /// A text as `data` lines of an event stream, and the end of the event.
    Lines,
}

/// A payload in one form.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) bytes: Bytes,
    /// Of a compressed form: the checksum of its uncompressed bytes.
    pub(crate) sum: Sum,
}

impl FormKind {
    /// Appends a payload in this form.
    pub(crate) fn write(self, message: &Message, out: &mut Vec<u8>) {
        match self {
            FormKind::Payload => out.extend_from_slice(message.data()),
            FormKind::Json(place) => end_with_payload(message, place, out),
            FormKind::Lines => {
                let event = EventFields { data: message.text(), ..EventFields::default() };
                event.encode_to(out).expect("an event without an id and a name is always valid");
            }
        }
    }

    /// Returns a payload in this form.
    pub(crate) fn make(self, message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(message, &mut bytes);
        bytes
    }
}

/// Compresses bytes so that they may follow any other piece, and any other may follow them (see
/// `gzip.rs`).
pub(crate) fn deflate(plain: &[u8]) -> (Vec<u8>, Sum) {
    let mut bytes = Vec::new();
    gzip::compress(plain, &mut bytes);
    (bytes, Sum::of(plain))
}

impl Form {
    /// A compressed form without the end of its last block, as permessage-deflate sends it (RFC
    /// 7692 §7.2.1 (1)).
    pub(crate) fn of_message(&self) -> Bytes {
        debug_assert!(self.bytes.ends_with(&[0, 0, 0xff, 0xff]), "a compressed form was flushed");
        self.bytes.slice(..self.bytes.len() - 4)
    }
}
