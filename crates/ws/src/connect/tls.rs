//! TLS with rustls and its provider ring.
//!
//! The default roots are those of Mozilla, compiled in (`webpki-roots`). So a program verifies the
//! same certificates on every machine, also in a container without a certificate store, and reads
//! no file. For the roots of a company, pass your own configuration.

use super::error::Error;
use super::stream::{Inner, Stream};
use super::target::Target;
use ::tokio::net::TcpStream;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use std::io;
use std::sync::OnceLock;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) async fn wrap(
    tcp: TcpStream,
    target: &Target,
    config: Option<&Arc<ClientConfig>>,
) -> Result<Stream, Error> {
    let failed = |source| Error::Tls { host: target.host.clone(), source };
    // A certificate names the host without the dot of the root.
    let name = target.host.strip_suffix('.').unwrap_or(&target.host);
    let name = ServerName::try_from(name)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?
        .to_owned();
    let connector = TlsConnector::from(config.cloned().unwrap_or_else(default_config));
    let tls = connector.connect(name, tcp).await.map_err(failed)?;
    Ok(Stream(Inner::Tls(Box::new(tls))))
}

/// The configuration with the one protocol that a WebSocket handshake can use. A server that offers
/// HTTP/2 would otherwise choose it.
pub(super) fn only_http1(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn default_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        only_http1(&Arc::new(config))
    };
    CONFIG.get_or_init(make).clone()
}
