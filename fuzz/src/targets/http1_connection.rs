//! Any bytes as a connection, seen from the server and from the client: no panic, the same however they are cut.

use super::http1_subject::{ClientSubject, ServerSubject};
use tidewire_http1::Limits;
use tidewire_testkit::split;

pub fn run(data: &[u8]) {
    split::quick(|| ServerSubject::new(Limits::default()), data);
    split::quick(|| ServerSubject::switching(Limits::default()), data);
    split::quick(|| ClientSubject::new(Limits::default(), "GET", false, true), data);
    split::quick(|| ClientSubject::new(Limits::default(), "HEAD", true, true), data);
}
