//! Any bytes as a request head: what we accept httparse accepts, with the same meaning; each difference is a listed one.

use super::http1_oracle::check;

pub fn run(data: &[u8]) {
    check(data);
}
