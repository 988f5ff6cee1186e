//! Many readers in one thread. They take everything and ignore it.

use std::io::{ErrorKind, Read as _, Result};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

/// Readers. They end when dropped.
pub(super) struct BulkReaders {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl BulkReaders {
    pub(super) fn read(streams: Vec<TcpStream>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        BulkReaders { over, thread: Some(std::thread::spawn(move || read(streams, &seen))) }
    }
}

impl Drop for BulkReaders {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(streams: Vec<TcpStream>, over: &AtomicBool) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for (number, stream) in streams.into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        all.push(stream);
    }
    let (mut events, mut piece) = (Events::with_capacity(1024), vec![0; 256 * 1024]);
    while !over.load(Ordering::Acquire) {
        poll.poll(&mut events, Some(Duration::from_millis(50)))?;
        for event in &events {
            let stream = &mut all[event.token().0];
            loop {
                match stream.read(&mut piece) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }
    Ok(())
}
