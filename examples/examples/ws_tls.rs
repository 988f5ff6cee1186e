//! `wss://`: an echo server on tokio-rustls, with a certificate that is made at the start, and a
//! client that trusts it.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_tls
//! ```

use std::error::Error;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tidewire_ws::connect::Connect;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let port = serve(&cert, PrivateKeyDer::try_from(signing_key.serialize_der())?).await?;

    // A server with a certificate of a public authority needs none of this.
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();

    let url = format!("wss://localhost:{port}/");
    let (mut socket, response) = Connect::new(&url).with_tls(&Arc::new(config)).open().await?;
    println!("status {}", response.status());
    socket.send("hello".into()).await?;
    println!("{:?}", socket.next().await.transpose()?);
    socket.close(Some(1000), "").await?;

    // The certificate is not signed by an authority that every client knows.
    if let Err(error) = Connect::new(&url).open().await {
        println!(
            "without the root: {error}: {}",
            error.source().map(ToString::to_string).unwrap_or_default()
        );
    }
    Ok(())
}

/// Starts the server. Returns its port.
async fn serve(cert: &rcgen::Certificate, key: PrivateKeyDer<'static>) -> Result<u16, Box<dyn Error>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            let Ok(mut socket) = tokio_tungstenite::accept_async(tls).await else { continue };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    });
    Ok(port)
}
