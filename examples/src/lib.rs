//! Code that several examples share.
//!
//! For the use cases: [`serve`], a Tidewire server with a page.
//!
//! For the five techniques `01_…` to `05_…`: [`read_cut_and_resume`], which starts a server,
//! publishes and calls a reader; and [`Wire`], a plain TCP client that prints its bytes. Lines with
//! `>` go to the server, lines with `<` come from it, and `·` marks a remark. `Wire` only needs to
//! know that an HTTP message is lines of text, an empty line, and a body of a known length or in
//! chunks.

mod page;
mod resume;
mod wire;

pub use page::serve;
pub use resume::{OnWaiting, read_cut_and_resume};
pub use wire::{Head, Wire, remark, show_bytes, show_text};
