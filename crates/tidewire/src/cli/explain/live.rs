//! A live connection: our own crates in the role of the client, and every byte of both directions on the page.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::Uri;
use tidewire::explain::{Annotator, Direction, Note, NoteKind};
use tidewire_http1::{BodyLength, Client, Connection, Event, FieldBlock, Fields, Limits, Request};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::client;
use tidewire_ws::{self as ws, Role, close};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::Out;
use super::page::Page;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "For URLs")]
pub(super) struct LiveArgs {
    /// A header field to send, as often as you like
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// The body of the request; over WebSocket, a text message
    #[arg(short, long, value_name = "TEXT")]
    data: Option<String>,
    /// A WebSocket subprotocol to offer, as often as you like
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// Offer permessage-deflate
    #[arg(long)]
    deflate: bool,
    /// End after so many events, JSON lines or WebSocket messages from the server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// End after this time: seconds, or 500ms, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    seconds: Option<Duration>,
}

impl LiveArgs {
    /// An option that makes no sense without a URL.
    pub(super) fn used(&self) -> Option<&'static str> {
        [
            (!self.header.is_empty(), "--header"),
            (self.method.is_some(), "--method"),
            (self.data.is_some(), "--data"),
            (!self.subprotocol.is_empty(), "--subprotocol"),
            (self.deflate, "--deflate"),
            (self.messages.is_some(), "--messages"),
            (self.seconds.is_some(), "--seconds"),
        ]
        .into_iter()
        .find_map(|(used, name)| used.then_some(name))
    }

    fn fields(&self) -> Result<FieldBlock, Box<dyn Error>> {
        let mut block = FieldBlock::new();
        let named = |name: &str| {
            self.header
                .iter()
                .any(|line| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name)))
        };
        if !named("User-Agent") {
            block.push("User-Agent", concat!("tidewire/", env!("CARGO_PKG_VERSION")))?;
        }
        for line in &self.header {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("-H {line:?} has no colon: write 'Name: value'"))?;
            block.push(name, value.trim()).map_err(|error| format!("-H {line:?} cannot be sent: {error}"))?;
        }
        Ok(block)
    }
}

pub(super) fn run(url: &str, args: &LiveArgs, page: Page<Out>) -> Result<ExitCode, Box<dyn Error>> {
    let place = Place::parse(url)?;
    if place.websocket && args.method.is_some() {
        return Err("--method is for http://: a WebSocket is opened with GET".into());
    }
    if !place.websocket && (args.deflate || !args.subprotocol.is_empty()) {
        return Err("--subprotocol and --deflate are for ws:// URLs".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = Session::connect(&place, args, page).await?;
        let end = if place.websocket {
            session.websocket(&place, args).await?
        } else {
            session.http(&place, args).await?
        };
        session.verdict(end)
    })
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    websocket: bool,
    host: String,
    port: u16,
    authority: String,
    target: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, Box<dyn Error>> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        let websocket = match uri.scheme_str() {
            Some("http") => false,
            Some("ws") => true,
            Some("https" | "wss") => {
                return Err("TLS is not supported: let a proxy on this machine speak it, and use its http:// or ws:// address".into());
            }
            _ => return Err("a URL starts with http:// or ws://".into()),
        };
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a user name is refused: pass -H 'Authorization: …'".into());
        }
        Ok(Self {
            websocket,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        })
    }
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The answer is complete, or the server has closed.
    Server,
    /// --messages or --seconds.
    Enough(&'static str),
    Interrupt,
}

type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// The connection, the page, and what ends it.
struct Session {
    io: TcpStream,
    annotator: Annotator,
    page: Page<Out>,
    deadline: Option<Instant>,
    /// Ctrl-c, once. It is kept between the waits, so that one which comes while a page is printed is not lost.
    interrupt: Option<Interrupt>,
    /// Messages that are still wanted.
    left: u64,
}

/// What a wait gave.
enum Came {
    Bytes(Vec<u8>),
    Closed,
    End(End),
}

impl Session {
    async fn connect(place: &Place, args: &LiveArgs, page: Page<Out>) -> Result<Self, Box<dyn Error>> {
        let Place { host, port, .. } = place;
        let io = match timeout(PATIENCE, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(format!("nobody listens on {host}:{port}; is the server running? (tidewire starts one on 127.0.0.1:8080)").into());
            }
            Ok(Err(error)) => return Err(format!("cannot connect to {host}:{port}: {error}").into()),
            Err(_) => {
                return Err(format!(
                    "{host}:{port} does not answer; is the address right, and no firewall on the way?"
                )
                .into());
            }
        };
        io.set_nodelay(true)?;
        let mut session = Self {
            io,
            annotator: Annotator::new(),
            page,
            // More seconds than the clock can hold are no bound.
            deadline: args.seconds.and_then(|seconds| Instant::now().checked_add(seconds)),
            interrupt: Some(Box::pin(tokio::signal::ctrl_c())),
            left: args.messages.unwrap_or(u64::MAX),
        };
        session.page.say(&format!("connected to {host}:{port}; ctrl-c ends it"))?;
        Ok(session)
    }

    /// One request and its answer.
    async fn http(&mut self, place: &Place, args: &LiveArgs) -> Result<End, Box<dyn Error>> {
        let mut limits = Limits::new();
        limits.max_body = u64::MAX;
        let mut machine = Connection::<Client>::new(limits);
        let default = if args.data.is_some() { "POST" } else { "GET" };
        let method = args.method.as_deref().unwrap_or(default);
        let fields = args.fields()?;
        let blocks = [&fields];
        let request = Request::new(method, &place.target, &place.authority).with_fields(&blocks);
        let body = args.data.as_ref().map_or(BodyLength::Empty, |data| BodyLength::Length(data.len() as u64));
        let mut out = Vec::new();
        machine
            .send_request(&request, body, &mut out)
            .map_err(|error| format!("the request cannot be sent: {error}"))?;
        machine.send_data(args.data.as_deref().unwrap_or_default().as_bytes(), &mut out)?;
        machine.send_end(&mut out)?;
        self.send(&out).await?;

        let mut table = Fields::new();
        let mut input = Vec::new();
        loop {
            let notes = match self.receive(&mut input).await? {
                Ok(notes) => notes,
                Err(end) => return Ok(end),
            };
            let mut at = 0;
            // A refusal is on the page already.
            while let Ok((used, event)) = machine.decode(&input[at..], &mut table) {
                at += used;
                match event {
                    Some(Event::End) => return Ok(End::Server),
                    Some(_) => {}
                    None => break,
                }
            }
            input.drain(..at);
            if machine.error().is_some() {
                return Ok(End::Server);
            }
            if self.count(&notes) {
                return Ok(End::Enough("--messages"));
            }
        }
    }

    /// The handshake, and messages until somebody closes.
    async fn websocket(&mut self, place: &Place, args: &LiveArgs) -> Result<End, Box<dyn Error>> {
        let names: Vec<&str> = args.subprotocol.iter().map(String::as_str).collect();
        let mut handshake = client::Request::new(random()?, &names);
        let config = Config { context_takeover: true, threshold: 0, ..Config::DEFAULT };
        if args.deflate {
            handshake = handshake.with_deflate(config);
        }
        let fields = args.fields()?;
        let upgrade = FieldBlock::from_pairs(handshake.fields())?;
        let blocks = [&fields, &upgrade];
        let request = Request::new("GET", &place.target, &place.authority).with_fields(&blocks);
        let mut machine = Connection::<Client>::new(Limits::new());
        let mut out = Vec::new();
        machine
            .send_request(&request, BodyLength::Empty, &mut out)
            .map_err(|error| format!("the request cannot be sent: {error}"))?;
        machine.send_end(&mut out)?;
        self.send(&out).await?;

        let mut table = Fields::new();
        let mut input = Vec::new();
        let agreed = loop {
            if let Err(end) = self.receive(&mut input).await? {
                return Ok(end);
            }
            let mut at = 0;
            let mut agreed = None;
            while let Ok((used, event)) = machine.decode(&input[at..], &mut table) {
                at += used;
                match event {
                    Some(Event::Response(head)) if machine_switches(&head) => {
                        agreed = Some(handshake.verify(head.status(), head.fields()));
                        break;
                    }
                    Some(Event::End) => return Ok(End::Server),
                    Some(_) => {}
                    None => break,
                }
            }
            input.drain(..at);
            match agreed {
                Some(Ok(agreed)) => break agreed,
                // It is on the page already.
                Some(Err(_)) => return Ok(End::Server),
                None if machine.error().is_some() => return Ok(End::Server),
                None => {}
            }
        };
        let limits = ws::Limits { max_frame: u64::MAX, max_message: u64::MAX, ..ws::Limits::DEFAULT };
        let mut socket = ws::Connection::new(Role::Client, limits).in_pieces();
        if let Some(params) = agreed.deflate() {
            socket = socket.with_deflate(params, &config);
        }
        if let Some(text) = &args.data {
            let mut out = Vec::new();
            socket.send_text(text, random()?, &mut out)?;
            self.send(&out).await?;
        }
        self.frames(socket, input).await
    }

    /// Frames until somebody closes.
    async fn frames(
        &mut self,
        mut socket: ws::Connection,
        mut input: Vec<u8>,
    ) -> Result<End, Box<dyn Error>> {
        let mut ending = None;
        loop {
            let mut at = 0;
            // A refusal is on the page already; what is owed for it follows.
            while let Ok((used, event)) = socket.decode(&mut input[at..]) {
                at += used;
                let Some(event) = event else { break };
                self.left -= u64::from(matches!(event, ws::Event::Piece { last: true, .. }));
                if self.left == 0 {
                    ending = ending.or(Some(End::Enough("--messages")));
                    self.left = u64::MAX;
                }
            }
            input.drain(..at);
            let mut out = Vec::new();
            let mut keys = Ok(());
            socket.take_output_masked(
                || {
                    random().unwrap_or_else(|error| {
                        keys = Err(error);
                        [0; 4]
                    })
                },
                &mut out,
            );
            keys?;
            if ending.is_some() && socket.is_open() {
                socket.send_close(Some(close::NORMAL), "", random()?, &mut out)?;
                self.deadline = Some(Instant::now() + GOODBYE);
            }
            if !out.is_empty() {
                self.send(&out).await?;
            }
            if socket.is_closed() {
                return Ok(ending.unwrap_or(End::Server));
            }
            match self.receive(&mut input).await? {
                Ok(_) => {}
                Err(end) if end == End::Server || ending.is_some() => return Ok(ending.unwrap_or(end)),
                Err(end) => ending = Some(end),
            }
        }
    }

    /// Waits for more of the server's bytes, shows and appends them; or says why there will be none.
    async fn receive(&mut self, input: &mut Vec<u8>) -> Result<Result<Vec<Note>, End>, Box<dyn Error>> {
        match self.wait().await? {
            Came::Bytes(bytes) => {
                input.extend_from_slice(&bytes);
                Ok(Ok(self.show(Direction::Down, &bytes)?))
            }
            Came::Closed => {
                let notes = self.annotator.finish(Direction::Down);
                self.page.notes(&notes)?;
                Ok(Err(End::Server))
            }
            Came::End(end) => Ok(Err(end)),
        }
    }

    /// Sends, and shows what was sent.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.show(Direction::Up, bytes)?;
        // A server may answer and close before it has read everything: its answer is worth seeing.
        match self.io.write_all(bytes).await {
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    fn show(&mut self, direction: Direction, bytes: &[u8]) -> io::Result<Vec<Note>> {
        self.page.push(direction, bytes);
        let notes = self.annotator.push(direction, bytes);
        self.page.notes(&notes)?;
        Ok(notes)
    }

    /// Waits for bytes, or for a reason to stop.
    async fn wait(&mut self) -> Result<Came, Box<dyn Error>> {
        let mut buffer = vec![0; super::READ];
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
                Ok(0) => Ok(Came::Closed),
                Ok(n) => {
                    buffer.truncate(n);
                    Ok(Came::Bytes(buffer))
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Came::Closed),
                Err(error) => Err(error.into()),
            },
            outcome = interrupt => {
                self.interrupt = None;
                outcome?;
                Ok(Came::End(End::Interrupt))
            }
            () = over => Ok(Came::End(End::Enough("--seconds"))),
        }
    }

    /// Counts the messages of a stream; whether these were the last ones wanted.
    fn count(&mut self, notes: &[Note]) -> bool {
        let messages =
            notes.iter().filter(|note| matches!(note.kind, NoteKind::Dispatch | NoteKind::JsonLine)).count();
        self.left = self.left.saturating_sub(messages as u64);
        self.left == 0
    }

    fn verdict(mut self, end: End) -> Result<ExitCode, Box<dyn Error>> {
        for direction in [Direction::Up, Direction::Down] {
            if let Some(refusal) = self.annotator.refusal(direction) {
                self.page.refused(refusal, super::hint(refusal))?;
                return Ok(ExitCode::FAILURE);
            }
        }
        let (up, down) = (self.page.total(Direction::Up), self.page.total(Direction::Down));
        let why = match end {
            End::Server => "",
            End::Enough(option) => match option {
                "--messages" => "; enough messages",
                _ => "; enough seconds",
            },
            End::Interrupt => "; interrupted",
        };
        self.page.accepted(&format!("{up} bytes sent, {down} received{why}"))?;
        Ok(if end == End::Interrupt { ExitCode::from(130) } else { ExitCode::SUCCESS })
    }
}

fn machine_switches(head: &tidewire_http1::ResponseHead<'_>) -> bool {
    head.status() == 101
}

/// Random bytes from the system: masking keys must not be guessed.
fn random<const N: usize>() -> Result<[u8; N], Box<dyn Error>> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(bytes)
}

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a server may take to answer a close.
const GOODBYE: Duration = Duration::from_secs(2);
