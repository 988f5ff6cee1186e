//! Random writers, cancelled calls, slow readers and closes. No message is lost, repeated or mixed,
//! and nobody waits for ever.

use super::*;
use std::collections::HashMap;
use tidewire_testkit::Rng;

/// What one writer has sent, in order. The peer must get the `sure` ones, and may get the others:
/// their call was cancelled.
#[derive(Default)]
struct Sent {
    messages: Vec<(String, bool)>,
}

/// Sends about `count` messages, in every way. Stops when the connection closes.
async fn write(
    writer: Writer<DuplexStream, Server>,
    task: usize,
    seed: u64,
    count: usize,
    (pauses, pings): (bool, bool),
) -> Sent {
    let mut rng = Rng::new(seed);
    let mut sent = Sent::default();
    let mut sink = writer.clone();
    for index in 0..count {
        let text = format!("{task} {index} {}", "x".repeat(rng.below(60)));
        let message = Message::text(text.clone());
        let polls = rng.below(5);
        // `None`: cancelled.
        let result = match rng.below(10) {
            0..=1 => Some(writer.send(message).await),
            2 => Some(writer.queue(message).await),
            3 => cancelled(polls, writer.send(message)).await,
            4 => cancelled(polls, writer.queue(message)).await,
            5 => {
                let prepared = PreparedMessage::text(&text);
                cancelled(polls, writer.send_prepared(&prepared)).await
            }
            6 => match cancelled(polls, writer.reserve()).await {
                // Nothing was queued.
                None => continue,
                Some(Ok(permit)) if rng.chance(30) => {
                    tokio::task::yield_now().await;
                    drop(permit);
                    continue;
                }
                Some(Ok(permit)) => {
                    if rng.chance(50) {
                        tokio::task::yield_now().await;
                    }
                    Some(permit.send(message))
                }
                Some(Err(error)) => Some(Err(error)),
            },
            7 => Some(in_pieces(&writer, &text, &mut rng, pauses).await),
            8 => {
                let pong = if pings && index % 2 == 0 {
                    Message::Ping("p".into())
                } else {
                    Message::Pong("p".into())
                };
                let _ = cancelled(polls, writer.send(pong)).await;
                cancelled(polls, writer.flush()).await;
                continue;
            }
            _ => Some(sink.feed(message).await),
        };
        match result {
            Some(Ok(())) => sent.messages.push((text, true)),
            None => sent.messages.push((text, false)),
            Some(Err(Error::Encode(_) | Error::Io(_))) => {
                sent.messages.push((text, false));
                break;
            }
            Some(Err(error)) => panic!("{error}"),
        }
        if pauses && rng.chance(5) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    sent
}

async fn in_pieces(
    writer: &Writer<DuplexStream, Server>,
    text: &str,
    rng: &mut Rng,
    pauses: bool,
) -> Result<(), Error> {
    let mut message = writer.message(Kind::Text).await?;
    for piece in text.as_bytes().chunks(1 + rng.below(20)) {
        let end = message.queued() + piece.len() as u64;
        while message.queued() < end {
            if let Some(result) = cancelled(1 + rng.below(3), message.send(piece.to_vec())).await {
                result?;
            } else if pauses {
                // Otherwise the clock of the client never advances.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    message.finish("").await
}

/// Checks what the peer has got against what each writer has sent.
fn check(sent: &[Sent], got: &[String], seed: u64) {
    let mut by_task: HashMap<usize, Vec<&String>> = HashMap::new();
    for text in got {
        by_task.entry(text.split(' ').next().unwrap().parse().unwrap()).or_default().push(text);
    }
    for (task, sent) in sent.iter().enumerate() {
        let mut got = by_task.remove(&task).unwrap_or_default().into_iter().peekable();
        for (text, sure) in &sent.messages {
            let came = got.next_if(|next| *next == text).is_some();
            assert!(came || !sure, "seed {seed}: {text:?} is lost");
        }
        assert_eq!(got.next(), None, "seed {seed}: repeated, or in another order");
    }
    assert!(by_task.is_empty());
}

/// Reads everything, with pauses, until the end.
async fn read_all(mut client: WebSocket<DuplexStream, Client>, seed: u64, pauses: bool) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let mut got = Vec::new();
    while let Some(Ok(message)) = client.next().await {
        if let Some(text) = message.as_text() {
            got.push(text.to_owned());
        }
        for _ in 0..rng.below(6) {
            tokio::task::yield_now().await;
        }
        if pauses && rng.chance(3) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    got
}

#[tokio::test(start_paused = true)]
async fn random_writers_to_a_slow_reader_lose_and_repeat_nothing() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let limit = *rng.pick(&[1, 30, 200, 100_000]);
        let ((mut reader, writer), client) = server(*rng.pick(&[1, 7, 64, 1000]), limit);
        // Closed in the middle, or at the end.
        let closed = rng.chance(30);
        let reads = rng.chance(70);
        let reading = async move {
            let mut rng = Rng::new(seed);
            loop {
                let next = if rng.chance(30) {
                    // Cancelled.
                    let Some(next) = cancelled(1, reader.next()).await else { continue };
                    next
                } else {
                    reader.next().await
                };
                if next.is_none_or(|message| message.is_err()) {
                    break;
                }
            }
        };
        let reading = reads.then(|| tokio::spawn(reading));
        let writers: Vec<_> = (0..1 + rng.below(8))
            .map(|task| {
                tokio::spawn(write(writer.clone(), task, seed * 100 + task as u64, 30, (true, reads)))
            })
            .collect();
        let client = tokio::spawn(read_all(client, seed, true));
        let all = async {
            if closed {
                for _ in 0..rng.below(400) {
                    tokio::task::yield_now().await;
                }
                let _ = writer.close(Some(1000), "").await;
            }
            let mut sent = Vec::new();
            for task in writers {
                sent.push(task.await.unwrap());
            }
            let flushed = writer.close(Some(1000), "").await;
            assert!(flushed.is_ok(), "seed {seed}: {flushed:?}");
            drop(writer);
            // Without a reader, the stream ends here. Then no pong of the client may be on its way.
            if let Some(reading) = reading {
                reading.await.unwrap();
            }
            (sent, client.await.unwrap())
        };
        let Ok((sent, got)) = timeout(FOREVER, all).await else { panic!("seed {seed}: a task is not woken") };
        check(&sent, &got, seed);
    }
}

/// On several threads, where the order is different in each run.
#[test]
fn random_writers_on_several_threads_lose_and_repeat_nothing() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    runtime.block_on(async {
        for seed in 0..60 {
            let mut rng = Rng::new(seed);
            let ((mut reader, writer), client) =
                server(*rng.pick(&[7, 64, 1000]), *rng.pick(&[1, 200, 100_000]));
            let reading = tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
            let writers: Vec<_> = (0..4)
                .map(|task| {
                    tokio::spawn(write(writer.clone(), task, seed * 100 + task as u64, 50, (false, true)))
                })
                .collect();
            let client = tokio::spawn(read_all(client, seed, false));
            let all = async {
                let mut sent = Vec::new();
                for task in writers {
                    sent.push(task.await.unwrap());
                }
                writer.close(Some(1000), "").await.unwrap();
                reading.await.unwrap();
                (sent, client.await.unwrap())
            };
            let Ok((sent, got)) = timeout(Duration::from_secs(60), all).await else {
                panic!("seed {seed}: a task is not woken")
            };
            check(&sent, &got, seed);
        }
    });
}
