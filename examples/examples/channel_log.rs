//! `tidewire-channel` alone: one log, two readers, and a gap.
//!
//! Run `cargo run -p tidewire-examples --example channel_log`. A log of three messages is read by a reader that keeps up and by one that
//! does not. Neither has a queue: a reader is a cursor that it keeps itself, and what it has lost is told, with a number.

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Log, Retention, Since};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retention = Retention::DEFAULT.with_max_messages(3);
    // Drawn at random in a server: a cursor of a log that is no more must not fit the next one.
    let mut log = Log::new(Epoch::new(2026), retention);
    let (mut quick, mut slow) = (Since::Earliest, Since::Earliest);

    // Time is an argument, and so is the size. There is no clock in a log.
    for (number, tide) in ["ebb", "slack", "flood", "high", "ebb again"].into_iter().enumerate() {
        let cursor = log.append(number as u64 * 1_000, tide.len(), tide);
        println!("append {tide:?}: the position after it is {cursor}");
        quick = Since::After(read("quick", &log, quick, Budget::UNLIMITED));
        if number == 0 {
            slow = Since::After(read("slow", &log, slow, Budget::UNLIMITED));
        }
    }

    println!("\nThe slow reader comes back. Only three messages are kept:");
    let cursor = read("slow", &log, slow, Budget::messages(2));
    println!("It asked for two at most. The text of its cursor can go anywhere and come back: {cursor}");
    read("slow", &log, Since::After(cursor.to_string().parse()?), Budget::UNLIMITED);

    println!("\nThe server restarts, and a new log begins. The old cursor is not taken for one of it:");
    let mut log = Log::new(Epoch::new(2027), retention);
    log.append(0, 4, "calm");
    read("slow", &log, Since::After(cursor), Budget::UNLIMITED);
    Ok(())
}

/// Reads, says how it continues what the reader has, and returns where to go on.
fn read(reader: &str, log: &Log<&str>, since: Since, budget: Budget) -> Cursor {
    let read = log.read(since, budget);
    match read.continuity() {
        Continuity::Fresh => println!("  {reader}: from the beginning"),
        Continuity::Resumed => println!("  {reader}: goes on"),
        Continuity::Gap { from, to, missed } => {
            println!("  {reader}: lost between {from} and {to}: {missed}");
        }
        Continuity::Reset { reason, to } => {
            println!("  {reader}: starts anew after {to} ({})", reason.as_str());
        }
    }
    for entry in &read {
        println!("  {reader}: {} {:?}", entry.cursor, entry.value);
    }
    read.cursor()
}
