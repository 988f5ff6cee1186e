//! A file as the body of a response. It is read piece by piece, each piece only after the one
//! before it has been written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::range::ByteRange;

/// Bytes of one read. A slow client costs the memory of one piece, however large the file is.
pub(super) const PIECE_SIZE: u64 = 64 * 1024;

/// A part of a body.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    Range(ByteRange),
}

/// A body of several parts, one after the other.
#[derive(Debug)]
pub(super) struct FileBody {
    state: State,
    parts: std::vec::IntoIter<Part>,
    /// The rest of the range that is being read.
    range: ByteRange,
    /// Bytes of the body that are not sent yet.
    left: u64,
}

#[derive(Debug)]
enum State {
    Ready(File),
    Reading(JoinHandle<(File, io::Result<Bytes>)>),
    Failed,
}

impl FileBody {
    pub(super) fn new(file: File, parts: Vec<Part>) -> Self {
        let len = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Range(range) => range.len,
        };
        let left = parts.iter().map(len).sum();
        FileBody {
            state: State::Ready(file),
            parts: parts.into_iter(),
            range: ByteRange { start: 0, len: 0 },
            left,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Ready(file) if self.range.len > 0 => {
                    let range = self.range;
                    self.state = State::Reading(tokio::task::spawn_blocking(move || read(file, range)));
                }
                State::Ready(file) => {
                    self.state = State::Ready(file);
                    match self.parts.next() {
                        Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(self.counted(bytes)))),
                        Some(Part::Range(range)) => self.range = range,
                        None => return Poll::Ready(None),
                    }
                }
                State::Reading(mut task) => {
                    let Poll::Ready(done) = Pin::new(&mut task).poll(cx) else {
                        self.state = State::Reading(task);
                        return Poll::Pending;
                    };
                    return Poll::Ready(Some(match done {
                        Ok((file, Ok(bytes))) => {
                            self.state = State::Ready(file);
                            self.range.start += bytes.len() as u64;
                            self.range.len -= bytes.len() as u64;
                            Ok(self.counted(bytes))
                        }
                        Ok((_, Err(error))) => Err(error),
                        Err(error) => Err(error.into()),
                    }));
                }
                State::Failed => return Poll::Ready(None),
            }
        }
    }

    /// Subtracts bytes that are sent from what is left of the body.
    fn counted(&mut self, bytes: Bytes) -> Bytes {
        self.left = self.left.saturating_sub(bytes.len() as u64);
        bytes
    }
}

/// Reads the next piece of a range. Blocks.
fn read(mut file: File, range: ByteRange) -> (File, io::Result<Bytes>) {
    let mut piece = Vec::new();
    let len = range.len.min(PIECE_SIZE);
    let done = (|| {
        file.seek(SeekFrom::Start(range.start))?;
        piece.reserve_exact(len as usize);
        (&mut file).take(len).read_to_end(&mut piece)
    })();
    let bytes = match done {
        Ok(n) if n as u64 == len => Ok(piece.into()),
        // The head with the length is already sent. Only closing the connection can still report
        // the failure.
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"))
        }
        Err(error) => Err(error),
    };
    (file, bytes)
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = ready!(self.poll_next(cx));
        Poll::Ready(piece.map(|result| result.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
