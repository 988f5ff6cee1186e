//! What the examples share.
//!
//! For the uses: [`serve`], a page in front of a Tidewire server.
//!
//! For the five techniques `01_…` to `05_…`: [`read_cut_and_resume`], which starts a server,
//! publishes and has a reader read; and [`Wire`], a plain TCP client that shows its bytes. Lines
//! with `>` go to the server, lines with `<` come from it, and `·` marks a remark. Nothing else is
//! hidden in here: an HTTP message is lines of text, an empty line, and a body of a known length or
//! in chunks.

mod page;
mod resume;
mod wire;

pub use page::serve;
pub use resume::{OnWaiting, read_cut_and_resume};
pub use wire::{Head, Wire, remark, show_bytes};
