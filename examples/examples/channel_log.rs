//! `tidewire-channel` alone: one log, two readers, and a gap.
//!
//! Run `cargo run -p tidewire-examples --example channel_log`. A quick and a slow reader read a log
//! that keeps three messages. The server has no queue for a reader: each reader keeps its own
//! cursor. The slow reader is told how many messages it lost.

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Log, Retention, Since};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retention = Retention::DEFAULT.with_max_messages(3);
    // A server draws the epoch at random, so that a cursor of an old log does not fit a new one.
    let mut log = Log::new(Epoch::new(2026), retention);
    let (mut quick, mut slow) = (Since::Earliest, Since::Earliest);

    // The time and the size are arguments. A log has no clock.
    for (number, tide) in ["ebb", "slack", "flood", "high", "ebb again"].into_iter().enumerate() {
        let cursor = log.append(number as u64 * 1_000, tide.len(), tide)?;
        println!("append {tide:?}: the position after it is {cursor}");
        quick = Since::After(read("quick", &log, quick, Budget::UNLIMITED));
        if number == 0 {
            slow = Since::After(read("slow", &log, slow, Budget::UNLIMITED));
        }
    }

    println!("\nThe slow reader comes back. Only three messages are kept:");
    let cursor = read("slow", &log, slow, Budget::messages(2));
    println!("It asked for two at most. Its cursor as text, to be sent and parsed again: {cursor}");
    read("slow", &log, Since::After(cursor.to_string().parse()?), Budget::UNLIMITED);

    println!("\nThe server restarts with a new log. It recognises that the old cursor is from another log:");
    let mut log = Log::new(Epoch::new(2027), retention);
    log.append(0, 4, "calm")?;
    read("slow", &log, Since::After(cursor), Budget::UNLIMITED);
    Ok(())
}

/// Reads, prints how the messages continue what the reader has, and returns where to continue.
fn read(reader: &str, log: &Log<&str>, since: Since, budget: Budget) -> Cursor {
    let read = log.read(since, budget);
    match read.continuity() {
        Continuity::Fresh => println!("  {reader}: starts at the beginning"),
        Continuity::Resumed => println!("  {reader}: continues"),
        Continuity::Gap { from, to, missed } => {
            println!("  {reader}: {missed} lost between {from} and {to}");
        }
        Continuity::Reset { reason, to } => {
            println!("  {reader}: starts again after {to} ({})", reason.as_str());
        }
    }
    for entry in &read {
        println!("  {reader}: {} {:?}", entry.cursor, entry.value);
    }
    read.cursor()
}
