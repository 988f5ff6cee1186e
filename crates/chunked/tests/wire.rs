//! `docs/wire/chunked.md`, every case at every split.

#[allow(unreachable_pub)] // the fuzz targets include this file
mod subject;

use subject::Chunked;
use tidewire_chunked::Limits;
use tidewire_testkit::vectors::{self, Vector};

#[test]
fn every_case_of_the_wire_document() {
    let cases = vectors::run("chunked", |case| Chunked::new(limits(case)));
    assert!(cases >= 90, "{cases} cases");
}

fn limits(case: &Vector) -> Limits {
    let mut limits = Limits::default();
    if let Some(bytes) = case.number_option("max_body") {
        limits = limits.with_max_body(bytes);
    }
    if let Some(bytes) = case.number_option("max_overhead") {
        limits = limits.with_max_overhead(bytes.try_into().expect("fits"));
    }
    if let Some(fields) = case.number_option("max_trailers") {
        limits = limits.with_max_trailers(fields.try_into().expect("fits"));
    }
    limits
}

/// Each section that has accepted inputs has three or more that are nearly the same and refused.
#[test]
fn every_good_case_has_its_broken_relatives() {
    vectors::check_relatives("chunked", 3);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-chunked", &[&Limits::DEFAULT], &[]);
}
