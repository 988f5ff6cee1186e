//! Changes that affect many clients at once: subscriptions, expiring channels, and the end of the
//! server.

use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::time::{Duration, Instant};

use super::clients::{Coding, Feed, frame, open, post, request};
use super::crowd::Crowd;
use super::marks::mark;
use super::ordinary::{pipeline, publish};
use super::row::{Attack, Outcome, Row, Scene};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("churn v1", &[], |scene| churn(scene, "a")),
        Row::new("churn v1 fifteen", &[], |scene| churn(scene, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o")),
        Row::new("commands unknown", &[], |scene| commands(scene, r#"{"type":"dance"}"#)),
        Row::new("waiters longpoll", &[], |scene| waiters(scene, false)),
        Row::new("waiters longpoll sixteen", &[], |scene| waiters(scene, true)),
        Row::new("channels kept", &[], |scene| channels(scene, 12)),
        // All channels expire at nearly the same time. The server sweeps every five seconds.
        Row::new("channels expiring", &["--retain-age", "8s"], |scene| channels(scene, 16)),
        // Empty channels are forgotten after a minute.
        Row::new("channels forgotten", &["--retain-age", "1s"], |scene| channels(scene, 70)),
        Row::new("drain stream", &["--drain", "5"], |scene| drain(scene, Feed::Stream)),
        Row::new("drain v1", &["--drain", "5"], |scene| drain(scene, Feed::V1)),
        Row::new("drain longpoll", &["--drain", "5"], |scene| drain(scene, Feed::LongPoll)),
        Row::new("nothing", &[], |_| {
            Ok(Box::new(|scene| {
                std::thread::sleep(scene.time);
                Ok(Outcome::default())
            }))
        }),
    ]
}

/// One client that subscribes and unsubscribes as fast as the server allows.
fn churn(scene: &mut Scene<'_>, channels: &str) -> Result<Attack> {
    // Few enough channels to be allowed, but enough for many different lists.
    let pair = |n: usize| {
        let command = |kind: &str| frame(format!(r#"{{"type":"{kind}","channel":"u{n}"}}"#).as_bytes());
        [command("subscribe"), command("unsubscribe")].concat()
    };
    let commands = (0..90_000).flat_map(pair).collect();
    pour(scene, channels, commands)
}

/// One client that sends the same message again and again.
fn commands(scene: &mut Scene<'_>, text: &str) -> Result<Attack> {
    pour(scene, "a", frame(text.as_bytes()).repeat(100_000))
}

/// Sends these bytes on one `tidewire.v1` socket and reads the answers, for the duration of an
/// attack.
fn pour(scene: &mut Scene<'_>, channels: &str, bytes: Vec<u8>) -> Result<Attack> {
    let mut socket = open(&scene.server.address, &request(Feed::V1, Coding::Plain, channels, ""))?;
    let mut reader = socket.try_clone()?;
    std::thread::spawn(move || {
        let mut piece = vec![0; 256 * 1024];
        while matches!(reader.read(&mut piece), Ok(1..)) {}
    });
    Ok(Box::new(move |scene| {
        let begun = Instant::now();
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        let mut sent = 0;
        while sent < bytes.len() && begun.elapsed() < scene.time {
            match socket.write(&bytes[sent..bytes.len().min(sent + 64 * 1024)]) {
                Ok(n) => sent += n,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        scene.held.push(Box::new(socket));
        Ok(Outcome::default())
    }))
}

/// Many held polls that one message answers.
fn waiters(scene: &mut Scene<'_>, sixteen: bool) -> Result<Attack> {
    let names: Vec<String> = (0..15).map(|n| format!("c{n}")).collect();
    let mut streams = Vec::new();
    for n in 0..scene.connections * 4 {
        let channels = if sixteen { format!("hot,{}", names.join(",")) } else { "hot".to_owned() };
        let channels = if sixteen { channels.replace("c14", &format!("u{n}")) } else { channels };
        streams.push(open(&scene.server.address, &request(Feed::LongPoll, Coding::Plain, &channels, ""))?);
    }
    scene.held.push(Box::new(Crowd::read(streams)));
    Ok(Box::new(|scene| publish(scene.server, "hot", b"for all of them").map(|()| Outcome::default())))
}

/// As many channels as allowed, each with a message, for this number of seconds.
fn channels(scene: &mut Scene<'_>, seconds: u64) -> Result<Attack> {
    let _ = scene;
    Ok(Box::new(move |scene| {
        let begun = Instant::now();
        for part in 0..9 {
            let requests =
                (0..11_000).flat_map(|n| post(&format!("c{part}-{n}"), mark(n).as_bytes())).collect();
            pipeline(scene.server, requests, 11_000)?;
        }
        std::thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));
        Ok(Outcome::default())
    }))
}

/// The server is told to stop while many clients read.
fn drain(scene: &mut Scene<'_>, feed: Feed) -> Result<Attack> {
    let mut streams = Vec::new();
    for n in 0..scene.connections * 4 {
        streams.push(open(&scene.server.address, &request(feed, Coding::Plain, &format!("hot,u{n}"), ""))?);
    }
    scene.held.push(Box::new(Crowd::read(streams)));
    Ok(Box::new(|scene| {
        scene.server.terminate();
        Ok(Outcome::default())
    }))
}
