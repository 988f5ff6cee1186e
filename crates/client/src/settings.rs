//! Settings that all requests of a client share.

use std::time::Duration;

use tidewire_http1::{EncodeError, EncodeErrorKind, FieldBlock};

use crate::Error;
use crate::url::Url;

/// The address of the server, and the settings of requests.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) url: Url,
    /// The fields of every request.
    pub(crate) fields: FieldBlock,
    /// The fields that the caller has added.
    caller_fields: Vec<(String, String)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) max_message: usize,
}

impl Settings {
    pub(crate) fn new(url: Url) -> Result<Self, Error> {
        Ok(Self {
            url,
            fields: request_fields(&[])?,
            caller_fields: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            attempts: 5,
            max_message: 16 << 20,
        })
    }

    /// Adds a field of the caller to every request.
    pub(crate) fn add_field(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if RESERVED_FIELDS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(Error::field(name)(EncodeError::new(EncodeErrorKind::ReservedField, 0)));
        }
        self.caller_fields.push((name.to_owned(), value.to_owned()));
        self.fields = request_fields(&self.caller_fields)?;
        Ok(())
    }
}

/// Fields that the client sets itself.
const RESERVED_FIELDS: [&str; 4] = ["connection", "upgrade", "accept", "accept-encoding"];

fn request_fields(caller_fields: &[(String, String)]) -> Result<FieldBlock, Error> {
    let agent = ("User-Agent", concat!("tidewire-client/", env!("CARGO_PKG_VERSION")));
    let has_agent = caller_fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(agent.0));
    // A proxy that compresses holds bytes back, and this client does not decompress.
    let mut all = vec![("Accept-Encoding", "identity")];
    all.extend((!has_agent).then_some(agent));
    all.extend(caller_fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut fields = FieldBlock::new();
    for (name, value) in all {
        fields.push(name, value).map_err(Error::field(name))?;
    }
    Ok(fields)
}
