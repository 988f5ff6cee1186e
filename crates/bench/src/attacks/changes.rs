//! Changes that affect many clients at once: subscriptions, expiring channels, and the end of the
//! server.

use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::time::{Duration, Instant};

use super::bulk_readers::BulkReaders;
use super::clients::{Coding, Feed, frame, open, post, request};
use super::marks::mark;
use super::ordinary::{pipeline, publish};
use super::row::{Attack, Outcome, Row, Setup};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("churn v1", &[], |setup| churn(setup, "a")),
        Row::new("churn v1 fifteen", &[], |setup| churn(setup, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o")),
        Row::new("commands unknown", &[], |setup| commands(setup, r#"{"type":"dance"}"#)),
        Row::new("waiters longpoll", &[], |setup| waiters(setup, false)),
        Row::new("waiters longpoll sixteen", &[], |setup| waiters(setup, true)),
        Row::new("channels kept", &[], |setup| channels(setup, 12)),
        // All channels expire at nearly the same time. The server sweeps every five seconds.
        Row::new("channels expiring", &["--retain-age", "8s"], |setup| channels(setup, 16)),
        // Empty channels are forgotten after a minute.
        Row::new("channels forgotten", &["--retain-age", "1s"], |setup| channels(setup, 70)),
        Row::new("drain stream", &["--drain", "5"], |setup| drain(setup, Feed::Stream)),
        Row::new("drain v1", &["--drain", "5"], |setup| drain(setup, Feed::V1)),
        Row::new("drain longpoll", &["--drain", "5"], |setup| drain(setup, Feed::LongPoll)),
        Row::new("nothing", &[], |_| {
            Ok(Box::new(|setup| {
                std::thread::sleep(setup.time);
                Ok(Outcome::default())
            }))
        }),
    ]
}

/// One client that subscribes and unsubscribes as fast as the server allows.
fn churn(setup: &mut Setup<'_>, channels: &str) -> Result<Attack> {
    // Few enough channels to be allowed, but enough for many different lists.
    let pair = |n: usize| {
        let command = |kind: &str| frame(format!(r#"{{"type":"{kind}","channel":"u{n}"}}"#).as_bytes());
        [command("subscribe"), command("unsubscribe")].concat()
    };
    let commands = (0..90_000).flat_map(pair).collect();
    pour(setup, channels, commands)
}

/// One client that sends the same message again and again.
fn commands(setup: &mut Setup<'_>, text: &str) -> Result<Attack> {
    pour(setup, "a", frame(text.as_bytes()).repeat(100_000))
}

/// Sends these bytes on one `tidewire.v1` socket and reads the answers, for the duration of an
/// attack.
fn pour(setup: &mut Setup<'_>, channels: &str, bytes: Vec<u8>) -> Result<Attack> {
    let mut socket = open(&setup.server.address, &request(Feed::V1, Coding::Plain, channels, ""))?;
    let mut reader = socket.try_clone()?;
    std::thread::spawn(move || {
        let mut piece = vec![0; 256 * 1024];
        while matches!(reader.read(&mut piece), Ok(1..)) {}
    });
    Ok(Box::new(move |setup| {
        let begun = Instant::now();
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        let mut sent = 0;
        while sent < bytes.len() && begun.elapsed() < setup.time {
            match socket.write(&bytes[sent..bytes.len().min(sent + 64 * 1024)]) {
                Ok(n) => sent += n,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        setup.held.push(Box::new(socket));
        Ok(Outcome::default())
    }))
}

/// Many held polls that one message answers.
fn waiters(setup: &mut Setup<'_>, sixteen: bool) -> Result<Attack> {
    let names: Vec<String> = (0..15).map(|n| format!("c{n}")).collect();
    let mut streams = Vec::new();
    for n in 0..setup.connections * 4 {
        let channels = if sixteen { format!("hot,{}", names.join(",")) } else { "hot".to_owned() };
        let channels = if sixteen { channels.replace("c14", &format!("u{n}")) } else { channels };
        streams.push(open(&setup.server.address, &request(Feed::LongPoll, Coding::Plain, &channels, ""))?);
    }
    setup.held.push(Box::new(BulkReaders::read(streams)));
    Ok(Box::new(|setup| publish(setup.server, "hot", b"for all of them").map(|()| Outcome::default())))
}

/// As many channels as allowed, each with a message, for this number of seconds.
fn channels(setup: &mut Setup<'_>, seconds: u64) -> Result<Attack> {
    let _ = setup;
    Ok(Box::new(move |setup| {
        let begun = Instant::now();
        for part in 0..9 {
            let requests =
                (0..11_000).flat_map(|n| post(&format!("c{part}-{n}"), mark(n).as_bytes())).collect();
            pipeline(setup.server, requests, 11_000)?;
        }
        std::thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));
        Ok(Outcome::default())
    }))
}

/// The server is told to stop while many clients read.
fn drain(setup: &mut Setup<'_>, feed: Feed) -> Result<Attack> {
    let mut streams = Vec::new();
    for n in 0..setup.connections * 4 {
        streams.push(open(&setup.server.address, &request(feed, Coding::Plain, &format!("hot,u{n}"), ""))?);
    }
    setup.held.push(Box::new(BulkReaders::read(streams)));
    Ok(Box::new(|setup| {
        setup.server.terminate();
        Ok(Outcome::default())
    }))
}
