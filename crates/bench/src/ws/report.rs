//! Writes the table into docs/benchmarks.md.

use super::cell::{Cell, Results};
use super::peer::Peer;
use crate::document::{median, replace_benchmarks, spread};
use std::fmt::Write as _;
use tidewire_testkit::run::Result;

/// Prints the table. Writes it into the document if the run is complete.
pub(super) fn write(results: &Results, cells: &[Cell], machine: &str, whole: bool) -> Result {
    let table = format!("{machine}{}", table(results, cells));
    println!("\r\x1b[K\n{table}");
    if whole { replace_benchmarks("bench-ws", &table) } else { Ok(()) }
}

fn table(results: &Results, cells: &[Cell]) -> String {
    let mut out = String::from("\n| depth | connections | bytes |");
    Peer::ALL.iter().for_each(|peer| out.push_str(&format!(" {} |", peer.name())));
    out.push_str(
        " tidewire / best peer | ws_echo / best peer | best naive / tidewire | best naive / ws_echo |\n\
         |---:|---:|---:|",
    );
    out.push_str(&"---:|".repeat(Peer::ALL.len() + 4));
    out.push('\n');
    for cell in cells {
        let _ = write!(out, "| {} | {} | {} |", cell.depth, cell.connections, cell.size);
        for peer in Peer::ALL {
            let _ = write!(out, " {} |", spread(&sorted(results, *cell, peer), 2));
        }
        let of = |peer| {
            let values = sorted(results, *cell, peer);
            (!values.is_empty()).then(|| median(&values))
        };
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

fn sorted(results: &Results, cell: Cell, peer: Peer) -> Vec<f64> {
    let mut values = results.get(&(cell, peer)).cloned().unwrap_or_default();
    values.sort_by(f64::total_cmp);
    values
}
