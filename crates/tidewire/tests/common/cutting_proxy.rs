//! A proxy that cuts connections after a random number of bytes from the server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::Rng;

/// The proxy. It ends with the runtime of the test.
pub struct CuttingProxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    server: Arc<Mutex<String>>,
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// The number of bytes from the server that pass before the cut.
    after: u64,
    /// The longest time before the cut.
    within: Duration,
    /// Whether to cut with a reset, which discards bytes in flight, instead of a normal end.
    reset: bool,
}

impl Cut {
    /// Most connections are cut early, in the head or the first messages. A few live until their
    /// time is over, so that a client that needs a long answer can make progress too.
    fn draw(rng: &mut Rng) -> Self {
        let after = match rng.below(10) {
            0 => rng.below(300),
            1..=6 => rng.below(2_000),
            7 | 8 => rng.below(10_000),
            _ => usize::MAX,
        };
        let within = Duration::from_millis(50 + rng.below(250) as u64);
        Cut { after: after as u64, within, reset: rng.chance(30) }
    }
}

impl CuttingProxy {
    /// Starts a proxy in front of `server`.
    pub async fn start(server: &str, rng: Rng) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Arc::new(Mutex::new(server.to_owned()));
        let present = server.clone();
        let rng = Arc::new(Mutex::new(rng));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = Cut::draw(&mut rng.lock().unwrap());
                let server = present.lock().unwrap().clone();
                tokio::spawn(async move {
                    // A failure on either side is a cut too.
                    let _ = pass(client, &server, cut).await;
                });
            }
        });
        CuttingProxy { address, server }
    }

    /// Leads new connections to another server.
    pub fn lead_to(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap());
    }
}

async fn pass(mut client: TcpStream, server: &str, cut: Cut) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    {
        let (mut from_client, mut to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let mut from_server = from_server.take(cut.after);
        tokio::select! {
            sent = copy(&mut from_server, &mut to_client) => { sent?; }
            sent = copy(&mut from_client, &mut to_server) => { sent?; }
            () = tokio::time::sleep(cut.within) => {}
        }
    }
    if cut.reset {
        client.set_zero_linger()?;
    } else {
        client.shutdown().await?;
    }
    Ok(())
}
