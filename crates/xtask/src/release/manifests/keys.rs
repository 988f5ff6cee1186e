//! What the manifest of a published package must say.

use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};
use std::collections::{BTreeMap, BTreeSet};

use crate::published::published;
use crate::release::newer::{features_with, newer_features};

/// The categories of crates.io that our crates may have. crates.io drops a category that it does
/// not know, with only a warning.
const CATEGORIES: [&str; 14] = [
    "asynchronous",
    "command-line-utilities",
    "data-structures",
    "development-tools::debugging",
    "embedded",
    "encoding",
    "network-programming",
    "no-std",
    "no-std::no-alloc",
    "parser-implementations",
    "web-programming",
    "web-programming::http-client",
    "web-programming::http-server",
    "web-programming::websocket",
];

/// crates.io refuses more keywords or categories, and longer keywords.
const MOST: usize = 5;
const LONGEST: usize = 20;

/// Edition 2024 begins with this compiler.
const OLDEST: (u64, u64) = (1, 85);

/// The oldest compiler of each crate of the workspace, as `(major, minor)`.
pub(super) type RustVersions<'a> = BTreeMap<&'a str, (u64, u64)>;

pub(super) fn rust_versions(metadata: &Metadata) -> RustVersions<'_> {
    let version =
        |package: &Package| package.rust_version.as_ref().map(|version| (version.major, version.minor));
    let packages = metadata.packages.iter();
    packages.filter_map(|package| Some((package.name.as_str(), version(package)?))).collect()
}

pub(super) fn check(package: &Package, versions: &RustVersions<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let keys = [
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("readme", package.readme.is_some()),
        ("repository", package.repository.is_some()),
        ("rust-version", package.rust_version.is_some()),
    ];
    problems.extend(keys.iter().filter(|(_, there)| !there).map(|(key, _)| format!("it has no `{key}`")));
    problems.extend(keywords(&package.keywords));
    problems.extend(categories(package));
    problems.extend(docs_rs(package));
    problems.extend(rust_version(package, versions, newer_features(&package.name)));
    problems.extend(package.dependencies.iter().filter_map(|dependency| ours(dependency, versions)));
    problems
}

/// Packages that have the same keywords: then the keywords say nothing about either.
pub(super) fn same(metadata: &Metadata) -> Vec<String> {
    let mut known = BTreeMap::new();
    let pairs = published(metadata).filter_map(|package| {
        let mut keywords = package.keywords.clone();
        keywords.sort();
        let other = known.insert(keywords, &package.name)?;
        Some(format!("{other} and {} have the same keywords", package.name))
    });
    pairs.collect()
}

fn keywords(keywords: &[String]) -> Vec<String> {
    let fits = |word: &String| {
        word.len() <= LONGEST
            && word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
    };
    let mut problems: Vec<_> = keywords
        .iter()
        .filter(|word| !fits(word))
        .map(|word| format!("crates.io refuses the keyword `{word}`"))
        .collect();
    if !(1..=MOST).contains(&keywords.len()) {
        problems.push(format!("it has {} keywords; one to {MOST} are allowed", keywords.len()));
    }
    problems
}

fn categories(package: &Package) -> Vec<String> {
    let known = |category: &&String| !CATEGORIES.contains(&category.as_str());
    let unknown = package.categories.iter().filter(known);
    let mut problems: Vec<_> = unknown
        .map(|category| format!("the category `{category}` is not in the list; if crates.io has it, add it"))
        .collect();
    if !(1..=MOST).contains(&package.categories.len()) {
        problems.push(format!("it has {} categories; one to {MOST} are allowed", package.categories.len()));
    }
    problems
}

/// Whether docs.rs shows all features, and marks what needs one.
fn docs_rs(package: &Package) -> Vec<String> {
    let settings = &package.metadata["docs"]["rs"];
    let mut problems = Vec::new();
    if settings["all-features"] != true || settings["rustdoc-args"] != serde_json::json!(["--cfg", "docsrs"])
    {
        problems.push(
            "[package.metadata.docs.rs] must have `all-features = true` and \
             `rustdoc-args = [\"--cfg\", \"docsrs\"]`"
                .to_owned(),
        );
    }
    let library = crate::published::library(package).and_then(|path| std::fs::read_to_string(path).ok());
    if library.is_some_and(|text| !text.contains("#![cfg_attr(docsrs, feature(doc_cfg))]")) {
        problems.push("lib.rs has no `#![cfg_attr(docsrs, feature(doc_cfg))]`".to_owned());
    }
    problems
}

/// Whether the compiler is new enough for the edition and for the crates of ours below. The
/// features in `newer` may need a newer one.
fn rust_version(package: &Package, versions: &RustVersions<'_>, newer: &[&str]) -> Vec<String> {
    let Some(own) = versions.get(package.name.as_str()) else { return Vec::new() };
    let mut problems = Vec::new();
    if *own < OLDEST {
        problems.push(format!("edition 2024 needs rust-version {}", text(OLDEST)));
    }
    let mut needed = BTreeSet::new();
    for dependency in package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal) {
        let name = dependency.name.as_str();
        let Some(version) = versions.get(name).filter(|version| *version > own) else { continue };
        if !dependency.optional {
            problems.push(format!("rust-version {} is older than {} of {name}", text(*own), text(*version)));
        }
        needed.extend(features_with(package, name));
    }
    let (needs, list) = ("needs a newer compiler than the crate", "the list in release/newer.rs");
    let unlisted = needed.iter().filter(|feature| !newer.contains(feature));
    problems.extend(unlisted.map(|feature| format!("the feature {feature} {needs}, and is not in {list}")));
    let stale = newer.iter().filter(|feature| !needed.contains(*feature));
    problems.extend(stale.map(|feature| format!("no feature {feature} {needs}: take it from {list}")));
    problems
}

fn text((major, minor): (u64, u64)) -> String {
    format!("{major}.{minor}")
}

/// Cargo needs a version for a crate that is published, and drops a dependency of tests without a
/// version.
fn ours(dependency: &Dependency, versions: &RustVersions<'_>) -> Option<String> {
    let name = versions.get_key_value(dependency.name.as_str())?.0;
    let has_version = dependency.req != cargo_metadata::semver::VersionReq::STAR;
    (dependency.kind != DependencyKind::Development && !has_version)
        .then(|| format!("the dependency on {name} has no version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(json: &str) -> Package {
        serde_json::from_str(&format!(
            r#"{{"name":"tidewire-x","version":"0.1.0","id":"x","source":null,"targets":[],
            "manifest_path":"/x/Cargo.toml",{json}}}"#
        ))
        .unwrap()
    }

    fn versions() -> RustVersions<'static> {
        RustVersions::from([("tidewire-x", (1, 85)), ("tidewire-y", (1, 88))])
    }

    fn found(json: &str) -> Vec<String> {
        check(&package(&format!(r#""features":{{}},{json}"#)), &versions())
    }

    fn dependency(kind: &str, req: &str, optional: bool) -> String {
        format!(
            r#"[{{"name":"tidewire-y","source":null,"req":"{req}","kind":{kind},"rename":null,
            "optional":{optional},"uses_default_features":true,"features":[],"target":null,
            "registry":null}}]"#
        )
    }

    const DOCS: &str =
        r#""metadata":{"docs":{"rs":{"all-features":true,"rustdoc-args":["--cfg","docsrs"]}}}"#;
    const GOOD: &str = r#""description":"d","license":"MIT","readme":"README.md","repository":"r",
        "rust_version":"1.85.0","keywords":["a"],"categories":["no-std"]"#;

    #[test]
    fn a_complete_manifest_passes() {
        assert_eq!(found(&format!(r#"{GOOD},{DOCS},"dependencies":[]"#)), [""; 0]);
        let tests = dependency("\"dev\"", "*", false);
        assert_eq!(found(&format!(r#"{GOOD},{DOCS},"dependencies":{tests}"#)), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = found(r#""keywords":["a b"],"categories":["no_std"],"dependencies":[]"#).join("\n");
        for part in [
            "`description`",
            "`license`",
            "`readme`",
            "`repository`",
            "`rust-version`",
            "`a b`",
            "`no_std`",
            "docs.rs",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }

    #[test]
    fn a_crate_below_has_a_version_and_needs_no_newer_compiler() {
        let problems = found(&format!(r#"{GOOD},{DOCS},"dependencies":{}"#, dependency("null", "*", false)));
        assert_eq!(
            problems,
            [
                "rust-version 1.85 is older than 1.88 of tidewire-y",
                "the dependency on tidewire-y has no version"
            ]
        );
    }

    #[test]
    fn a_feature_may_need_a_newer_compiler_if_the_list_says_so() {
        let features = r#"{"default":["a"],"a":[],"b":["dep:tidewire-y"],"c":["b"]}"#;
        let json = format!(r#""features":{features},"dependencies":{}"#, dependency("null", "^0.1", true));
        let found = |newer: &[&str]| rust_version(&package(&json), &versions(), newer);
        assert_eq!(found(&["b", "c"]), [""; 0]);
        assert_eq!(found(&["b"]).len(), 1);
        let problems = found(&["a", "b", "c"]);
        assert!(problems.len() == 1 && problems[0].starts_with("no feature a needs"), "{problems:?}");
    }
}
