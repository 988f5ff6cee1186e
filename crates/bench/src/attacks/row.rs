//! An attack: its name, what it needs, and what it does.

use std::any::Any;
use std::io::Result;
use std::time::Duration;

use super::server::Server;

/// An attack: its preparation, before the probe starts, and what it does then.
pub(super) struct Row {
    /// The name: words that can select the attack.
    pub(super) name: String,
    /// Options of the server.
    pub(super) options: &'static [&'static str],
    pub(super) prepare: Prepare,
}

/// Opens connections and publishes what the attack needs.
pub(super) type Prepare = Box<dyn Fn(&mut Setup<'_>) -> Result<Attack>>;

/// What an attack does after the preparation. It may return when its bytes are sent. The probe
/// continues until the server is idle.
pub(super) type Attack = Box<dyn FnOnce(&mut Setup<'_>) -> Result<Outcome>>;

/// The server and the clients of an attack.
pub(super) struct Setup<'a> {
    pub(super) server: &'a Server,
    pub(super) connections: usize,
    pub(super) time: Duration,
    /// Connections and their readers, kept until the figures are taken.
    pub(super) held: Vec<Box<dyn Any>>,
}

/// The results of the readers that count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) lost: usize,
    pub(super) expected: usize,
}

impl Row {
    pub(super) fn new(
        name: impl Into<String>,
        options: &'static [&'static str],
        prepare: impl Fn(&mut Setup<'_>) -> Result<Attack> + 'static,
    ) -> Self {
        Row { name: name.into(), options, prepare: Box::new(prepare) }
    }
}
