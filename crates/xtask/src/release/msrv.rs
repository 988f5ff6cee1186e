//! The compiler of each `rust-version`. It compiles all features but those of
//! [`newer`](super::newer). Clippy and the rule of syntax hold their own code to the same version.
//!
//! Dependencies get the newest versions that allow this compiler, as for a user who has it.

use cargo_metadata::Package;
use std::collections::BTreeMap;
use tidewire_testkit::run::{Result, run as start};

use super::compilers::Compiler;
use super::newer::{all_but_newer, newer_features};
use super::unpacked::{Unpacked, Without};

pub(super) fn run() -> Result {
    let unpacked = Unpacked::new("msrv", Without::Tests)?;
    start(&mut unpacked.cargo(&["generate-lockfile"]))?;
    for (version, packages) in by_version(&unpacked.packages) {
        let names: Vec<_> = packages.iter().map(|package| named(package)).collect();
        let Some(compiler) = Compiler::find(&version)? else {
            println!(
                "holds: only clippy and the rule of syntax speak for {}, because Rust {version} is not \
                 installed; to prove it: rustup toolchain install {version} --profile minimal",
                names.join(", ")
            );
            continue;
        };
        for package in packages {
            for features in [vec![], vec!["--no-default-features".to_owned()], all_but_newer(package)] {
                let mut check = unpacked.cargo(&["check", "--quiet", "--locked", "--package", &package.name]);
                compiler.select(check.args(features));
                start(&mut check)?;
            }
        }
        println!("holds: Rust {} compiles {}", compiler.version, names.join(", "));
    }
    Ok(())
}

/// The name of a package, with the features that are left out.
fn named(package: &Package) -> String {
    match newer_features(&package.name) {
        [] => package.name.to_string(),
        features => format!("{} (without {})", package.name, features.join(", ")),
    }
}

fn by_version(packages: &[Package]) -> BTreeMap<String, Vec<&Package>> {
    let mut versions: BTreeMap<String, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        let version = package.rust_version.as_ref();
        let version =
            version.map_or_else(String::new, |version| format!("{}.{}", version.major, version.minor));
        versions.entry(version).or_default().push(package);
    }
    versions
}
