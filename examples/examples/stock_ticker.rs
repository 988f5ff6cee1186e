//! A stock ticker. Run `cargo run -p tidewire-examples --example stock_ticker -- 127.0.0.1:8080`,
//! then open <http://127.0.0.1:8080/>.
//!
//! Only the latest price matters. So each symbol is a channel that **keeps one message**. A new
//! reader gets the latest price at once. A slow reader gets the latest price and a *gap* that says
//! how many prices it missed. There are no queues. All symbols come over one connection:
//!
//! ```text
//! curl -N 'http://127.0.0.1:8080/c/TIDE,WIRE?feed=stream&since=earliest'
//! # the current price
//! curl 'http://127.0.0.1:8080/c/TIDE'
//! ```
//! A thread invents the prices: each symbol makes a random step forty times a second.

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidewire::{ChannelName, Hub, HubConfig, Message, Retention};

/// The symbols, and their first prices in cents. The page has the same list.
const SYMBOLS: [(&str, i64); 6] =
    [("TIDE", 12_000), ("WIRE", 4_550), ("SURF", 30_125), ("REEF", 980), ("KELP", 7_340), ("MOON", 21_990)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = HubConfig::default();
    config.retention = Retention::DEFAULT.with_max_messages(1).with_max_bytes(1 << 10).with_max_age_ms(None);
    let mut market = Vec::new();
    for (symbol, cents) in SYMBOLS {
        market.push((ChannelName::new(symbol)?, cents));
    }
    let start = |hub: Arc<Hub>| drop(thread::spawn(move || trade(&hub, market)));
    tidewire_examples::serve("stock_ticker", include_str!("../pages/stock_ticker.html"), config, start)
}

fn trade(hub: &Hub, mut market: Vec<(ChannelName, i64)>) {
    let mut chance = 0x5eed_u64;
    loop {
        for (channel, cents) in &mut market {
            // xorshift: good enough for invented prices.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            // At most 0.1 % up or down, and never below one dollar.
            let step = (*cents / 1000).max(1);
            *cents = (*cents + (chance % (2 * step as u64 + 1)) as i64 - step).max(100);
            let price = format!("{{\"cents\":{cents}}}");
            if let Err(error) = hub.publish(channel, Message::new(price.into(), hub.wall_ms()), None) {
                eprintln!("a price is not published: {error}");
            }
        }
        thread::sleep(Duration::from_millis(25));
    }
}
