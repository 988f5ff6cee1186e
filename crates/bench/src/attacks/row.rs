//! An attack: its name, what it needs, and what it does.

use std::any::Any;
use std::io::Result;
use std::time::Duration;

use super::server::Server;

/// An attack: how it is prepared, which the probe does not see, and what it then does.
pub(super) struct Row {
    /// Words, of which some choose it.
    pub(super) name: String,
    /// Options of the server.
    pub(super) options: &'static [&'static str],
    pub(super) prepare: Prepare,
}

/// Opens connections and publishes what the attack needs.
pub(super) type Prepare = Box<dyn Fn(&mut Scene<'_>) -> Result<Attack>>;

/// What an attack does when everything is prepared. It may come back when its bytes are out: the
/// probe goes on until the server has come to rest.
pub(super) type Attack = Box<dyn FnOnce(&mut Scene<'_>) -> Result<Outcome>>;

/// Where an attack takes place.
pub(super) struct Scene<'a> {
    pub(super) server: &'a Server,
    pub(super) connections: usize,
    pub(super) time: Duration,
    /// Connections, and those that read them, until the figures are taken.
    pub(super) held: Vec<Box<dyn Any>>,
}

/// What became of the readers that count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) lost: usize,
    pub(super) expected: usize,
}

impl Row {
    pub(super) fn new(
        name: impl Into<String>,
        options: &'static [&'static str],
        prepare: impl Fn(&mut Scene<'_>) -> Result<Attack> + 'static,
    ) -> Self {
        Row { name: name.into(), options, prepare: Box::new(prepare) }
    }
}
