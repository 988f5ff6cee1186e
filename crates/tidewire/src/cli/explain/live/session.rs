//! The socket of a live connection, and the reasons to end it.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tidewire_explain::{Annotator, Direction, Note};
use tidewire_http1::{BodyLength, Client, Connection, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::args::LiveArgs;
use super::endpoint::Endpoint;
use crate::cli::explain::explainer::{Explainer, Output};
use crate::cli::explain::hex_dump::HexDump;

/// A connection to the server, and the dump of its bytes.
pub(super) struct Session {
    io: TcpStream,
    explainer: Explainer,
    deadline: Option<Instant>,
    /// Resolves at the first ctrl-c. It is kept between the waits, so that a ctrl-c is not lost
    /// while the dump is printed.
    interrupt: Option<Interrupt>,
}

type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The response is complete, or the server has closed the connection.
    Server,
    /// The number of --messages has arrived.
    EnoughMessages,
    /// The time of --seconds is over.
    EnoughSeconds,
    Interrupt,
}

/// The result of a wait.
enum Waited {
    Bytes(Vec<u8>),
    Closed,
    End(End),
}

impl Session {
    pub(super) async fn connect(
        endpoint: &Endpoint,
        args: &LiveArgs,
        mut dump: HexDump<Output>,
    ) -> Result<Self, Box<dyn Error>> {
        let Endpoint { host, port, .. } = endpoint;
        let io = match timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(format!(
                    "no server listens on {host}:{port}; is it running? \
                     (the command tidewire starts a server on 127.0.0.1:8080)"
                )
                .into());
            }
            Ok(Err(error)) => return Err(format!("cannot connect to {host}:{port}: {error}").into()),
            Err(_) => {
                return Err(format!(
                    "{host}:{port} does not answer; is the address right? Does a firewall block it?"
                )
                .into());
            }
        };
        io.set_nodelay(true)?;
        dump.name_directions();
        dump.remark(&format!("connected to {host}:{port}; press ctrl-c to end"))?;
        Ok(Self {
            io,
            explainer: Explainer::new(Annotator::new(), dump),
            // A time beyond the range of the clock means no deadline.
            deadline: args.seconds.and_then(|seconds| Instant::now().checked_add(seconds)),
            interrupt: Some(Box::pin(tokio::signal::ctrl_c())),
        })
    }

    /// Sends a request and its body, and shows them.
    pub(super) async fn send_request(
        &mut self,
        connection: &mut Connection<Client>,
        request: &Request<'_>,
        length: BodyLength,
        body: &str,
    ) -> Result<(), Box<dyn Error>> {
        let mut out = Vec::new();
        connection
            .send_request(request, length, &mut out)
            .map_err(|error| format!("the request cannot be sent: {error}"))?;
        connection.send_data(body.as_bytes(), &mut out)?;
        connection.send_end(&mut out)?;
        self.send(&out).await
    }

    /// Sends bytes, and shows them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.explainer.push(Direction::Up, bytes)?;
        // A server may answer and close before it has read everything. Its answer is still shown.
        match self.io.write_all(bytes).await {
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    /// Waits for more of the server's bytes, shows them and appends them to `input`. Returns an
    /// [`End`] if no more will come.
    pub(super) async fn receive(
        &mut self,
        input: &mut Vec<u8>,
    ) -> Result<Result<Vec<Note>, End>, Box<dyn Error>> {
        match self.wait().await? {
            Waited::Bytes(bytes) => {
                input.extend_from_slice(&bytes);
                Ok(Ok(self.explainer.push(Direction::Down, &bytes)?))
            }
            Waited::Closed => {
                self.explainer.finish(Direction::Down)?;
                Ok(Err(End::Server))
            }
            Waited::End(end) => Ok(Err(end)),
        }
    }

    /// Ends the session after this time.
    pub(super) fn end_within(&mut self, time: Duration) {
        self.deadline = Some(Instant::now() + time);
    }

    /// Prints how the session ended. Returns the exit status.
    pub(super) fn conclude(mut self, end: End) -> Result<ExitCode, Box<dyn Error>> {
        if self.explainer.print_refusal()? {
            return Ok(ExitCode::FAILURE);
        }
        let sent = self.explainer.total(Direction::Up);
        let received = self.explainer.total(Direction::Down);
        let why = match end {
            End::Server => "",
            End::EnoughMessages => "; ended by --messages",
            End::EnoughSeconds => "; ended by --seconds",
            End::Interrupt => "; interrupted",
        };
        self.explainer.print_accepted(&format!("{sent} bytes sent, {received} received{why}"))?;
        Ok(if end == End::Interrupt { ExitCode::from(130) } else { ExitCode::SUCCESS })
    }

    /// Waits for bytes, or for a reason to stop.
    async fn wait(&mut self) -> Result<Waited, Box<dyn Error>> {
        let mut buffer = vec![0; READ_SIZE];
        let deadline = self.deadline;
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let interrupt = async {
            match &mut self.interrupt {
                Some(interrupt) => interrupt.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = self.io.read(&mut buffer) => match read {
                Ok(0) => Ok(Waited::Closed),
                Ok(n) => {
                    buffer.truncate(n);
                    Ok(Waited::Bytes(buffer))
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Waited::Closed),
                Err(error) => Err(error.into()),
            },
            outcome = interrupt => {
                self.interrupt = None;
                outcome?;
                Ok(Waited::End(End::Interrupt))
            }
            () = over => Ok(Waited::End(End::EnoughSeconds)),
        }
    }
}

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one read.
const READ_SIZE: usize = 64 * 1024;
