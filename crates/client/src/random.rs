//! Random bytes of the system.

use crate::Error;

/// Bytes that nobody can guess: masking keys, nonces, idempotency keys.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}
