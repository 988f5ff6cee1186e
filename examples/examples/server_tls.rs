//! `https://`: an axum router on `tidewire-server`, with the TLS of tokio-rustls in front.
//!
//! ```sh
//! cargo run -p tidewire-examples --example server_tls
//! ```
//!
//! The program accepts and shakes hands itself, and gives each stream to the server. It makes a
//! certificate at the start, sends one request as a client, and stops.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tidewire_server::{ConnectionSender, Peer, Server, ServiceHandler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The server has no deadline before it gets a stream, so the handshake needs its own.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

async fn hello(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("hello {} over TLS\n", peer.ip())
}

/// Accepts until the server has stopped.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connections: ConnectionSender,
) -> std::io::Result<()> {
    loop {
        let (socket, peer) = listener.accept().await?;
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        // A client that is slow in its handshake holds up nobody.
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await
                && let Err(error) = connections.send(stream, Peer::Tcp(peer))
            {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(signing_key.serialize_der())?)?;

    let service = ServiceHandler::new(Router::new().route("/", get(hello)))
        .with_extension(|peer| peer.address().map(ConnectInfo));
    let running = Server::builder().without_listener().serve(move |_worker| service.clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let accepting = tokio::spawn(accept(listener, Arc::new(config).into(), running.connection_sender()));

    print!("{}", request(address, cert.der()).await?);

    accepting.abort(); // no new connections; the open ones finish
    running.stopper().stop();
    running.ended().await?;
    println!("stopped");
    Ok(())
}

/// What any client does: trusts the certificate, and asks.
async fn request(address: SocketAddr, cert: &CertificateDer<'static>) -> Result<String, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, socket).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
