//! Counts the system calls with which `ws_echo` sends, with strace.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tidewire_testkit::deadline::{Deadline, Output, tail};

const ROUNDS: usize = 50;
const DEPTH: usize = 16;

/// The client sends sixteen messages in one write, and the server reads them before it answers. So
/// the count does not depend on the speed of either side.
#[test]
fn sixteen_messages_that_come_together_are_answered_in_one_send() {
    let traced = Traced::start();
    let mut client = TcpStream::connect(&traced.address).unwrap();
    client.set_nodelay(true).unwrap();
    Deadline::soon().limit(&client);
    client
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));

    let message = [&[0x82, 0x80 | 20, 0, 0, 0, 0][..], &[b'x'; 20]].concat();
    let answer = [&[0x82, 20][..], &[b'x'; 20]].concat().repeat(DEPTH);
    for _ in 0..ROUNDS {
        client.write_all(&message.repeat(DEPTH)).unwrap();
        let mut back = vec![0; answer.len()];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, answer);
    }

    // The last answer can arrive before the call that sent it has returned. The end of the
    // connection cannot.
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);

    // The number of bytes of every call that sent to the socket.
    let sends = traced.end();
    let sent: usize = sends.iter().sum();
    assert_eq!(sent, head.len() + ROUNDS * answer.len(), "strace has missed bytes: {sends:?}");
    // One call sent the answer to the handshake.
    let per_message = (sends.len() - 1) as f64 / (ROUNDS * DEPTH) as f64;
    assert!(per_message <= 0.07, "{per_message} sends a message: {sends:?}");
}

struct Traced {
    /// The server. strace watches it from another process.
    server: Child,
    address: String,
    log: PathBuf,
}

impl Traced {
    fn start() -> Self {
        let log = std::env::temp_dir().join(format!("ws_echo_sends.{}", std::process::id()));
        let _ = fs::remove_file(&log);
        let mut server = Command::new("strace")
            .args([
                "-D",
                "-f",
                "-q",
                "-y",
                "-e",
                "trace=write,writev,sendto,sendmsg,sendmmsg,sendfile,splice",
                "-o",
            ])
            .args([&log, &executable("ws_echo")])
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("strace does not start ({error}); install it (on Debian: strace)")
            });
        let line = Output::of(server.stdout.take().unwrap()).line("an address").unwrap_or_default();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        assert!(
            address.starts_with("127.0.0.1:"),
            "strace cannot trace here, or ws_echo does not start: {line:?}"
        );
        Self { server, address, log }
    }

    /// Ends the server. Returns the results of all its sends to sockets.
    fn end(mut self) -> Vec<usize> {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        // The log is complete when it contains the end of the process.
        let deadline = Deadline::soon();
        let log = loop {
            let log = fs::read_to_string(&self.log).unwrap();
            if log.contains("+++ killed by SIGKILL") {
                break log;
            }
            deadline.check("the end of strace", || tail(log.as_bytes()));
            sleep(Duration::from_millis(20));
        };
        let _ = fs::remove_file(&self.log);
        // `PID sendto(12<TCP:[…]>, "…", 352, MSG_NOSIGNAL, NULL, 0) = 352`. If another thread
        // interrupts the line, its second part ends in `resumed>) = 352`.
        let mut unfinished = Vec::new();
        let mut sends = Vec::new();
        for line in log.lines() {
            let thread = line.split(' ').next().unwrap();
            let to_socket = line.contains("<socket:[") || line.contains("<TCP");
            if line.ends_with("<unfinished ...>") {
                if to_socket {
                    unfinished.push(thread);
                }
                continue;
            }
            let resumed = line.contains(" resumed>") && unfinished.contains(&thread);
            if resumed {
                unfinished.retain(|other| *other != thread);
            }
            if resumed || (to_socket && !line.contains(" resumed>")) {
                // A call that failed because the socket was full sent nothing, but it counts as a
                // call.
                sends
                    .push(line.rsplit(" = ").next().unwrap().split(' ').next().unwrap().parse().unwrap_or(0));
            }
        }
        sends
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Returns the path of an example. The examples are next to the folder of this test.
fn executable(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(std::path::Path::parent).unwrap().join("examples").join(name)
}
