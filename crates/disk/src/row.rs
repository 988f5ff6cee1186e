//! The row of a message.

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use tidewire_channel::{Cursor, Epoch};
use tidewire_store::Message;

/// A message as its row has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageRow<'a> {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The message.
    pub(crate) message: &'a Message,
}

/// Writes a row.
///
/// # Errors
/// The database failed.
pub(crate) fn insert(db: &Connection, row: &MessageRow<'_>) -> rusqlite::Result<()> {
    let MessageRow { id, log, cursor, appended_ms, message } = *row;
    let parts = Parts {
        log,
        cursor,
        appended_ms,
        time_ms: message.time_ms(),
        event: message.event().map(str::as_bytes),
        content_type: message.content_type().map(str::as_bytes),
        data: message.data(),
    };
    let mut statement = db.prepare_cached(
        "INSERT INTO message (id, log, number, epoch, appended, time, event, type, data, sum) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        id.cast_signed(),
        log,
        cursor.seq().cast_signed(),
        cursor.epoch().get().cast_signed(),
        appended_ms.cast_signed(),
        message.time_ms().cast_signed(),
        message.event(),
        message.content_type(),
        &message.data()[..],
        parts.sum(),
    ])?;
    Ok(())
}

/// The columns that [`read`] takes, in its order.
pub(crate) const COLUMNS: &str = "id, log, number, epoch, appended, time, event, type, data, sum";

/// A message that was read from its row. Its sum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The message.
    pub(crate) message: Message,
}

/// Reads a row with the [`COLUMNS`]. `None`: it is damaged.
pub(crate) fn read(row: &Row<'_>) -> Option<Stored> {
    let (id, parts) = parts(row)?;
    let text = |bytes: Option<&[u8]>| match bytes {
        None => Some(None),
        Some(bytes) => Some(Some(std::str::from_utf8(bytes).ok()?.into())),
    };
    let (event, content_type) = (text(parts.event)?, text(parts.content_type)?);
    let data = Bytes::copy_from_slice(parts.data);
    let message = Message::from_parts(event, content_type, data, parts.time_ms);
    let Parts { log, cursor, appended_ms, .. } = parts;
    Some(Stored { id, log, cursor, appended_ms, message })
}

/// What the start needs of a row: all but the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The time of the message.
    pub(crate) time_ms: u64,
    /// The bytes that it counts in its log: [`Message::weight`].
    pub(crate) weight: usize,
}

/// Reads a row with the [`COLUMNS`], without building its message. `None`: it is damaged.
pub(crate) fn read_header(row: &Row<'_>) -> Option<Header> {
    let (id, parts) = parts(row)?;
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let weight = Message::weight_of(parts.data.len(), len(parts.event), len(parts.content_type));
    let Parts { log, cursor, appended_ms, time_ms, .. } = parts;
    Some(Header { id, log, cursor, appended_ms, time_ms, weight })
}

/// The parts of a row whose sum is right.
fn parts<'r>(row: &'r Row<'_>) -> Option<(u64, Parts<'r>)> {
    let integer = |index| match row.get_ref(index) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    };
    let unsigned = |index| integer(index).map(i64::cast_unsigned);
    let text = |index| match row.get_ref(index) {
        Ok(ValueRef::Null) => Some(None),
        Ok(ValueRef::Text(text)) => Some(Some(text)),
        _ => None,
    };
    let Ok(ValueRef::Blob(data)) = row.get_ref(8) else { return None };
    let parts = Parts {
        log: integer(1)?,
        cursor: Cursor::new(Epoch::new(unsigned(3)?), unsigned(2)?),
        appended_ms: unsigned(4)?,
        time_ms: unsigned(5)?,
        event: text(6)?,
        content_type: text(7)?,
        data,
    };
    (integer(9)? == i64::from(parts.sum())).then_some((unsigned(0)?, parts))
}

/// What the sum of a row covers.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    log: i64,
    cursor: Cursor,
    appended_ms: u64,
    time_ms: u64,
    event: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    data: &'a [u8],
}

impl Parts<'_> {
    /// The CRC-32 of all parts: first the numbers and the lengths, then the texts and the payload.
    /// The length of a text that is not there is 0, otherwise it counts one more. So no two rows
    /// have the same bytes.
    fn sum(&self) -> u32 {
        let len = |text: Option<&[u8]>| text.map_or(0, |text| (text.len() as u64).saturating_add(1));
        let numbers = [
            self.log.cast_unsigned(),
            self.cursor.seq(),
            self.cursor.epoch().get(),
            self.appended_ms,
            self.time_ms,
            len(self.event),
            len(self.content_type),
            self.data.len() as u64,
        ];
        let mut head = [0; 64];
        for (place, number) in head.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let mut hash = crc32fast::Hasher::new();
        hash.update(&head);
        hash.update(self.event.unwrap_or_default());
        hash.update(self.content_type.unwrap_or_default());
        hash.update(self.data);
        hash.finalize()
    }
}
