//! Features that need a newer compiler than the rest of their crate.
//!
//! The `rust-version` of a crate is that of its code. A feature can add a crate of ours that needs
//! a newer compiler. Such a feature is in the list here, and the README of the crate names it.

use cargo_metadata::Package;

/// The features of each crate. `accept`, `blocking` and `connect` use tidewire-http1, and `rustls`
/// is over `connect`.
const NEWER: [(&str, &[&str]); 1] = [("tidewire-ws", &["accept", "blocking", "connect", "rustls"])];

/// The features of this package that need a newer compiler.
pub(super) fn newer_features(package: &str) -> &'static [&'static str] {
    NEWER.iter().find(|(name, _)| *name == package).map_or(&[], |(_, features)| features)
}

/// The features that add this optional dependency, directly or through another feature.
pub(super) fn features_with<'a>(package: &'a Package, dependency: &str) -> Vec<&'a str> {
    let adds = |value: &String| {
        value.strip_prefix("dep:") == Some(dependency)
            || value.split_once('/').is_some_and(|(name, _)| name == dependency)
    };
    let mut found: Vec<&str> = Vec::new();
    loop {
        let more: Vec<_> = package
            .features
            .iter()
            .filter(|(name, values)| {
                let over = |value: &String| adds(value) || found.contains(&value.as_str());
                !found.contains(&name.as_str()) && values.iter().any(over)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        if more.is_empty() {
            found.sort_unstable();
            return found;
        }
        found.extend(more);
    }
}

/// The arguments that select all features which need no newer compiler.
pub(super) fn all_but_newer(package: &Package) -> Vec<String> {
    let newer = newer_features(&package.name);
    if newer.is_empty() {
        return vec!["--all-features".to_owned()];
    }
    let rest = package.features.keys().map(String::as_str).filter(|name| !newer.contains(name));
    vec!["--no-default-features".to_owned(), "--features".to_owned(), rest.collect::<Vec<_>>().join(",")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, features: &str) -> Package {
        serde_json::from_str(&format!(
            r#"{{"name":"{name}","version":"0.1.0","id":"x","source":null,"targets":[],"dependencies":[],
            "manifest_path":"/x/Cargo.toml","features":{features}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_feature_adds_a_dependency_also_through_another_one() {
        let features = r#"{"a":["dep:y"],"b":["y/std"],"c":["b"],"d":["y?/std","c?/y"],"e":["dep:z"]}"#;
        assert_eq!(features_with(&package("x", features), "y"), ["a", "b", "c"]);
    }

    #[test]
    fn only_a_package_of_the_list_leaves_features_out() {
        let features = r#"{"accept":[],"rustls":[],"std":[],"tokio":[]}"#;
        assert_eq!(all_but_newer(&package("tidewire-x", features)), ["--all-features"]);
        assert_eq!(all_but_newer(&package("tidewire-ws", features))[1..], ["--features", "std,tokio"]);
    }
}
