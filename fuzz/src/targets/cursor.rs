//! Any bytes as a cursor, a list of cursors and a start: a parsed value is written as the same
//! text, and error offsets are within the text.

use tidewire_channel::{Cursor, Cursors, Since};

pub fn run(data: &[u8]) {
    match Cursor::parse(data) {
        Ok(cursor) => assert_eq!(cursor.to_string().as_bytes(), data),
        Err(error) => assert!(error.offset() <= data.len()),
    }
    match Cursors::parse(data) {
        Ok(cursors) => {
            assert_eq!(cursors.to_string().as_bytes(), data);
            assert!((1..=Cursors::MAX).contains(&cursors.as_slice().len()));
        }
        Err(error) => assert!(error.offset() <= data.len()),
    }
    match Since::parse(data) {
        Ok(since) => assert_eq!(since.to_string().as_bytes(), data),
        Err(error) => assert_eq!(Cursor::parse(data), Err(error)),
    }
}
