//! Clients that connect and disconnect in large numbers, or send garbage.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidewire::{ChannelName, HubConfig, Message, Settings};

use super::common::{self, Post, Raw, Rng, Seed, Server, eventually};
use super::{UPGRADE, get, in_process};

#[test]
fn garbage_harms_no_other_client() {
    let seed = Seed::draw();
    let mut server = Server::start(&[]);
    let mut live = server.raw();
    live.send(get("/c/live?feed=stream", ""));
    live.until("hello");
    let before = server.descriptors();
    let starts = [
        String::new(),
        "GET /c/g HTTP/1.1\r\n".to_owned(),
        "GET /c/g?feed=sse HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /c/g?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /c/g HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".to_owned(),
        "POST /c/g HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        get("/c/g", UPGRADE),
        get("/c/g", &format!("{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n")),
    ];
    let mut rng = seed.rng(0);
    for n in 0..400 {
        let mut raw = server.raw();
        raw.offer(&starts[n % starts.len()]);
        for _ in 0..rng.below(4) {
            let len = rng.below(3_000);
            raw.offer(noise(&mut rng, len));
        }
        if rng.chance(30) {
            raw.half_close();
        }
    }
    server.settle(before);
    server.assert_alive();
    Post::new("still here").to(&server.address, "live");
    live.until("still here");
    let log = server.log_to_stop();
    assert!(!log.contains("panicked"), "{log}");
}

/// Returns random bytes, or pieces of protocols in random order.
fn noise(rng: &mut Rng, len: usize) -> Vec<u8> {
    if rng.chance(50) {
        return rng.bytes(len);
    }
    let words: [&[u8]; 12] = [
        b"\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"5\r\n",
        b"0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n",
        &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'],
        &[0x88, 0x80, 0, 0, 0, 0],
        b"{\"type\":\"subscribe\",\"channel\":\"a\"}",
        &[0x89, 0x80, 0, 0, 0, 0],
    ];
    (0..len / 8).flat_map(|_| rng.pick(&words).to_vec()).collect()
}

#[test]
fn thousands_of_short_connections_leak_nothing() {
    let mut server = Server::start(&["--threads", "2"]);
    Post::new("x".repeat(1_000)).to(&server.address, "crowd");
    let before = server.descriptors();
    let kinds = [
        String::new(),
        "GET /c/crowd HTTP/1.1\r\nHo".to_owned(),
        get("/c/crowd", ""),
        get("/c/crowd?wait=55", ""),
        get("/c/crowd?feed=sse&since=earliest", ""),
        get("/c/crowd?feed=stream", ""),
        get("/c/crowd", UPGRADE),
        get("/c/crowd", &format!("{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n")),
        "POST /c/crowd HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".to_owned(),
        get("/c/crowd,other?feed=sse", ""),
    ];
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let crowd: Vec<Raw> = (0..2_000)
            .map(|n| {
                let mut raw = server.raw();
                raw.send(&kinds[n % kinds.len()]);
                raw
            })
            .collect();
        Post::new("for all of them").to(&server.address, "crowd");
        eventually("all of them to be there", || server.descriptors() >= before + 1_800);
        drop(crowd);
        server.settle(before);
        rounds.push(server.memory_kib());
    }
    server.assert_alive();
    // The first crowd fills the allocator's pools. The next ones use them again.
    assert!(rounds[2] < rounds[0] + 3_000, "KiB after each crowd: {rounds:?}");
}

/// Every client that may read can create channels. There are never more channels than allowed, and
/// channels that nobody uses are removed.
#[test]
fn the_number_of_channels_is_limited_and_idle_ones_are_removed() {
    let mut config = HubConfig::default();
    config.max_channels = 500;
    config.idle = Duration::from_secs(3600);
    let (hub, running) = in_process(config, Settings::default());
    let mut raw = Raw::connect(running.addresses()[0].to_string());
    let mut ask = |names: &str| raw.send(get(&format!("/c/{names}?feed=poll"), "")).response().status;
    let mut refused = 0;
    for n in 0..200 {
        let names: Vec<String> = (0..16).map(|m| format!("name-{n}-{m}")).collect();
        let status = ask(&names.join(","));
        assert!(matches!(status, 200 | 503), "{status}");
        refused += usize::from(status == 503);
    }
    assert!(refused > 100, "3,200 names in 500 channels: {refused} requests refused");
    assert!(hub.channels() <= 500);

    let mut config = HubConfig::default();
    config.idle = Duration::from_millis(500);
    let (hub, running) = in_process(config, Settings::default());
    let mut raw = Raw::connect(running.addresses()[0].to_string());
    let mut ask = |names: &str| raw.send(get(&format!("/c/{names}?feed=poll"), "")).response().status;
    assert_eq!((ask("kept"), ask("a,b,c"), ask("d,e")), (200, 200, 200));
    hub.publish(&ChannelName::new("kept").unwrap(), Message::new("x".into(), 0), None).unwrap();
    eventually("the idle ones to be removed", || {
        hub.sweep();
        hub.channels() == 1
    });
    assert_eq!((ask("new"), ask("kept")), (200, 200));
}

/// After a message, many clients send the same next poll, which the server recognises without
/// parsing it. The limit applies to these polls too.
#[test]
fn repeated_polls_respect_the_limit_of_subscribers() {
    let mut config = HubConfig::default();
    config.max_subscribers = 2;
    let (hub, running) = in_process(config, Settings::default());
    let name = ChannelName::new("full").unwrap();
    let subscribers = |n: usize| {
        eventually("so many subscribers", || hub.channel(&name).unwrap().subscribers() == n);
    };
    let [mut first, mut second, mut third] =
        std::array::from_fn(|_| Raw::connect(running.addresses()[0].to_string()));
    first.send(get("/c/full?wait=55", ""));
    second.send(get("/c/full?wait=55", ""));
    subscribers(2);
    hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
    let answer = first.response();
    assert_eq!((answer.status, second.response().status), (200, 200));
    let next = get(&format!("/c/full?wait=55&since={}", answer.field("tidewire-cursor").unwrap()), "");
    third.send(&next);
    subscribers(1);
    first.send(&next);
    subscribers(2);
    assert_eq!(second.send(&next).response().status, 503);
    hub.publish(&name, Message::new("y".into(), 0), None).unwrap();
    assert_eq!((first.response().status, third.response().status), (200, 200));
}

#[test]
fn five_hundred_held_polls_are_answered_by_one_publish() {
    let server = Server::start(&["--threads", "2"]);
    let mut polls: Vec<Raw> = (0..500)
        .map(|_| {
            let mut raw = server.raw();
            raw.send(get("/c/herd?wait=55", ""));
            raw
        })
        .collect();
    server.calm();
    let asked = Instant::now();
    let cursor = Post::new("all at once").to(&server.address, "herd");
    for raw in &mut polls {
        let answer = raw.response();
        assert_eq!((answer.status, answer.field("tidewire-cursor")), (200, Some(&*cursor)));
    }
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn a_server_without_free_descriptors_recovers() {
    // With 64 descriptors, the process serves as many clients as it can, answers 503 to the others,
    // does not spin, and recovers.
    let script =
        format!("ulimit -n 64; exec {} --listen 127.0.0.1:0 --threads 1", env!("CARGO_BIN_EXE_tidewire"));
    let mut command = common::server::command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    std::mem::swap(&mut command, &mut shell);
    let mut server = Server::spawn(command);
    let mut first = server.raw();
    assert_eq!(first.send(get("/c/fd", "")).response().status, 200);
    let crowd: Vec<TcpStream> = (0..150).filter_map(|_| TcpStream::connect(&server.address).ok()).collect();
    let got_503 = |stream: &&TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let mut bytes = [0; 12];
        matches!(stream.peek(&mut bytes), Ok(12)) && bytes.ends_with(b"503")
    };
    eventually("more than 50 get a 503", || crowd.iter().filter(got_503).count() > 50);
    let busy = server.cpu_ticks();
    // A fixed time is right here: the work of one second is measured.
    std::thread::sleep(Duration::from_secs(1));
    let busy = server.cpu_ticks() - busy;
    assert!(busy < 20, "{busy} hundredths of a second of CPU in a second of nothing");
    assert_eq!(first.send(get("/c/fd", "")).response().status, 200, "connected clients are served");
    drop(crowd);
    eventually("a free place", || {
        let mut raw = server.raw();
        raw.offer(get("/c/fd", ""));
        raw.response().status == 200
    });
    server.assert_alive();
}
