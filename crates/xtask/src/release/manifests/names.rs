//! A dependency below 1.0 whose types are public: a new version of it breaks our callers. So it is
//! behind a feature, and the README names it with its version. It also names the oldest compiler.

use cargo_metadata::{DependencyKind, Package};
use tidewire_testkit::run::{Result, read};

use crate::layers::is_protocol;

/// Dependencies below 1.0 that no public item shows. A new version of these breaks nobody.
const HIDDEN: [(&str, &str); 6] = [
    ("base64", "writes the keys of the WebSocket handshake, and payloads in notes"),
    ("getrandom", "makes masking keys inside the tokio adapter"),
    ("sha1", "computes the answer of the WebSocket handshake"),
    ("sha2", "hashes the message that an idempotency key is bound to"),
    ("zlib-rs", "inflates and deflates inside the WebSocket connection"),
    ("zerocopy", "no crate shows it"),
];

pub(super) fn check(package: &Package) -> Result<Vec<String>> {
    if !is_protocol(&package.name) {
        return Ok(Vec::new());
    }
    let Some(readme) = package.readme() else { return Ok(Vec::new()) };
    let readme = read(readme.as_std_path())?;
    let mut found = problems(package, &readme);
    found.extend(compiler(package, &readme));
    Ok(found)
}

/// A README that does not say the `rust-version`.
fn compiler(package: &Package, readme: &str) -> Option<String> {
    let version = package.rust_version.as_ref()?;
    let named = format!("needs Rust {}.{}.", version.major, version.minor);
    let words = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    (!words.contains(&named)).then(|| format!("README.md does not say `{named}`, which is its rust-version"))
}

fn problems(package: &Package, readme: &str) -> Vec<String> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    let shown = normal.filter(|dependency| {
        let name = dependency.name.as_str();
        !name.starts_with("tidewire-") && !HIDDEN.iter().any(|(hidden, _)| *hidden == name)
    });
    let mut problems = Vec::new();
    for dependency in shown {
        let Some(minor) = below_one(&dependency.req.to_string()) else { continue };
        let name = &dependency.name;
        if !dependency.optional {
            problems.push(format!("{name} 0.{minor} is not behind a feature; its types may be public"));
        }
        let named = format!("`{name}` 0.{minor}");
        if !readme.contains(&named) {
            problems.push(format!(
                "the table of features in README.md does not name {named}, which a feature shows"
            ));
        }
    }
    problems
}

/// The second number of a requirement like `^0.7.20`.
fn below_one(requirement: &str) -> Option<u32> {
    requirement.trim_start_matches('^').strip_prefix("0.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(dependency: &str) -> Package {
        serde_json::from_str(&format!(
            r#"{{"name":"tidewire-x","version":"0.1.0","id":"x","source":null,"targets":[],"features":{{}},
            "manifest_path":"/x/Cargo.toml","rust_version":"1.85.0","dependencies":[{dependency}]}}"#
        ))
        .unwrap()
    }

    fn of(name: &str, req: &str, optional: bool, readme: &str) -> Vec<String> {
        let dependency = format!(
            r#"{{"name":"{name}","source":null,"req":"{req}","kind":null,"rename":null,
            "optional":{optional},"uses_default_features":true,"features":[],"target":null,
            "registry":null}}"#
        );
        problems(&package(&dependency), readme)
    }

    #[test]
    fn the_oldest_compiler_is_named() {
        assert_eq!(compiler(&package(""), "a b. It needs\nRust 1.85.\n"), None);
        assert!(compiler(&package(""), "It needs Rust 1.88.").is_some());
    }

    #[test]
    fn a_dependency_below_one_is_optional_and_named() {
        assert_eq!(of("tokio-util", "^0.7.20", true, "needs `tokio-util` 0.7"), [""; 0]);
        assert_eq!(of("bytes", "^1.2.0", false, ""), [""; 0]);
        assert_eq!(of("sha1", "^0.11.0", false, ""), [""; 0]);
        assert_eq!(of("tokio-util", "^0.8.0", true, "needs `tokio-util` 0.7").len(), 1);
        assert_eq!(of("tokio-util", "^0.7.20", false, "").len(), 2);
    }
}
