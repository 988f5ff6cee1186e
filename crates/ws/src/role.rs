/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads masked frames and sends unmasked ones.
    Server,
    /// Reads unmasked frames and masks what it sends.
    Client,
}

impl Role {
    /// The other end's role.
    #[cfg(feature = "deflate")]
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}
