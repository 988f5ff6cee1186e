//! The start with a large database.

use super::server::{Started, Store};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewire_disk::{DiskOptions, DiskStore, SyncMode};
use tidewire_store::{Append, Batch, ChannelName, ChannelSettings, Limits, Message, Store as _};
use tidewire_testkit::run::{Result, target};

/// Fills a database by the store itself, and returns its folder. One that is there is used again.
pub(super) fn fill(channels: usize, messages: usize) -> Result<PathBuf> {
    let folder = target().join(format!("bench/disk-start-{channels}-{messages}"));
    let done = folder.join("filled");
    if done.exists() {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    let limits = Limits::DEFAULT.with_max_logs(channels).with_max_kept_bytes(usize::MAX);
    let options = DiskOptions::DEFAULT.with_sync(SyncMode::Never).with_limits(limits);
    let store = DiskStore::open(&folder, options).map_err(|error| error.to_string())?;
    let settings = Arc::new(ChannelSettings::DEFAULT);
    let names = (0..channels).map(|n| ChannelName::new(&format!("b{n}")));
    let names = names.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let now_ms = now_ms();
    let message = Arc::new(Message::new(vec![b'x'; 100].into(), now_ms));
    let rounds = messages / channels / EACH;
    for _ in 0..rounds {
        for names in names.chunks(1_000) {
            let answers: Vec<_> = names
                .iter()
                .map(|name| {
                    let batch = Batch::Many(vec![message.clone(); EACH]);
                    store.append(name, Append::new(now_ms, batch, settings.clone()))
                })
                .collect();
            for answer in answers {
                let appended = answer.wait().ok_or("the store gave no answer")?;
                appended.map_err(|error| error.to_string())?;
            }
        }
    }
    store.close().map_err(|error| error.to_string())?;
    std::fs::write(&done, b"").map_err(|error| error.to_string())?;
    Ok(folder)
}

/// Starts the server, and reads a channel. Returns how long it took until the answer was there.
pub(super) fn run(folder: &Path, channels: usize) -> Result<Value> {
    let begun = Instant::now();
    let server = Started::start_in(Store::Interval, folder.to_owned(), true)?;
    let ready = begun.elapsed();
    let mut times = Vec::new();
    for number in 0..100 {
        let asked = Instant::now();
        let text = get(server.port, number * 7_919 % channels).map_err(|error| error.to_string())?;
        if !text.contains("xxxx") {
            return Err(format!("a reader got no message: {text}"));
        }
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(json!({ "ready": ms(ready), "p50": ms(times[50]), "p99": ms(times[99]) }))
}

fn get(port: u16, channel: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET /c/b{channel}?limit=10 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let (mut reader, mut text) = (BufReader::new(stream), String::new());
    reader.fill_buf()?;
    reader.read_to_string(&mut text)?;
    Ok(text)
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(0)
}

/// Messages of one append.
const EACH: usize = 10;
