//! What these tests begin with.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use tidewire_channel::{Budget, Cursor, Retention, Since};
use tidewire_server::{Listen, Running, Server};
use tidewire_store::suite::FaultyStore;
use tidewire_store::{ChannelName, ChannelSettings, Limits, MemoryStore, Message, Retain, Store};

use crate::channel::Channel;
use crate::channel_state::{Page, Published};
use crate::config::{HubConfig, Patterns};
use crate::error::HubError;
use crate::hub::Hub;
use crate::publication::Publication;
use crate::settings::Settings;
use crate::site::Site;

/// The longest wait for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type Faulty = Arc<FaultyStore<MemoryStore>>;

pub(super) const UNKNOWN: HubError = HubError::Store { unknown: true };

pub(super) fn faulty() -> Faulty {
    Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT)))
}

pub(super) fn release(store: &FaultyStore<MemoryStore>, number: usize) {
    assert!(store.release(number));
}

pub(super) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

/// A hub with one worker over this store.
pub(super) fn hub(store: &Faulty) -> Arc<Hub> {
    Hub::with_store(HubConfig::default(), 1, store.clone())
}

/// The same, whose channels keep everything and have the last two messages in memory.
pub(super) fn hub_with_short_windows(store: &Arc<impl Store>) -> Arc<Hub> {
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let window = Retention::DEFAULT.with_max_messages(2);
    let patterns = Patterns::new(move |_| Some(settings.clone()));
    Hub::with_store(HubConfig::DEFAULT.with_window(window).with_patterns(patterns), 1, store.clone())
}

pub(super) fn message(text: impl Into<String>) -> Message {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Message::new(text.into().into(), now.as_millis() as u64)
}

pub(super) fn publication(text: &str, key: Option<&[u8]>) -> Publication {
    Publication::new(name("a"), message(text), key)
}

pub(super) fn poll(hub: &Hub, publication: &mut Publication) -> Poll<Result<Published, HubError>> {
    hub.poll_publish(&mut Context::from_waker(Waker::noop()), publication)
}

pub(super) fn publish(hub: &Hub, text: &str) -> Cursor {
    hub.publish(&name("a"), message(text), None).unwrap().cursor
}

pub(super) fn publish_many(hub: &Hub, texts: impl Iterator<Item = String>) {
    texts.for_each(|text| assert!(publish(hub, &text).seq() > 0));
}

pub(super) fn all(channel: &Channel) -> Page {
    channel.read(Since::Earliest, Budget::UNLIMITED)
}

pub(super) fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|(_, message)| message.event().or(message.text()).unwrap()).collect()
}

/// Notes that it was woken.
#[derive(Default)]
pub(super) struct Bell(pub(super) AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether worker 0 was told of news.
pub(super) fn is_told(hub: &Hub) -> bool {
    let mut news = Vec::new();
    hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready()
}

/// Serves a hub with one worker.
pub(super) fn serve(hub: &Arc<Hub>) -> (Running, SocketAddr) {
    serve_with(hub, Settings::default())
}

/// The same with these settings.
pub(super) fn serve_with(hub: &Arc<Hub>, settings: Settings) -> (Running, SocketAddr) {
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = Server::builder().listen(listen).threads(1).bind().unwrap();
    let (hub, settings) = (hub.clone(), Arc::new(settings));
    let running = server.serve(move |worker| Site::new(hub.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string().trim_start_matches("http://").parse().unwrap();
    (running, address)
}

/// Connects and sends a request.
pub(super) fn ask(address: SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

pub(super) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

pub(super) fn post(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
}

/// A WebSocket, with JSON messages if it `is_v1`.
pub(super) fn websocket(target: &str, is_v1: bool) -> String {
    let protocol = if is_v1 { "Sec-WebSocket-Protocol: tidewire.v1\r\n" } else { "" };
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    )
}

pub(super) fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let (mut all, since) = (Vec::new(), Instant::now());
    while !all.windows(text.len()).any(|part| part == text.as_bytes()) {
        // Heartbeats must not keep this wait alive.
        assert!(since.elapsed() < PATIENCE, "no {text:?} in {}", String::from_utf8_lossy(&all));
        let mut bytes = [0; 4096];
        let n = socket.read(&mut bytes).unwrap();
        assert!(n > 0, "no {text:?} in {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&bytes[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}
