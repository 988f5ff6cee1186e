//! Compares the dependencies of every crate with the layers of docs/ARCHITECTURE.md.
//!
//! [`TABLE`] lists the crates and their dependencies. Each of these is a failure, which names the
//! dependency as `from -> to`:
//!
//! - a crate or a dependency that is not in the table
//! - an outside dependency that the layer may not have
//! - a default feature that adds an adapter

use cargo_metadata::{DependencyKind, Metadata, Package};
use std::collections::BTreeSet;
use tidewire_testkit::run::Result;

/// Which outside crates may be normal dependencies.
enum Outside {
    /// `always` without a condition, `optional` only behind a feature that is off by default.
    Only { always: &'static [&'static str], optional: &'static [&'static str] },
    /// All crates, except implementations of our protocols.
    Free,
}

struct Row {
    layer: u8,
    name: &'static str,
    /// The crates of the workspace that it may use.
    uses: &'static [&'static str],
    outside: Outside,
}

const GRAMMAR: &str = "tidewire-grammar";
const CHUNKED: &str = "tidewire-chunked";
const HTTP1: &str = "tidewire-http1";
const WS: &str = "tidewire-ws";
const SSE: &str = "tidewire-sse";
const CHANNEL: &str = "tidewire-channel";
const STORE: &str = "tidewire-store";
const DISK: &str = "tidewire-disk";
const SERVER: &str = "tidewire-server";
const CLIENT: &str = "tidewire-client";
const EXPLAIN: &str = "tidewire-explain";
const HUB: &str = "tidewire-hub";
const TIDEWIRE: &str = "tidewire";
const LOSSYDISK: &str = "tidewire-lossydisk";
const TESTKIT: &str = "tidewire-testkit";

/// The highest layer without IO. Layers up to this one list every dependency.
const PURE: u8 = 2;
/// Test tools, commands and examples, which are in no layer.
const DEV: u8 = 9;

const NONE: Outside = Outside::Only { always: &[], optional: &[] };
const ADAPTERS: Outside = Outside::Only { always: &[], optional: &["bytes", "tokio-util"] };

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { layer: 0, name: GRAMMAR,  uses: &[], outside: NONE },
    Row { layer: 1, name: CHUNKED,  uses: &[GRAMMAR], outside: ADAPTERS },
    Row { layer: 1, name: HTTP1,    uses: &[GRAMMAR, CHUNKED], outside: Outside::Only {
        always: &["memchr"], optional: &["bytes", "http", "tokio-util"] } },
    // HTTP1 reads the answer to a client's handshake. Of hyper, WS uses only the types of an
    // upgraded connection, and no part that speaks HTTP.
    Row { layer: 1, name: WS,       uses: &[GRAMMAR, HTTP1], outside: Outside::Only {
        always: &["base64", "sha1"],
        optional: &["axum-core", "bytes", "flate2", "futures-core", "futures-sink", "getrandom", "http",
                    "hyper", "tokio", "tokio-rustls", "tokio-util", "webpki-roots", "zlib-rs"] } },
    // A stream of messages, and a body with heartbeats.
    Row { layer: 1, name: SSE,      uses: &[], outside: Outside::Only {
        always: &[], optional: &["bytes", "futures-core", "http", "http-body", "tokio", "tokio-util"] } },
    Row { layer: 2, name: CHANNEL,  uses: &[], outside: NONE },
    // Messages share their payloads, and an idempotency key is bound to a hash of its message.
    Row { layer: 2, name: STORE,    uses: &[CHANNEL], outside: Outside::Only {
        always: &["bytes", "sha2", "thiserror"], optional: &[] } },
    // It can write its notes as JSON.
    Row { layer: 2, name: EXPLAIN,  uses: &[GRAMMAR, CHUNKED, HTTP1, WS, SSE], outside: Outside::Only {
        always: &["base64", "serde", "serde_json"], optional: &[] } },
    // It offers the connection of an upgrade to the extractor of WS.
    Row { layer: 3, name: SERVER,   uses: &[GRAMMAR, CHUNKED, HTTP1, WS], outside: Outside::Free },
    Row { layer: 3, name: DISK,     uses: &[CHANNEL, STORE], outside: Outside::Free },
    Row { layer: 4, name: CLIENT,   uses: &[GRAMMAR, CHUNKED, HTTP1, WS, SSE], outside: Outside::Free },
    Row { layer: 4, name: HUB,      uses: &[GRAMMAR, CHUNKED, HTTP1, WS, SSE, CHANNEL, STORE, SERVER],
          outside: Outside::Free },
    Row { layer: 5, name: TIDEWIRE, uses: &[GRAMMAR, HTTP1, WS, EXPLAIN, SERVER, DISK, CLIENT, HUB],
          outside: Outside::Free },
    // rustix reads the CPU time of a thread, to measure work on a busy machine.
    Row { layer: DEV, name: TESTKIT, uses: &[],
          outside: Outside::Only { always: &["rustix"], optional: &[] } },
    // fuser speaks FUSE with the kernel, and rustix mounts.
    Row { layer: DEV, name: LOSSYDISK, uses: &[TESTKIT],
          outside: Outside::Only { always: &["fuser", "rustix"], optional: &[] } },
    Row { layer: DEV, name: "xtask", uses: &[TESTKIT], outside: Outside::Free },
    Row { layer: DEV, name: "tidewire-bench", uses: &[TESTKIT, STORE, DISK], outside: Outside::Free },
    Row { layer: DEV, name: "tidewire-examples",
          uses: &[GRAMMAR, CHUNKED, HTTP1, WS, SSE, CHANNEL, STORE, SERVER, CLIENT, HUB, TIDEWIRE],
          outside: Outside::Free },
];

/// Implementations of our protocols. No crate may build on them. Tests may use them as peers and to
/// compare results.
const READY_MADE: &[&str] = &[
    "actix-web",
    "axum",
    "eventsource-stream",
    "fastwebsockets",
    "h2",
    "httparse",
    "hyper",
    "hyper-util",
    "reqwest",
    "tokio-tungstenite",
    "tungstenite",
    "warp",
];

pub(super) fn check(metadata: &Metadata) -> Result {
    let problems = problems(metadata);
    if problems.is_empty() {
        println!("    {} crates use only lower layers", metadata.packages.len());
        return Ok(());
    }
    Err(format!(
        "{}\nThe layers are in docs/ARCHITECTURE.md. crates/xtask/src/layers/crates.rs lists them.",
        problems.join("\n")
    ))
}

/// The crates of layers 0 to 2 that need no std, lowest first. tidewire-explain may use std,
/// because its notes are text for people. tidewire-store may, because a store is shared by threads.
pub(crate) fn pure() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|row| row.layer <= PURE && ![EXPLAIN, STORE].contains(&row.name)).map(|row| row.name)
}

/// Whether a crate is in layers 0 to 2.
pub(crate) fn is_protocol(name: &str) -> bool {
    row(name).is_some_and(|row| row.layer <= PURE)
}

fn problems(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    metadata.packages.iter().flat_map(|package| of_package(package, &ours)).collect()
}

fn of_package(package: &Package, ours: &BTreeSet<&str>) -> Vec<String> {
    let from = package.name.as_str();
    let Some(row) = row(from) else {
        return vec![format!("{from} is in no layer; add it to the table.")];
    };
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        let to = dependency.name.as_str();
        let inside = ours.contains(to) || row_exists(to);
        match (dependency.kind, inside) {
            (DependencyKind::Normal, true) if !row.uses.contains(&to) => {
                problems.push(format!("{from} -> {to}: the table does not list this dependency."));
            }
            (DependencyKind::Normal, false) => problems.extend(outside(row, to, dependency.optional)),
            // Tests may use the same and lower layers, and the crates for tests.
            (DependencyKind::Development, true)
                if ![TESTKIT, LOSSYDISK].contains(&to) && row_layer(to) > row.layer =>
            {
                problems.push(format!("{from} -> {to}: a test may not use a higher layer."));
            }
            (DependencyKind::Build, _) => {
                problems.push(format!("{from} -> {to}: a crate may not have a build script."))
            }
            _ => {}
        }
    }
    if row.layer <= PURE {
        problems.extend(pulled_in_by_default(package));
    }
    problems
}

/// What is wrong with an outside crate as a normal dependency.
fn outside(row: &Row, to: &str, optional: bool) -> Option<String> {
    let from = row.name;
    match &row.outside {
        Outside::Free if READY_MADE.contains(&to) => {
            Some(format!("{from} -> {to}: only tests may use an implementation of our protocols."))
        }
        Outside::Free => None,
        Outside::Only { always, .. } if always.contains(&to) => None,
        Outside::Only { optional: allowed, .. } if allowed.contains(&to) && optional => None,
        Outside::Only { optional: allowed, .. } if allowed.contains(&to) => {
            Some(format!("{from} -> {to}: allowed only behind a feature (`optional = true`)."))
        }
        Outside::Only { .. } => Some(format!("{from} -> {to}: layer {} may not use this crate.", row.layer)),
    }
}

/// The adapters that default features add. Otherwise every user of a protocol crate would build
/// tokio.
fn pulled_in_by_default(package: &Package) -> Vec<String> {
    let mut features = vec!["default"];
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    while let Some(feature) = features.pop() {
        if !seen.insert(feature) {
            continue;
        }
        for enabled in package.features.get(feature).into_iter().flatten() {
            match enabled.strip_prefix("dep:") {
                Some(to) => problems.push(format!("{} -> {to}: a default feature adds it.", package.name)),
                None => features.push(enabled),
            }
        }
    }
    problems
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

fn row_exists(name: &str) -> bool {
    row(name).is_some()
}

fn row_layer(name: &str) -> u8 {
    row(name).map_or(DEV, |row| row.layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_layer() {
        for (index, row) in TABLE.iter().enumerate() {
            for to in row.uses {
                let target = TABLE.iter().position(|other| other.name == *to).unwrap();
                assert!(target < index, "{} -> {to}", row.name);
            }
        }
    }

    /// A manifest as `cargo metadata` prints it.
    fn found(name: &str, dependencies: &str, features: &str) -> Vec<String> {
        let json = format!(
            r#"{{"name":"{name}","version":"0.1.0","id":"{name}","source":null,"dependencies":[{dependencies}],
            "targets":[],"features":{{{features}}},"manifest_path":"/x/Cargo.toml"}}"#
        );
        let package: Package = cargo_metadata::MetadataCommand::parse(format!(
            r#"{{"packages":[{json}],"workspace_members":[],"workspace_default_members":[],"resolve":null,
            "target_directory":"/x","version":1,"workspace_root":"/x","metadata":null}}"#
        ))
        .unwrap()
        .packages
        .remove(0);
        of_package(&package, &BTreeSet::new())
    }

    fn dependency(name: &str, kind: &str, optional: bool) -> String {
        format!(
            r#"{{"name":"{name}","source":null,"req":"*","kind":{kind},"rename":null,"optional":{optional},
            "uses_default_features":true,"features":[],"target":null,"registry":null}}"#
        )
    }

    #[test]
    fn each_kind_of_wrong_dependency_is_reported() {
        let one = |from: &str, to: &str, kind: &str, optional: bool| {
            found(from, &dependency(to, kind, optional), "").join("|")
        };
        assert_eq!(
            one(SSE, GRAMMAR, "null", false),
            "tidewire-sse -> tidewire-grammar: the table does not list this dependency."
        );
        assert_eq!(one(HTTP1, CHUNKED, "null", false), "");
        assert_eq!(one(CHUNKED, "tokio-util", "null", true), "");
        assert!(one(CHUNKED, "tokio-util", "null", false).contains("only behind a feature"));
        assert!(one(HTTP1, "tokio", "null", true).contains("layer 1 may not use this crate"));
        assert!(one(SERVER, "hyper", "null", false).contains("only tests"));
        assert_eq!(one(SERVER, "hyper", "\"dev\"", false), "");
        assert!(one(GRAMMAR, HTTP1, "\"dev\"", false).contains("a higher layer"));
        assert_eq!(one(GRAMMAR, TESTKIT, "\"dev\"", false), "");
        assert!(one(GRAMMAR, "cc", "\"build\"", false).contains("build script"));
        assert_eq!(
            one("tidewire-new", "cc", "null", false),
            "tidewire-new is in no layer; add it to the table."
        );
        let by_default = r#""default":["codec"],"codec":["dep:tokio-util"]"#;
        assert!(found(CHUNKED, "", by_default).join("|").contains("a default feature adds it"));
    }
}
