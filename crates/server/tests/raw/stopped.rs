//! A process that does not run for a while (SIGSTOP, a debugger, `docker pause`). The bytes that
//! its clients send in that time wait in their sockets.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidewire_server::Limits;
use tidewire_testkit::deadline::Output;
use tidewire_testkit::raw::Raw;

use crate::site::{Site, eventually, get, quick};

/// Set where the test binary runs as a server.
const CHILD: &str = "TIDEWIRE_TEST_STOPPED";

/// Time for a head, for a body, and between two requests.
const TIME: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    quick().with_head_timeout(TIME).with_body_grace(TIME).with_idle_timeout(TIME)
}

/// Not a test, but the server of the test below. It runs until its standard input ends. It is a
/// process, because a thread cannot be stopped alone.
#[test]
#[allow(clippy::print_stdout, reason = "the test reads the address there")]
fn serve_until_the_input_ends() {
    if std::env::var_os(CHILD).is_some() {
        let site = Site::with(limits());
        println!("\nlistens on {}", site.address);
        let _ = std::io::stdin().read(&mut [0]);
    }
}

struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stopped::serve_until_the_input_ends", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let is_complete =
            |text: &str| text.split("listens on ").nth(1).is_some_and(|rest| rest.contains('\n'));
        let text = Output::of(child.stdout.take().unwrap()).until("listens on ADDRESS", is_complete);
        let (_, address) = text.split_once("listens on ").unwrap();
        let address = address.lines().next().unwrap().to_owned();
        Process { child, address }
    }

    fn raw(&self) -> Raw {
        Raw::connect(self.address.as_str())
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(kill.unwrap().success());
    }

    /// Stops it, and waits until it has stopped.
    fn stop(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        eventually("the process to stop", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A name, the bytes sent before the stop, the bytes sent during it, and the body of the last
/// answer.
const CASES: [(&str, &str, &str, &str); 5] = [
    ("a first request", "", "GET /new HTTP/1.1\r\nHost: x\r\n\r\n", "you asked for /new"),
    ("the rest of a head", "GET /half HTTP/1.1\r\nHos", "t: x\r\n\r\n", "you asked for /half"),
    (
        "the rest of a body",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf,",
        "half",
        "half,half",
    ),
    (
        "the rest of a chunked body",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf,",
        "half\r\n0\r\n\r\n",
        "half,half",
    ),
    (
        "the next request of a connection",
        "GET /first HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /second HTTP/1.1\r\nHost: x\r\n\r\n",
        "you asked for /second",
    ),
];

/// Sends the beginnings and stops the process. Returns `None` if that took so long that a deadline
/// may have passed before the stop.
fn stopped_in_the_middle(process: &Process) -> Option<Vec<Raw>> {
    let start = Instant::now();
    let mut raws = Vec::new();
    for (name, first, ..) in CASES {
        let mut raw = process.raw();
        raw.send(first);
        if first.ends_with("\r\n\r\n") {
            assert_eq!(raw.response().status, 200, "{name}");
        }
        raws.push(raw);
    }
    // The server has answered on another connection, so it has read the beginnings.
    assert_eq!(process.raw().send(get("/")).response().status, 200);
    process.stop();
    (start.elapsed() < TIME / 2).then_some(raws)
}

#[test]
fn bytes_sent_while_the_process_was_stopped_are_not_late() {
    let process = Process::start();
    let mut attempts = 0;
    let mut raws = loop {
        if let Some(raws) = stopped_in_the_middle(&process) {
            break raws;
        }
        process.signal("CONT");
        attempts += 1;
        assert!(attempts < 100, "this machine is too busy for the test to say anything");
    };
    let stopped = Instant::now();
    for (raw, (_, _, rest, _)) in raws.iter_mut().zip(CASES) {
        raw.send(rest);
    }
    // A fixed time is right here: all deadlines must pass during the stop.
    while stopped.elapsed() < TIME + Duration::from_millis(100) {
        std::thread::sleep(Duration::from_millis(20));
    }
    process.signal("CONT");
    for (raw, (name, _, _, expected)) in raws.iter_mut().zip(CASES) {
        let answer = raw.response_or_end().unwrap_or_else(|| panic!("{name}: hung up on"));
        assert_eq!((answer.status, answer.text()), (200, expected), "{name}");
    }
}
