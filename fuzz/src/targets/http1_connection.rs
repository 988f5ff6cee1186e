//! Any bytes as the input of a server and of a client: no panic, and the result does not depend on
//! how the bytes are cut.

use super::http1_subject::{ClientSubject, ServerSubject};
use tidewire_http1::Limits;
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    split::quick(|| ServerSubject::new(Limits::default()), data);
    split::quick(|| ServerSubject::switching(Limits::default()), data);
    split::quick(|| ClientSubject::new(Limits::default(), "GET", false, u32::MAX), data);
    split::quick(|| ClientSubject::new(Limits::default(), "HEAD", true, u32::MAX), data);
}
