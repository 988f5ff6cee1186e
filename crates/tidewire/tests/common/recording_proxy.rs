//! A proxy that records the bytes from the server. A test sees with it what was on the wire, not
//! only what a client makes of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Deadline, PATIENCE, tail};

/// The proxy, and what it has recorded. Its threads end with the connections.
pub struct RecordingProxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    /// The pieces from the server, of all connections. A piece is recorded before it is passed on.
    /// An empty piece is the end of a connection.
    pieces: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl RecordingProxy {
    /// Starts a proxy in front of `server`.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let (server, recorded) = (server.to_owned(), pieces.clone());
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(server) = TcpStream::connect(&server) else { return };
                let recorded = recorded.clone();
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(up, server, |_| {}));
                thread::spawn(move || pass(down, client, |piece| recorded.lock().unwrap().push(piece)));
            }
        });
        RecordingProxy { address, pieces }
    }

    /// The number of pieces up to now.
    pub fn mark(&self) -> usize {
        self.pieces.lock().unwrap().len()
    }

    /// The bytes after a mark, and the number of their pieces.
    pub fn after(&self, mark: usize) -> (Vec<u8>, usize) {
        let pieces = self.pieces.lock().unwrap();
        (pieces[mark..].concat(), pieces.len() - mark)
    }

    /// Whether a heartbeat has passed after a mark; `None` if it may still come. `Err` says what
    /// passed instead: nobody publishes meanwhile, so the server sends heartbeats only.
    pub fn has_passed(&self, mark: usize, heartbeat: &[u8]) -> Option<Result<(), String>> {
        // The first piece may be the end of the message before the mark.
        const ENOUGH: usize = 4;
        let (bytes, pieces) = self.after(mark);
        if bytes.windows(heartbeat.len()).any(|window| window == heartbeat) {
            return Some(Ok(()));
        }
        let has_ended = self.pieces.lock().unwrap()[mark..].iter().any(Vec::is_empty);
        let shown = heartbeat.escape_ascii();
        let is_over = pieces >= ENOUGH || has_ended;
        is_over.then(|| Err(format!("no heartbeat \"{shown}\" on the wire, but: {}", tail(&bytes))))
    }
}

/// Passes bytes on until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream, record: impl Fn(Vec<u8>)) {
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    // No connection of a test is silent for so long.
    Deadline::after(PATIENCE * 5).limit(&from);
    let mut piece = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        record(piece[..n].to_vec());
        if to.write_all(&piece[..n]).is_err() {
            break;
        }
    }
    record(Vec::new());
    let _ = to.shutdown(Shutdown::Write);
}
