//! Notifications. Run `cargo run -p tidewire-examples --example notifications -- 127.0.0.1:8080`,
//! then open <http://127.0.0.1:8080/>.
//!
//! Three channels on one `EventSource`, with one cursor for all of them. The page
//! ([`pages/notifications.html`](../pages/notifications.html)) keeps that cursor in the browser's
//! storage. Close the page, publish, and open it again: it shows the messages that it missed, or
//! how many of them are lost. A thread plays a build server. Anything that can send a POST can
//! publish:
//!
//! ```text
//! curl -d 'The printer is on fire' http://127.0.0.1:8080/c/news
//! ```

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidewire::{ChannelName, Hub, HubConfig, Message, Retention};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    // What a page can catch up with after it was closed for a long time.
    let day_ms = 24 * 60 * 60 * 1000;
    config.retention =
        Retention::DEFAULT.with_max_messages(100).with_max_bytes(1 << 20).with_max_age_ms(Some(day_ms));
    let builds = ChannelName::new("builds")?;
    let start = |hub: Arc<Hub>| drop(thread::spawn(move || build(&hub, &builds)));
    tidewire_examples::serve("notifications", include_str!("../pages/notifications.html"), config, start)
}

/// Finishes a build every fifteen seconds.
fn build(hub: &Hub, channel: &ChannelName) {
    for number in 1u32.. {
        let outcome = if number % 4 == 0 { "failed: 2 of 318 tests" } else { "passed" };
        let message = Message::new(format!("Build {number} {outcome}").into(), hub.wall_ms());
        if let Err(error) = hub.publish(channel, message, None) {
            eprintln!("a build is not published: {error}");
        }
        thread::sleep(Duration::from_secs(15));
    }
}
