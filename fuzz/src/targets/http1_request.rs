//! Any bytes as a request head: httparse accepts what this crate accepts, with the same meaning.
//! All differences are listed.

use super::http1_oracle::check;

pub fn run(data: &[u8]) {
    check(data);
}
