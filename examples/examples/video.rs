//! Video that plays while it uploads.
//!
//! ```text
//! cargo run -p tidewire-examples --example video -- 127.0.0.1:8080
//! ```
//! Then open <http://127.0.0.1:8080/> in two windows and choose a film in one of them (WebM, or an
//! MP4 made for streaming, with its index at the start).
//!
//! The page ([`pages/video.html`](../pages/video.html)) sends the file with one PUT. Every viewer's
//! `<video>` reads the same channel as raw bytes, from the first piece on, while the rest is still
//! being uploaded. Nothing is written to a disk. The upload waits for the slowest viewer, so that
//! no viewer loses bytes. A second channel, `stage`, tells the pages which film is playing. You can
//! also upload from a terminal:
//!
//! ```text
//! curl -T film.webm -H 'Content-Type: video/webm' http://127.0.0.1:8080/c/film
//! curl -d 'a film from a terminal' http://127.0.0.1:8080/c/stage
//! ```

use std::error::Error;

use tidewire::{HubConfig, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // A late viewer can start at the beginning while it is in the last 64 MiB.
    config.retention =
        Retention::DEFAULT.with_max_messages(100_000).with_max_bytes(64 << 20).with_max_age_ms(None);
    tidewire_examples::serve("video", include_str!("../pages/video.html"), config, |_| {})
}
