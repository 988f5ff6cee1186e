//! A server with a folder, which can be started again at its address.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::common::Server;
use crate::common::server::{Outcome, command, run};

/// The server. Dropping it kills the process.
pub(crate) struct DataServer {
    pub(crate) folder: PathBuf,
    args: Vec<String>,
    /// `127.0.0.1:PORT`. It stays the same.
    pub(crate) address: String,
    server: Option<Server>,
    /// What it logged before it was started again, for a test that fails.
    logs: Vec<String>,
}

impl Drop for DataServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in &self.logs {
                eprintln!("the log of an earlier start:\n{log}");
            }
        }
    }
}

impl DataServer {
    /// Starts a server on a folder.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut server = DataServer {
            folder: folder.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            address: free_address(),
            server: None,
            logs: Vec::new(),
        };
        server.again(&[]);
        server
    }

    /// Starts it again, with more options than before.
    pub(crate) fn again(&mut self, more: &[&str]) {
        assert!(self.server.is_none(), "it runs");
        let folder = self.folder.to_str().unwrap();
        let mut args = vec!["--listen", &self.address, "--heartbeat", "3600", "--comet", "--data", folder];
        args.extend(self.args.iter().map(String::as_str));
        args.extend(more);
        self.server = Some(Server::spawn(command(&args)));
    }

    /// Stops it as a supervisor does. Returns its log.
    pub(crate) fn stop(&mut self) -> String {
        let server = self.server.take().expect("it runs");
        server.terminate();
        end(server, Some(0))
    }

    /// Stops it, and its store cannot be closed. Returns its log.
    pub(crate) fn stop_failed(&mut self) -> String {
        let server = self.server.take().expect("it runs");
        server.terminate();
        end(server, Some(1))
    }

    /// Stops it as ctrl-c does.
    pub(crate) fn interrupt(&mut self) {
        let server = self.server.take().expect("it runs");
        server.signal("INT");
        end(server, Some(0));
    }

    /// Suspends it. The next call must be [`kill`](Self::kill).
    pub(crate) fn freeze(&self) {
        self.server.as_ref().expect("it runs").freeze();
    }

    /// Ends it as `kill -9` does. Returns its log.
    pub(crate) fn kill(&mut self) -> String {
        let server = self.server.take().expect("it runs");
        server.signal("KILL");
        let log = end(server, None);
        self.logs.push(log.clone());
        log
    }

    /// Tries to start another process with these options, which must be refused. Returns what it
    /// said.
    pub(crate) fn refused(&self, args: &[&str]) -> Outcome {
        refused(&self.folder, args)
    }
}

/// Tries to start a server on a folder, which must refuse with a sentence.
pub(crate) fn refused(folder: &Path, args: &[&str]) -> Outcome {
    let mut all = vec!["--listen", "127.0.0.1:0", "--data", folder.to_str().unwrap()];
    all.extend(args);
    let outcome = run(command(&all));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.stdout, "", "it announces no address");
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    outcome
}

/// Waits for the end of a process, which must have this exit code, or have been killed.
fn end(server: Server, code: Option<i32>) -> String {
    let (status, log) = server.end();
    assert_eq!(status.code(), code, "{status}; its log:\n{log}");
    log
}

/// An address for a server that is away from time to time. Ports of this range are never given to
/// a client: while the server is away, a client that gets its port connects to itself, and then
/// the server cannot listen.
fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", fastrand::u16(10_000..32_768));
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
