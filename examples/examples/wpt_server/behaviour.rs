//! What each WebSocket handler does after the handshake.

use std::io;
use std::time::{Duration, Instant};

use tidewire_server::Upgraded;
use tidewire_ws::{Connection, Server};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::msg_channel::{self, Direction, Queues};
use crate::socket::{Message, Socket};

/// The behaviour of a handler. Some handlers share one.
pub enum Behaviour {
    /// Closes at once.
    Nothing,
    /// Waits for one message or a close.
    Listen,
    Say(String),
    Echo,
    EchoRaw,
    EmptyMessage,
    Close(Option<u16>, String),
    HangUp,
    DelayedClose,
    AbortedClose,
    ReceiveSlowly,
    SendMuch,
    Channel(String, Direction),
}

/// Runs a handler to its end. An error means that the client is gone.
pub async fn run(
    io: Upgraded,
    connection: Connection<Server>,
    behaviour: Behaviour,
    queues: &Queues,
) -> io::Result<()> {
    let mut socket = Socket::new(io, connection);
    match behaviour {
        Behaviour::Nothing => {}
        Behaviour::Listen => drop(socket.receive().await?),
        Behaviour::Say(text) => socket.send(&Message::Text(text)).await?,
        Behaviour::Echo => echo(&mut socket).await?,
        Behaviour::EchoRaw => echo_raw(&mut socket).await?,
        Behaviour::EmptyMessage => {
            let empty = matches!(socket.receive().await?, Some(Message::Text(text)) if text.is_empty());
            socket.send(&Message::Text(if empty { "pass" } else { "fail" }.into())).await?;
        }
        Behaviour::Close(code, reason) => socket.close(code, &reason).await?,
        Behaviour::HangUp => {
            // Sends a frame first. Otherwise a browser takes it for a failed handshake.
            return socket.ping(b"ping").await;
        }
        Behaviour::DelayedClose => {
            while socket.receive().await?.is_some() {}
            sleep(Duration::from_secs(1)).await;
        }
        Behaviour::AbortedClose => {
            while socket.receive().await?.is_some() {}
            return Ok(());
        }
        Behaviour::ReceiveSlowly => receive_slowly(&mut socket).await?,
        Behaviour::SendMuch => send_much(&mut socket).await?,
        Behaviour::Channel(uuid, direction) => {
            msg_channel::run(&mut socket, &uuid, direction, queues).await?
        }
    }
    socket.finish().await
}

async fn echo(socket: &mut Socket) -> io::Result<()> {
    while let Some(message) = socket.receive().await? {
        socket.send(&message).await?;
        if matches!(&message, Message::Text(text) if text == "Goodbye") {
            break;
        }
    }
    Ok(())
}

/// Writes the content of messages to the socket unchanged: a test sends the frames that it wants to
/// receive.
async fn echo_raw(socket: &mut Socket) -> io::Result<()> {
    while let Some(message) = socket.receive().await? {
        let bytes = match message {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(data) => data,
        };
        if bytes == b"exit" {
            break;
        }
        socket.io.write_all(&bytes).await?;
    }
    Ok(())
}

async fn receive_slowly(socket: &mut Socket) -> io::Result<()> {
    loop {
        // Nothing is read meanwhile, so the client's data fills all buffers back to the client.
        sleep(Duration::from_millis(100)).await;
        let length = match socket.receive().await? {
            Some(Message::Text(text)) => text.len(),
            Some(Message::Binary(data)) => data.len(),
            None => return Ok(()),
        };
        socket.send(&Message::Text(length.to_string())).await?;
    }
}

/// Sends more than the buffers on the way can hold. The time that it takes is the time for which
/// the page does not read.
async fn send_much(socket: &mut Socket) -> io::Result<()> {
    socket.send(&Message::Binary(Vec::new())).await?;
    let large = Message::Binary(vec![b' '; 1024 * 1024]);
    let start = Instant::now();
    for _ in 0..16 {
        socket.send(&large).await?;
    }
    socket.send(&Message::Text(start.elapsed().as_secs_f64().to_string())).await
}
