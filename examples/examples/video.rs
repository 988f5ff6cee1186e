//! Video that plays while it uploads: `cargo run -p tidewire-examples --example video -- 127.0.0.1:8080`, then open <http://127.0.0.1:8080/> in two windows
//! and choose a film in one of them (WebM, or an MP4 made for streaming, with its index in front).
//!
//! The page ([`pages/video.html`](../pages/video.html)) sends the file with one PUT; every viewer's `<video>` reads the same channel as raw bytes, from the first
//! piece on, while the rest is still on its way. Nothing is written to a disk, and the upload waits for the slowest viewer, so that
//! none is lost. A small second channel, `stage`, tells the pages what is on. A terminal is a projector, too:
//!
//! ```text
//! curl -T film.webm -H 'Content-Type: video/webm' http://127.0.0.1:8080/c/film
//! curl -d 'a film from a terminal' http://127.0.0.1:8080/c/stage
//! ```

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // Who comes late can begin at the beginning as long as it is among the last 64 MiB.
    config.retention =
        Retention::DEFAULT.with_max_messages(100_000).with_max_bytes(64 << 20).with_max_age_ms(None);
    tidewire_examples::serve("video", include_str!("../pages/video.html"), config, |_| {})
}
