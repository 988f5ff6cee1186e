//! The table, and its place in docs/benchmarks.md.

use super::peer::Peer;
use super::{Args, Cell, Results};
use crate::bench::report::{machine, median, replace};
use crate::run::Result;
use std::fmt::Write as _;

/// Prints the table; a whole run is written down as well.
pub(crate) fn write(results: &Results, cells: &[Cell], rounds: usize, args: &Args) -> Result {
    let short = args.quick || args.only.is_some();
    let command = if args.quick { "bench-ws --quick" } else { "bench-ws" };
    let table = format!("{}{}", machine(command, rounds), table(results, cells));
    println!("\r\x1b[K\n{table}");
    if short { Ok(()) } else { replace("bench-ws", &table) }
}

fn table(results: &Results, cells: &[Cell]) -> String {
    let mut out = String::from("\n| depth | connections | bytes |");
    Peer::ALL.iter().for_each(|peer| out.push_str(&format!(" {} |", peer.name())));
    out.push_str(" tidewire / best peer | ws_echo / best peer | best naive / tidewire | best naive / ws_echo |\n|---:|---:|---:|");
    out.push_str(&"---:|".repeat(Peer::ALL.len() + 4));
    out.push('\n');
    for cell in cells {
        let _ = write!(out, "| {} | {} | {} |", cell.depth, cell.connections, cell.size);
        for peer in Peer::ALL {
            let _ = write!(out, " {} |", spread(results, *cell, peer));
        }
        let of = |peer| middle(results, *cell, peer);
        let best = |peers: &[Peer]| peers.iter().filter_map(|peer| of(*peer)).fold(f64::INFINITY, f64::min);
        let (peers, naive) = (best(&Peer::ALL[2..]), best(&Peer::NAIVE));
        let (ours, example) = (of(Peer::Tidewire).unwrap_or(f64::NAN), of(Peer::Example).unwrap_or(f64::NAN));
        for ratio in [ours / peers, example / peers, naive / ours, naive / example] {
            let _ = write!(out, " **{ratio:.2}** |");
        }
        out.push('\n');
    }
    out
}

/// `median (least - most)`, or only the median where there is one figure.
fn spread(results: &Results, cell: Cell, peer: Peer) -> String {
    let Some(values) = results.get(&(cell, peer)) else { return "-".into() };
    let middle = middle(results, cell, peer).unwrap_or(f64::NAN);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if values.len() == 1 { format!("{middle:.2}") } else { format!("{middle:.2} ({least:.2} - {most:.2})") }
}

fn middle(results: &Results, cell: Cell, peer: Peer) -> Option<f64> {
    let mut values = results.get(&(cell, peer))?.clone();
    values.sort_by(f64::total_cmp);
    Some(median(&values))
}
