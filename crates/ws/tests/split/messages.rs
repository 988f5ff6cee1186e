//! Messages that one writer sends in pieces, beside other writers.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_in_pieces_is_not_mixed_with_others() {
    let ((mut reader, writer), mut client) = server(64, 100);
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
    let others: Vec<_> = (0..5)
        .map(|task: usize| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    writer.send(task.to_string().into()).await.unwrap();
                    writer.send(Message::Ping(vec![b'p'; 20].into())).await.unwrap();
                }
            })
        })
        .collect();
    let large: Vec<_> = (0..3)
        .map(|task: u8| {
            let writer = writer.clone();
            tokio::spawn(async move {
                let mut message = writer.message(Kind::Binary).await.unwrap();
                for _ in 0..30 {
                    message.send(vec![b'a' + task; 50]).await.unwrap();
                    assert!(writer.unwritten() < 300, "{}", writer.unwritten());
                }
                assert_eq!(message.queued(), 1500);
                message.finish("").await.unwrap();
            })
        })
        .collect();
    let (mut texts, mut pings, mut long) = (0, 0, 0);
    while texts + pings + long < 203 {
        match timeout(FOREVER, client.next()).await.unwrap().unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Text(_) => texts += 1,
            Message::Binary(data) => {
                assert!(data.len() == 1500 && data.iter().all(|byte| *byte == data[0]));
                long += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((texts, pings, long), (100, 100, 3));
    for task in others.into_iter().chain(large) {
        timeout(FOREVER, task).await.unwrap().unwrap();
    }
    drop(client);
    reading.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_given_up_closes_the_connection_and_wakes_those_that_wait() {
    let ((mut reader, writer), mut client) = server(1024, 100);
    // Before its first piece, nothing is lost.
    drop(writer.message(Kind::Text).await.unwrap());
    writer.send("whole".into()).await.unwrap();
    let mut message = writer.message(Kind::Text).await.unwrap();
    message.send("a part").await.unwrap();
    let other = writer.clone();
    let waiting = tokio::spawn(async move { other.send("behind it".into()).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(message);
    let Err(Error::Encode(error)) = timeout(FOREVER, waiting).await.unwrap().unwrap() else { panic!() };
    assert_eq!(error.kind(), EncodeErrorKind::Closing);
    let reading = tokio::spawn(async move { reader.next().await });
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("whole"));
    let close = timeout(FOREVER, client.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(close, Message::Close { code: Some(1011), .. }), "{close:?}");
    reading.abort();
}

/// What the caller knows after it has cancelled a piece.
#[tokio::test(start_paused = true)]
async fn a_cancelled_piece_is_counted_if_it_is_in_the_queue() {
    let ((_reader, writer), mut client) = server(8, 20);
    let reading = tokio::spawn(async move { timeout(FOREVER, client.next()).await.unwrap() });
    let mut message = writer.message(Kind::Binary).await.unwrap();
    let data: Vec<u8> = (0..=255).collect();
    let mut polls = 0;
    while message.queued() < 250 {
        let at = message.queued() as usize;
        polls += 1;
        let _ = cancelled(polls % 3, message.send(data[at..at + 10].to_vec())).await;
    }
    message.finish(data[250..].to_vec()).await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap().unwrap(), Message::binary(data));
}
