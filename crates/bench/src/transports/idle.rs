//! The server's cost of a waiting connection.

use super::server::Server;
use super::technique::Technique;
use std::time::Duration;

/// The number of connections of each technique.
pub(super) const CONNECTIONS: usize = 2_000;

/// Returns the bytes of the server's memory for each waiting connection, without the kernel's
/// buffers.
pub(super) fn cost(technique: &Technique) -> std::io::Result<f64> {
    let server = Server::start()?;
    // A raw reader gets its head with the first message. Workers have started once they have
    // answered.
    let since = server.publish("x")?;
    let warm: Vec<_> =
        (0..16).map(|_| technique.open(&server.address, &since)).collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(300));
    let before = server.memory()?;
    let open: Vec<_> =
        (0..CONNECTIONS).map(|_| technique.open(&server.address, &since)).collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(700));
    let after = server.memory()?;
    drop((warm, open));
    Ok(after.saturating_sub(before) as f64 / CONNECTIONS as f64)
}
