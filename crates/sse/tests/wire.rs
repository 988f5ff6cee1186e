//! `docs/wire/sse.md`, every case at every split.

#[allow(unreachable_pub)] // the fuzz targets include this file
mod subject;

use subject::Sse;
use tidewire_sse::Limits;
use tidewire_testkit::vectors::{self, Vector};

#[test]
fn every_case_of_the_wire_document() {
    let cases = vectors::run("sse", |case| Sse::new(limits(case)));
    assert!(cases >= 90, "{cases} cases");
}

fn limits(case: &Vector) -> Limits {
    let mut limits = Limits::default();
    if let Some(bytes) = case.number_option("max_data") {
        limits = limits.with_max_data(bytes.try_into().expect("fits"));
    }
    if let Some(bytes) = case.number_option("max_name") {
        limits = limits.with_max_name(bytes.try_into().expect("fits"));
    }
    limits
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-sse", &[&Limits::DEFAULT], &[]);
}
