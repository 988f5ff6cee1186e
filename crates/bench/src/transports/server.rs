//! The measured server, and how to publish to it.

use super::response::response;
use crate::process::Running;
use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use tidewire_testkit::run::target;

/// The release binary on a free port. It is ended when dropped.
pub(super) struct Server {
    running: Running,
    pub(super) address: String,
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new(target().join("release/tidewire"));
        command.args(["--listen", "127.0.0.1:0", "--comet", "--log", "error"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running::start("tidewire", &mut command).map_err(Error::other)?;
        let mut line = String::new();
        if let Some(stdout) = &mut running.child().stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().rsplit_once("http://") {
            Some((_, address)) => Ok(Server { address: address.to_owned(), running }),
            None => Err(Error::other(format!("the server did not print its address, but: {line:?}"))),
        }
    }

    /// Publishes on a new connection. Returns the cursor.
    pub(super) fn publish(&self, text: &str) -> Result<String> {
        post(&mut TcpStream::connect(&self.address)?, text)
    }

    /// Resident anonymous memory in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| Error::other("/proc has no RssAnon"))? * 1024)
    }
}

/// Publishes and waits for the acknowledgement. Returns the cursor.
pub(super) fn post(stream: &mut TcpStream, text: &str) -> Result<String> {
    let request = format!(
        "POST /c/same HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(request.as_bytes())?;
    let answer = response(stream, &mut Vec::new())?;
    answer.cursor.ok_or_else(|| Error::other("a publish was not acknowledged"))
}
