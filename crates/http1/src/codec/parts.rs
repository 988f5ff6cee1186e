//! What both roles do with the parts of a body: cut them from the buffer, and write them.

use super::error::Error;
use super::item::Item;
use crate::connection::Connection;
use crate::event::{ContentAction, Event};
use crate::field_block::FieldBlock;
use crate::role::Role;
use alloc::vec::Vec;
use bytes::{Buf, BytesMut};
use core::ops::Range;
use tidewire_grammar::range_of;

/// The place of an event in the buffer, which is cut next.
pub(super) enum Place {
    None,
    Data(usize),
    Trailer { name: Range<usize>, value: Range<usize> },
    End,
}

impl Place {
    pub(super) fn of(event: Option<Event<'_>>, src: &[u8]) -> Self {
        let range = |part: &[u8]| range_of(part, src);
        match event {
            Some(Event::Data(data)) => Self::Data(data.len()),
            Some(Event::Trailer { name, value }) => Self::Trailer { name: range(name), value: range(value) },
            Some(Event::End) => Self::End,
            Some(Event::Request(_) | Event::Response(_)) | None => Self::None,
        }
    }

    /// Cuts the consumed bytes from the buffer and returns the item at this place.
    pub(super) fn cut_from<H>(self, src: &mut BytesMut, used: usize) -> Option<Item<H>> {
        Some(match self {
            Self::None => {
                src.advance(used);
                return None;
            }
            Self::End => {
                src.advance(used);
                Item::End
            }
            Self::Data(len) => {
                src.advance(used.saturating_sub(len));
                Item::Data(src.split_to(len).freeze())
            }
            Self::Trailer { name, value } => {
                let line = src.split_to(used).freeze();
                Item::Trailer { name: line.slice(name), value: line.slice(value) }
            }
        })
    }
}

/// Writes content with its framing. The content is copied once.
pub(super) fn send_data<R: Role>(
    connection: &mut Connection<R>,
    data: &[u8],
    dst: &mut BytesMut,
) -> Result<(), Error> {
    let mut framing = Vec::new();
    if let ContentAction::SendThen(tail) =
        connection.send_data_head(data.len() as u64, &mut framing).map_err(Error::Encode)?
    {
        for part in [&framing, data, tail] {
            dst.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Adds a trailer field to those that are sent at the end of the body.
pub(super) fn push_trailer<R: Role>(
    connection: &Connection<R>,
    trailers: &mut FieldBlock,
    name: &[u8],
    value: &[u8],
) -> Result<(), Error> {
    connection.check_body_due().map_err(Error::Encode)?;
    trailers.push_trailer(name, value).map_err(Error::Encode)
}

/// Ends the message with the trailers that were gathered.
pub(super) fn send_end<R: Role>(
    connection: &mut Connection<R>,
    trailers: &mut FieldBlock,
    dst: &mut BytesMut,
) -> Result<(), Error> {
    let mut out = Vec::new();
    connection.send_trailers(trailers, &mut out).map_err(Error::Encode)?;
    trailers.clear();
    dst.extend_from_slice(&out);
    Ok(())
}
