//! From publishing to receiving, at a thousand messages a second.

use super::server::Started;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub(super) fn run(server: &Started, time: Duration) -> tidewire_testkit::run::Result<Value> {
    measure(server.port, time).map_err(|error| format!("{}: {error}", server.store.name()))
}

fn measure(port: u16, time: Duration) -> Result<Value> {
    let clock = Instant::now();
    let messages = usize::try_from(time.as_millis()).unwrap_or(0);
    let mut reader = TcpStream::connect(("127.0.0.1", port))?;
    reader.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(reader, "GET /c/latency?feed=sse&since=now HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    // The first event says where the stream begins: from now on, nothing is missed.
    while !line.starts_with("data:") && !line.starts_with("id:") {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let publisher = std::thread::spawn(move || publish(port, messages, clock));
    let mut latencies = Vec::new();
    while latencies.len() < messages {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other("the stream has ended"));
        }
        if let Some(sent) = line.strip_prefix("data: @").and_then(|sent| sent.trim().parse::<u64>().ok()) {
            let taken = clock.elapsed().as_micros().saturating_sub(u128::from(sent));
            latencies.push(u32::try_from(taken).unwrap_or(u32::MAX));
        }
    }
    publisher.join().map_err(|_| std::io::Error::other("the publisher has failed"))??;
    latencies.sort_unstable();
    let at = |share: f64| f64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]);
    Ok(json!({ "p50": at(0.5), "p99": at(0.99) }))
}

/// Publishes a message each millisecond. Each says when it was sent.
fn publish(port: u16, messages: usize, clock: Instant) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    let drain = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while answers.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    let start = Instant::now();
    for number in 0..messages {
        let due = Duration::from_millis(number as u64);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let body = format!("@{}", clock.elapsed().as_micros());
        let len = body.len();
        let head = format!("POST /c/latency HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n");
        stream.write_all((head + &body).as_bytes())?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    drop(drain.join());
    Ok(())
}
