//! Messages in pieces: received and sent in little memory, and never skipped.

use super::client_frame;
use tidewire_testkit::Rng;
use tidewire_ws::tokio::{Error, Piece, WebSocket, WhenFull};
use tidewire_ws::{Client, Connection, EncodeErrorKind, ErrorKind, Event, Kind, Limits, Message, Server};
use tokio::io::{AsyncWriteExt as _, duplex};

const LARGE: Limits = Limits::DEFAULT.with_max_frame(1 << 40).with_max_message(1 << 40);

/// Puts pieces together to messages and control frames, and checks `first` and `last`.
#[derive(Default)]
struct Joined {
    whole: Vec<Message>,
    message: Option<(Kind, Vec<u8>)>,
    longest: usize,
}

impl Joined {
    fn add(&mut self, piece: Piece) {
        match piece {
            Piece::Data { kind, data, first, last } => {
                assert_eq!(first, self.message.is_none());
                let (begun, bytes) = self.message.get_or_insert((kind, Vec::new()));
                assert_eq!(*begun, kind);
                self.longest = self.longest.max(data.len());
                bytes.extend_from_slice(&data);
                if last && let Some((kind, bytes)) = self.message.take() {
                    let message = Message::from(bytes);
                    self.whole.push(match kind {
                        Kind::Text => Message::text(message.into_text().unwrap()),
                        Kind::Binary => message,
                    });
                }
            }
            Piece::Control(message) => self.whole.push(message),
            _ => unreachable!(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_pieces_is_refused_where_whole_messages_are_expected() {
    let wire = client_frame(1, b"text");
    // The sans-IO core. The error is not final, and consumes nothing.
    let mut connection = Connection::<Server>::new(Limits::DEFAULT).in_pieces();
    for _ in 0..2 {
        let error = connection.decode_owned(&mut wire.clone()).unwrap_err();
        assert_eq!((error.kind(), error.offset(), error.close_code()), (ErrorKind::InPieces, 0, 1011));
    }
    let decoded = connection
        .decode(&mut wire.clone())
        .map(|(n, event)| (n, matches!(event, Some(Event::Piece { .. }))));
    assert_eq!(decoded, Ok((10, true)));

    // The tokio adapter, whole and split.
    let socket = || {
        let connection = Connection::<Server>::new(Limits::DEFAULT).in_pieces();
        WebSocket::new(tokio::io::join(&wire[..], tokio::io::sink()), connection)
    };
    let mut whole = socket();
    let refused = whole.next().await;
    assert!(matches!(refused, Some(Err(Error::InPieces))), "{refused:?}");
    assert!(whole.next().await.is_none(), "a loop that ignores errors ends");
    assert!(matches!(whole.next_piece().await, Some(Ok(Piece::Data { first: true, last: true, .. }))));
    let (mut reader, _writer) = socket().split();
    assert!(matches!(reader.next().await, Some(Err(Error::InPieces))));
    assert!(matches!(reader.next_piece().await, Some(Ok(Piece::Data { kind: Kind::Text, .. }))));

    // The other way round.
    let mut whole = WebSocket::server(tokio::io::join(&wire[..], tokio::io::sink()), Limits::DEFAULT);
    assert!(matches!(whole.next_piece().await, Some(Err(Error::NotInPieces))));
    assert_eq!(whole.next().await.unwrap().unwrap(), Message::text("text"));
}

/// Inside a message, its first bytes would be missing.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_begun_whole_stays_whole() {
    let (io, mut client) = duplex(100);
    let mut server = WebSocket::server(io, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"text")[..8]).await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(server.next()).is_none());
    let mut server = server.in_pieces();
    assert!(matches!(server.next_piece().await, Some(Err(Error::NotInPieces))));
    client.write_all(b"xt").await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("text"));
}

/// Random messages with control frames between their fragments, cut at random places.
fn random_wire(rng: &mut Rng, client: &mut Connection<Client>) -> (Vec<u8>, Vec<Message>) {
    let mut put = |message: &Message, last, out: &mut Vec<u8>| {
        match (message, last) {
            (Message::Text(text), Some(last)) => client.send_text_fragment(text, last, [7; 4], out),
            (Message::Binary(data), Some(last)) => client.send_binary_fragment(data, last, [7; 4], out),
            (Message::Text(text), None) => client.send_text(text, [7; 4], out),
            (Message::Binary(data), None) => client.send_binary(data, [7; 4], out),
            (Message::Ping(data), _) => client.send_ping(data, [7; 4], out),
            _ => unreachable!(),
        }
        .unwrap();
    };
    let (mut wire, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let text = rng.chance(50);
        let mut all = Vec::new();
        let mut between = Vec::new();
        let fragments = rng.below(4);
        for fragment in 0..=fragments {
            let len = *rng.pick(&[0, 1, 10, 300, 5000]);
            let data = if text { "κ€🌊a".repeat(len / 4).into_bytes() } else { rng.bytes(len) };
            all.extend_from_slice(&data);
            let piece = if text { Message::text(String::from_utf8(data).unwrap()) } else { data.into() };
            put(&piece, (fragments > 0).then_some(fragment == fragments), &mut wire);
            if fragment < fragments && rng.chance(30) {
                let ping = Message::Ping(rng.bytes(5).into());
                put(&ping, None, &mut wire);
                between.push(ping);
            }
        }
        messages.extend(between);
        messages.push(if text { Message::text(String::from_utf8(all).unwrap()) } else { all.into() });
    }
    (wire, messages)
}

#[tokio::test(start_paused = true)]
async fn pieces_put_together_are_the_messages() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let mut client = Connection::<Client>::new(LARGE);
        let (wire, messages) = random_wire(&mut rng, &mut client);
        let (io, mut raw) = duplex(1 << 20);
        let mut server = WebSocket::server(io, LARGE).in_pieces();
        let mut joined = Joined::default();
        let cuts = rng.cuts(wire.len(), 30);
        for (from, to) in
            core::iter::once(0).chain(cuts.iter().copied()).zip(cuts.iter().copied().chain([wire.len()]))
        {
            raw.write_all(&wire[from..to]).await.unwrap();
            while let Some(piece) = futures_util::FutureExt::now_or_never(server.next_piece()) {
                joined.add(piece.unwrap().unwrap());
            }
        }
        assert_eq!(joined.whole, messages, "seed {seed}");
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::*;
    use tidewire_ws::Role;
    use tidewire_ws::deflate::{Config, Params};

    fn with_deflate<R: Role>() -> Connection<R> {
        let params = Params {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        Connection::new(LARGE).with_deflate(params, &Config::DEFAULT.with_threshold(0))
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_of_compressed_messages_put_together_are_the_messages() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let mut client = with_deflate::<Client>();
            let (wire, messages) = random_wire(&mut rng, &mut client);
            let io = tokio::io::join(&wire[..], tokio::io::sink());
            let mut server = WebSocket::new(io, with_deflate::<Server>()).in_pieces();
            let mut joined = Joined::default();
            while let Some(Ok(piece)) = server.next_piece().await {
                joined.add(piece);
            }
            assert_eq!(joined.whole, messages, "seed {seed}");
        }
    }

    /// One read of 64 KiB could inflate to 64 MiB.
    #[tokio::test(start_paused = true)]
    async fn a_piece_of_a_message_that_inflates_a_thousand_times_is_short() {
        const LEN: usize = 32 << 20;
        let mut payload = Vec::with_capacity(LEN / 900);
        let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
        compress.compress_vec(&vec![0; LEN], &mut payload, flate2::FlushCompress::Sync).unwrap();
        assert_eq!(compress.total_in(), LEN as u64);
        payload.truncate(payload.len() - 4);
        let mut wire = vec![0xc2, 0xfe];
        wire.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        wire.extend([0; 4]);
        wire.extend(payload);
        let io = tokio::io::join(&wire[..], tokio::io::sink());
        let mut server = WebSocket::new(io, with_deflate::<Server>()).in_pieces();
        let (mut len, mut longest) = (0, 0);
        while let Some(Ok(Piece::Data { data, last, .. })) = server.next_piece().await {
            (len, longest) = (len + data.len(), longest.max(data.len()));
            assert_eq!(last, len == LEN);
        }
        assert_eq!(len, LEN);
        assert!((64 << 10..600 << 10).contains(&longest), "{longest}");
    }
}

/// One end sends a long message in pieces through a small pipe, and the other reads it in pieces.
/// Neither holds more than a few of them.
#[tokio::test(start_paused = true)]
async fn a_long_message_needs_little_memory_at_both_ends() {
    const PIECES: usize = 2000;
    const PIECE: usize = 10_000;
    for split in [false, true] {
        let (client, server) = duplex(64 * 1024);
        let mut client = WebSocket::client(client, LARGE).with_write_limit(PIECE, WhenFull::Wait);
        let mut server = WebSocket::server(server, LARGE).in_pieces();
        let sending = tokio::spawn(async move {
            if split {
                let (_reader, writer) = client.split();
                let mut message = writer.message(Kind::Binary).await.unwrap();
                for index in 0..PIECES {
                    message.send(vec![index as u8; PIECE]).await.unwrap();
                    assert_eq!(writer.unwritten(), 0);
                    writer.queue(Message::Ping("between".into())).await.unwrap();
                }
                message.finish("").await.unwrap();
            } else {
                for index in 0..PIECES {
                    client.send_piece(Kind::Binary, vec![index as u8; PIECE], false).await.unwrap();
                    client.queue(Message::Ping("between".into())).await.unwrap();
                }
                client.send_piece(Kind::Binary, "", true).await.unwrap();
            }
        });
        let (mut len, mut pings) = (0, 0);
        loop {
            match server.next_piece().await.unwrap().unwrap() {
                Piece::Control(Message::Ping(_)) => pings += 1,
                Piece::Data { data, last, .. } => {
                    assert!(data.len() <= 64 * 1024);
                    assert!(data.iter().enumerate().all(|(i, byte)| *byte == ((len + i) / PIECE) as u8));
                    len += data.len();
                    if last {
                        break;
                    }
                }
                _ => unreachable!(),
            }
        }
        assert_eq!((len, pings), (PIECES * PIECE, PIECES));
        sending.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_that_would_break_a_message_are_refused() {
    let (client, server) = duplex(1024);
    let mut client = WebSocket::client(client, Limits::DEFAULT);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    let kind = |result: Result<(), Error>| match result {
        Err(Error::Encode(error)) => (error.kind(), error.offset()),
        other => panic!("{other:?}"),
    };
    // A text may be cut inside a character.
    let wave = "🌊".as_bytes();
    client.send_piece(Kind::Text, wave[..3].to_vec(), false).await.unwrap();
    let invalid = client.send_piece(Kind::Text, "ab", false).await;
    assert_eq!(kind(invalid), (EncodeErrorKind::InvalidUtf8, 0));
    let cut = client.send_piece(Kind::Text, "", true).await;
    assert_eq!(kind(cut), (EncodeErrorKind::InvalidUtf8, 0));
    let other = client.send_piece(Kind::Binary, "ab", false).await;
    assert_eq!(kind(other), (EncodeErrorKind::MessageUnfinished, 0));
    let whole = client.send("whole".into()).await;
    assert_eq!(kind(whole), (EncodeErrorKind::MessageUnfinished, 0));
    client.send(Message::Ping("p".into())).await.unwrap();
    let invalid = client.send_piece(Kind::Text, vec![wave[3], b'a', 0xff], true).await;
    assert_eq!(kind(invalid), (EncodeErrorKind::InvalidUtf8, 2));
    // Nothing of the refused pieces was sent.
    client.send_piece(Kind::Text, [wave[3], b'!'].to_vec(), true).await.unwrap();
    client.send("whole".into()).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Ping("p".into()));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("🌊!"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("whole"));
}
