//! `wss`, with a certificate that is made for the test.

use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use tidewire_ws::Message;
use tidewire_ws::connect::{Connect, Error};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The configurations of a server for `localhost`, and of a client that trusts it.
pub(crate) fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    (Arc::new(server), Arc::new(client))
}

/// The configuration for a stream of the caller.
#[cfg(feature = "blocking")]
pub(crate) fn only_http1(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// An echo server, and the configuration of a client that trusts it.
pub(crate) async fn server() -> (u16, Arc<ClientConfig>) {
    let (config, client) = configs();
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut server = tokio_tungstenite::accept_async(tls).await.unwrap();
            while let Some(Ok(message)) = server.next().await {
                if message.is_text() || message.is_binary() {
                    server.send(message).await.unwrap();
                }
            }
        }
    });
    (port, client)
}

#[tokio::test]
async fn a_client_speaks_tls() {
    let (port, config) = server().await;
    let connect = Connect::new(&format!("wss://localhost:{port}/")).with_tls(&config);
    let (mut socket, _) = connect.open().await.unwrap();
    let message = Message::Binary(vec![7; 100_000].into());
    socket.send(message.clone()).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap() == message);
    socket.close(Some(1000), "").await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
}

#[tokio::test]
async fn a_certificate_is_verified() {
    let (port, config) = server().await;
    // Another name, and roots that do not know the certificate.
    let other_name = Connect::new(&format!("wss://127.0.0.1:{port}/")).with_tls(&config);
    let default_roots = Connect::new(&format!("wss://localhost:{port}/"));
    for connect in [other_name, default_roots] {
        let error = connect.open().await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("certificate"), "{error:?}");
    }
}
